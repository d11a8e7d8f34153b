//! Forms, results and log lines, with every key that acts on them.

use super::*;

/// The demo with its traffic off, so that nothing else changes.
fn quiet_demo() -> Tty {
    let mut tty = Tty::start(&["--demo"]);
    tty.until(&["4 up", "lacks square"]);
    tty.press("D");
    tty.until(&["traffic off"]);
    tty
}

#[test]
fn a_form_shows_errors_becomes_json_and_sets_target_and_timeout() {
    let mut tty = quiet_demo();
    tty.press("2");
    tty.until(&["[2 Methods]", "forecast", "2/3"]);
    tty.press("/order\r\r");
    tty.until(&["Call shop · order"]);
    tty.press("\r");
    tty.until(&["✗ required"]);
    tty.press("tea");
    tty.until(&["text   tea"]);
    // As JSON: an error, corrected, and back.
    tty.press("\x0a");
    tty.until(&["\"item\": \"tea\"", "^j form"]);
    tty.press("x");
    tty.press("\x13");
    tty.until(&["✗ "]);
    tty.press("\x7f\x0a");
    tty.until(&["text   tea", "⏎ Send"]);
    tty.press("\x14");
    tty.until_not("to any of");
    tty.press("\x0f");
    tty.until(&["timeout 30s"]);
    tty.press("\r");
    tty.until(&["✓ order →"]);
    tty.press("\x12");
    tty.until(&["no request yet: fill in item"]);
    tty.press("\x10");
    tty.until(&["Commands, methods, instances"]);
    tty.press("sleep 30\r");
    tty.until(&["waiting for the reply", "^x cancels"]);
    tty.press("\x18");
    tty.until(&["✗ cancelled", "cancelled; the server may already"]);
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
}

#[test]
fn a_result_is_folded_searched_compared_and_copied() {
    let mut tty = quiet_demo();
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press("forecast Bergen\r");
    tty.until(&["✓ forecast →", "\"celsius\""]);
    tty.press("z");
    tty.until(&["[ 3 items ]"]);
    tty.press("/CELSIUS\r");
    tty.until(&["1 of 3 matches", "\"celsius\""]);
    tty.press("n");
    tty.until(&["2 of 3 matches"]);
    tty.press("N");
    tty.until(&["1 of 3 matches"]);
    tty.press(ESC);
    tty.until_not("of 3 matches");
    tty.press("Ggh");
    tty.until(&["{ 3 keys }"]);
    tty.press("l");
    tty.until_not("{ 3 keys }");
    for (keys, shown) in [
        ("}", vec!["[Wire]", "method_name"]),
        ("}", vec!["[Timing]", "transfer", "attempts"]),
        ("r", vec!["forecast  p50"]),
        ("{", vec!["[Diff]", "no differences from"]),
        ("}", vec!["[Body]", "forecast  p50", "p99"]),
    ] {
        tty.press(keys);
        tty.until(&shown);
    }
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press("forecast Oslo 1\r");
    tty.until(&["\"Oslo\""]);
    tty.press("{");
    tty.until(&["[Diff]", "~ .city", "\"Bergen\"", "\"Oslo\""]);
    tty.press("[");
    tty.until(&["[Body]", "\"Bergen\""]);
    tty.press("]");
    tty.until(&["[Diff]"]);
    tty.press("y");
    tty.until(&["result sent to the terminal's clipboard: {\"city\":\"Oslo\""]);
    for (down, what) in [
        ("", "rpcd command"),
        ("j", "wire JSON"),
        ("jj", "Rust"),
        ("jjj", "Python"),
        ("jjjj", "nc command"),
    ] {
        tty.press("Y");
        tty.until(&["Copy call as"]);
        tty.press(&format!("{down}\r"));
        tty.until(&[&format!("{what} sent to the terminal's clipboard")]);
    }
    tty.press("3");
    tty.until(&["History 3"]);
    tty.press("/bergen\r");
    tty.until(&["History 2"]);
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
}

#[test]
fn log_lines_are_filtered_searched_marked_wrapped_stopped_and_saved() {
    let mut tty = quiet_demo();
    tty.press("4");
    tty.until(&["FOLLOW", "level ≥ info", "● registry", "listening", "methods=13"]);
    tty.press("<");
    tty.until(&["level ≥ debug"]);
    tty.press(">>");
    tty.until(&["level ≥ warn"]);
    tty.press("<");
    tty.until(&["level ≥ info"]);
    tty.press("S");
    tty.until(&["Show the logs of", "● streaming"]);
    tty.press("registry\r");
    tty.until(&["· registry ·", "ttl=10s"]);
    tty.until_not("methods=13");
    tty.press(ESC);
    tty.until(&["all sources", "methods=13"]);
    tty.press("&listening\r");
    tty.until(&["& listening", "4 lines"]);
    tty.press("/methods=1\r");
    tty.until(&["of 3 matches", "STOPPED"]);
    tty.press("N");
    tty.until(&["2 of 3 matches"]);
    tty.press("n");
    tty.until(&["3 of 3 matches"]);
    tty.press(ESC);
    tty.until_not("of 3 matches");
    tty.press("F");
    tty.until(&["FOLLOW"]);
    tty.press("m");
    tty.until(&["────────────"]);
    tty.press("TT");
    tty.until(&["┃ INFO   registry"]);
    tty.press("w");
    tty.press("s");
    tty.until(&["Save as"]);
    tty.press("\r");
    tty.until(&["saved "]);
    tty.press(" ");
    tty.until(&["PAUSED"]);
    tty.press("F");
    tty.until(&["STOPPED"]);
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
    tty.is_restored();
}
