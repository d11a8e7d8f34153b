//! What a person sees on a terminal, and a pipe does not.

use portable_pty::CommandBuilder;
use rpc_tests::terminal::Tty;

use crate::process::rpcd;
use crate::site::Site;

fn on_terminal(line: &str, variables: &[(&str, &str)]) -> Tty {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_rpcd"));
    command.args(line.split_whitespace());
    for (name, value) in variables {
        command.env(name, value);
    }
    let mut tty = Tty::run(command, (120, 35));
    tty.ends();
    tty
}

#[test]
fn json_is_indented_and_coloured_on_a_terminal_only() {
    let site = Site::start();
    let line = format!("call nested --registry {}", site.url);
    let compact = "{\"a\":[1,{\"b\":\"x\"}]}";
    assert_eq!(rpcd(&line).stdout, format!("{compact}\n"));
    let tty = on_terminal(&line, &[]);
    tty.until(&["{\n  \"a\": [\n    1,\n    {\"b\": \"x\"}\n  ]\n}"]);
    assert!(tty.sent("\x1b[34m\"a\"\x1b[0m"), "{:?}", tty.screen());
    let tty = on_terminal(&line, &[("NO_COLOR", "1")]);
    tty.until(&["    {\"b\": \"x\"}"]);
    assert!(!tty.sent("\x1b[34m"), "{:?}", tty.screen());
    let tty = on_terminal(&format!("{line} --json"), &[]);
    tty.until(&[compact]);
}

#[test]
fn tables_have_headings_on_a_terminal_only() {
    let site = Site::start();
    for (command, heading) in
        [("instances", "INSTANCE"), ("methods", "METHOD"), ("stats", "INSTANCE")]
    {
        let line = format!("{command} --registry {}", site.url);
        on_terminal(&line, &[]).until(&[heading]);
        assert!(!rpcd(&line).stdout.contains(heading), "{command}");
    }
}
