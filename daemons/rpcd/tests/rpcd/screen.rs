//! What a person sees on a terminal, and a pipe does not.

use portable_pty::CommandBuilder;
use rpc_tests::fakes::{self, Do, result};
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
fn json_on_a_terminal_is_json_whatever_a_string_holds() {
    let threads = crate::site::runtime();
    let raw = "[\"a\u{9b}31m\u{202e}\u{7f}😀\"]";
    let peer = threads.block_on(fakes::extended(move |message| Do::Write(result(message, raw))));
    let line = format!("call m -p {}", peer.address.port());
    let escaped = r#"["a\u009b31m\u202e\u007f😀"]"#;
    for further in ["", " --json"] {
        let tty = on_terminal(&format!("{line}{further}"), &[("NO_COLOR", "1")]);
        tty.until(&["\"a\\u009b31m\\u202e\\u007f"]);
        assert!(tty.sent(escaped), "{further}: {:?}", tty.screen());
    }
    // A pipe gets what was received.
    assert_eq!(rpcd(&line).stdout, format!("{raw}\n"));
}

#[test]
fn people_are_told_what_the_registry_keeps_its_instances_in() {
    let site = Site::start();
    let line = format!("instances --registry {}", site.url);
    on_terminal(&line, &[]).until(&[&format!("the registry at {}: no store", site.url)]);
    assert_eq!(rpcd(&line).stderr, "");
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
