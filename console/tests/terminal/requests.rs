//! Saved requests, environments and secrets, in the file of a project.

use std::fs;

use rpc_tests::home::Home;

use super::*;

const FILE: &str = "\
# Ours.
[environments.local]
user = \"ann\"

[environments.prod]
user = \"bob\"
";

/// The demo, started in a folder with this file, and a secret in its environment.
fn demo(file: Option<&str>) -> Tty {
    let home = Home::new();
    if let Some(text) = file {
        fs::write(home.path().join("rpcd-requests.toml"), text).unwrap();
    }
    let mut command = CommandBuilder::new(PROGRAM);
    command.args(["--demo"]);
    command.env("SHOP_TOKEN", "hush-hush");
    let tty = Tty::run_in(home, command, (120, 35));
    tty.until(&["3 up"]);
    tty
}

fn file_of(tty: &Tty) -> String {
    fs::read_to_string(tty.home().path().join("rpcd-requests.toml")).unwrap()
}

#[test]
fn a_form_is_saved_found_renamed_and_deleted() {
    let mut tty = demo(Some(FILE));
    tty.until(&["env local"]);
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press("method hello\r");
    tty.until(&["Call hello"]);
    tty.press("{{user}}");
    tty.until(&["\"ann\""]);
    tty.press("\x0e");
    tty.until(&["Save request as"]);
    tty.press("\x15greet ann\r");
    tty.until(&["saved greet ann; rpcd-requests.toml"]);
    let text = file_of(&tty);
    assert!(text.starts_with(FILE), "{text}");
    assert!(text.contains("name = \"greet ann\"") && text.contains("{{user}}"), "{text}");

    // It is in the palette, and sent with the variables of the environment that is then current.
    tty.press(ESC);
    tty.until(&[": commands"]);
    tty.press("V");
    tty.until(&["env prod", "\"bob\""]);
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press("saved greet");
    tty.until(&["saved greet ann · hello"]);
    tty.press("\r");
    tty.until(&["filled from greet ann"]);
    tty.press("\r");
    tty.until(&["✓ hello → \"Hello, bob!\""]);

    tty.press(ESC);
    tty.until(&[": commands"]);
    tty.press("qg");
    tty.until(&["▸ greet ann ", "r rename"]);
    tty.press("r");
    tty.until(&["Rename greet ann"]);
    tty.press("\x15hi\r");
    tty.until(&["renamed to hi", "▸ hi "]);
    tty.press("d");
    tty.until(&["Delete the saved request hi?"]);
    tty.press("j\r");
    tty.until(&["deleted hi"]);
    assert_eq!(file_of(&tty).trim(), FILE.trim());
}

#[test]
fn a_secret_reaches_the_server_and_nothing_else() {
    let mut tty = demo(None);
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press("method hello\r");
    tty.until(&["Call hello"]);
    tty.press("{{env:SHOP_TOKEN}}\r");
    // The server greets by the value; what comes back of it is hidden.
    tty.until(&["✓ hello → \"Hello, {{env:SHOP_TOKEN}}!\""]);
    tty.press("\x0e");
    tty.until(&["Save request as"]);
    tty.press("\r");
    tty.until(&["saved hello; rpcd-requests.toml"]);
    tty.press("\t}");
    tty.until(&["sent"]);
    tty.press("3");
    tty.until(&["History 1", "{{env:SHOP_TOKEN}}"]);
    tty.press("4");
    tty.until(&["[4 Logs]"]);
    let (saved, state) = (file_of(&tty), tty.home().path().join("state/rpc-console/demo.history"));
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
    let history = fs::read_to_string(state).unwrap();
    let output = String::from_utf8_lossy(&tty.output()).into_owned();
    for (name, text) in [("file", saved), ("history", history), ("screen", output)] {
        assert!(!text.contains("hush"), "the {name} has it");
        assert!(name == "screen" || text.contains("{{env:SHOP_TOKEN}}"), "{name}: {text}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_its_line_and_left_alone() {
    let broken = "[[requests]]\nname = \"a\"\nmetod = \"m\"\n";
    let mut tty = demo(Some(broken));
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press("method hello\r");
    tty.until(&["Call hello"]);
    tty.press("x\x0e");
    tty.until(&["not saved: rpcd-requests.toml:3: unknown key \"metod\"; did you mean method?"]);
    // The list says so, too, for as long as it is so.
    tty.until(&["✗ not read:", "rpcd-requests.toml", "line 3: unknown", "Fix it, then press 2"]);
    assert_eq!(file_of(&tty), broken);
    // Mended in an editor, it is read when its requests are next shown.
    let mended = broken.replace("metod", "method").replace("\"m\"", "\"hello\"");
    fs::write(tty.home().path().join("rpcd-requests.toml"), mended).unwrap();
    tty.press(ESC);
    tty.until(&[": commands"]);
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press("saved a");
    tty.until(&["saved a · hello"]);
    tty.until_not("Fix it, then press 2");
}

#[test]
fn a_call_of_the_history_is_saved() {
    let mut tty = demo(None);
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press("add 20 22 c=0\r");
    tty.until(&["✓ add → 42 in"]);
    tty.press("3S");
    tty.until(&["Save request as"]);
    tty.press("\x15sum\r");
    tty.until(&["saved sum; rpcd-requests.toml"]);
    let text = file_of(&tty);
    assert!(text.contains("args = \"[20,22]\"") || text.contains("args = '[20,22]'"), "{text}");
}
