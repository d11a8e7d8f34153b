//! A load test in the demo: planned, started, stopped, compared.

use super::{ESC, Tty};

#[test]
fn a_load_test_of_the_demo_from_a_call_to_a_comparison() {
    let mut tty = Tty::start(&["--demo"]);
    tty.until(&["3 up"]);
    tty.press("D");
    tty.until(&["traffic off"]);
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press("add 1 2\r");
    tty.until(&["✓ add → 13 in"]);

    tty.press("b");
    tty.until(&["[5 Load]", "Load plan", "‹open›", "--rate 100", "⏎ Start"]);
    // Three fields down, from the rate to the duration.
    tty.press("\t\t\t\x152s\t\x150s");
    tty.until(&["duration    2s", "warm-up     0s"]);
    tty.press("\r");
    tty.until(&["measuring", "in flight"]);
    tty.until(&["✓ done", "calls", "/s", "0 failed", "p99.9", "INSTANCE", "127.0.0.1:"]);

    tty.press("\r");
    tty.until(&["measuring"]);
    tty.press(" ");
    tty.until(&["■ stopped", "rerun"]);
    tty.press("c");
    tty.until(&["previous", "change"]);
    tty.press("y");
    tty.until(&["command sent to the terminal's clipboard: rpcd bench --rate 100"]);

    // Closed loop; Esc goes back to the plan and stops nothing.
    tty.press(ESC);
    tty.until(&["⏎ start"]);
    tty.press("o");
    tty.until(&["‹closed›", "callers"]);
    tty.press("\r");
    tty.until(&["closed loop, 4 callers", "measuring"]);
    tty.press(ESC);
    tty.until(&["┏━ Load plan", "␣ Stop", "measuring"]);
    tty.press(" ");
    tty.until(&["■ stopped"]);
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
    tty.is_restored();
}
