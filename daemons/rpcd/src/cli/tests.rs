//! Command lines as people type them.

use std::time::Duration;

use super::*;
use crate::failure::Exit;

fn typed(line: &str) -> Result<Typed, Failure> {
    let words = std::iter::once("rpcd").chain(line.split_whitespace());
    Typed::parse(words.map(OsString::from))
}

fn call(line: &str) -> Call {
    match typed(line).unwrap().command {
        Command::Call(call) => *call,
        other => panic!("{other:?}"),
    }
}

fn usage_error(line: &str) -> String {
    let failure = typed(line).unwrap_err();
    assert_eq!(failure.exit.code(), 2, "{line}");
    assert_eq!(failure.message.lines().count(), 1, "{}", failure.message);
    failure.message
}

#[test]
fn ls_lists_instances() {
    let typed = Typed::parse(["rpcd", "ls", "--json"].map(Into::into)).unwrap();
    assert!(matches!(typed.command, Command::Instances(typed) if typed.asking.json));
}

#[test]
fn the_flags_are_defined_consistently() {
    use clap::CommandFactory as _;
    Typed::command().debug_assert();
}

#[test]
fn negative_numbers_are_arguments_and_flags_may_be_anywhere() {
    let call = call("call subtract 1 -5 --json -2.5e3 c=-1 -p 8089");
    assert_eq!(call.given.method, "subtract");
    assert_eq!(call.given.args, ["1", "-5", "-2.5e3", "c=-1"]);
    assert!(call.asking.json);
    assert_eq!(call.asking.direct.port, Some(8089));
}

#[test]
fn after_two_dashes_everything_is_an_argument() {
    assert_eq!(call("call hello -- --json").given.args, ["--json"]);
    assert_eq!(call("call -p 1 -- hello -x --").given.args, ["-x", "--"]);
}

#[test]
fn a_duration_has_a_unit_or_is_in_seconds() {
    for (text, milliseconds) in [("2", 2000), ("0.25", 250), ("500ms", 500), ("1m", 60_000)] {
        let timeout = call(&format!("call m --timeout {text}")).asking.timeout;
        assert_eq!(timeout, Some(CallTime(Duration::from_millis(milliseconds))), "{text}");
    }
    for text in ["0", "-1", "x", "nan", "inf", "1e300", "99999999999999", "1h30"] {
        assert!(typed(&format!("call m --timeout={text}")).is_err(), "{text}");
    }
}

#[test]
fn h_is_help_and_l_is_the_address_to_listen_on() {
    let Command::Serve(serve) = typed("serve -p 0 -l [::1]").unwrap().command else {
        panic!("serve");
    };
    assert_eq!((serve.port, serve.listen.as_deref()), (0, Some("::1")));
    let help = typed("serve -h").unwrap_err();
    assert!(help.is_help && help.exit == Exit::Done && help.message.contains("--port <PORT>"));
}

#[test]
fn a_usage_error_is_one_line_that_names_it_and_points_to_the_help() {
    for (line, what) in [
        ("serve", "missing --port <PORT>; see rpcd serve --help"),
        ("serve -p", "missing value of --port <PORT>; see rpcd serve --help"),
        ("serve -p 70000", "bad value '70000' for --port <PORT>: 70000 is not in 0..=65535"),
        ("serve -p 1 -l http://x", "without scheme or port"),
        ("serve -p 1 --registry x --no-registry", "cannot be used with"),
        ("serve -p 1 -p 2", "--port <PORT> is given twice"),
        ("serve -p 1 --advertise a:b", "HOST:PORT"),
        ("serve -p 1 --log-format xml", "expected one of text, json"),
        ("call", "missing <METHOD>; see rpcd call --help"),
        ("call m -p 0", "bad value '0' for --port <PORT>: 0 is not in 1..=65535"),
        (
            "call m --balance rnd",
            "expected one of random, round_robin, weighted_random, least_in_flight",
        ),
        ("call m --repeat 0", "bad value '0' for --repeat <N>"),
        ("call m --stream --repeat 2", "--stream cannot be used with --repeat <N>"),
        ("call m 1 -d [1]", "cannot be used with"),
        ("call m -m nowhere", "for --mode <MODE>: expected one of server, registry"),
        ("call m --jsn", "unknown option --jsn (did you mean --json?); see rpcd call --help"),
        ("clal m", "unknown command clal (did you mean call?); see rpcd --help"),
        ("help cal", "unknown command cal (did you mean call?); see rpcd --help"),
        ("help xyz", "unknown command xyz; see rpcd --help"),
        (
            "serve --josn",
            "unknown option --josn (did you mean --log-format json?); see rpcd serve --help",
        ),
        ("serve -p 1 --json", "unknown option --json (did you mean --log-format json?);"),
        ("registry --nosuch", "unknown option --nosuch; see rpcd registry --help"),
        ("--josn", "unknown option --josn; see rpcd --help"),
        ("instances x", "unexpected argument x; see rpcd instances --help"),
        ("logs --level loud", "expected one of trace, debug, info, warn, error"),
        ("health a:1 -p 1", "cannot be used with"),
    ] {
        let message = usage_error(line);
        assert!(message.contains(what), "{line}: {message}");
    }
}

#[test]
fn text_that_is_not_utf_8_is_a_usage_error() {
    use std::os::unix::ffi::OsStringExt as _;
    let line = [OsString::from("rpcd"), "call".into(), OsString::from_vec(vec![0xff])];
    assert_eq!(Typed::parse(line).unwrap_err().exit.code(), 2);
}

#[test]
fn help_is_a_command_and_every_command_has_examples() {
    for line in ["help", "--help", "help call", "help help"] {
        let help = typed(line).unwrap_err();
        assert!(help.is_help && help.exit == Exit::Done, "{line}: {}", help.message);
    }
    use clap::CommandFactory as _;
    for command in Typed::command().get_subcommands() {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let name = command.get_name();
        assert!(after.starts_with(&format!("Examples:\n  rpcd {name}")), "{name}: {after}");
    }
}

#[test]
fn paragraphs_of_the_help_are_wrapped_as_wide_as_the_terminal() {
    use clap::CommandFactory as _;
    let is_text = |line: &str| !line.is_empty() && !line.starts_with(' ') && !line.ends_with(':');
    for command in Typed::command().get_subcommands() {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for (line, next) in after.lines().zip(after.lines().skip(1)) {
            // A sentence that goes on in the next line would be broken twice in a narrow terminal.
            let goes_on = is_text(line) && is_text(next) && !line.ends_with('.');
            assert!(!goes_on, "{}: {line}", command.get_name());
        }
    }
}

#[test]
fn json_is_wanted_also_where_the_rest_is_a_mistake() {
    let wants =
        |line: &str| Typed::wants_json(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
    assert!(wants("rpcd call --jsn --json") && wants("rpcd call m --json -- x"));
    assert!(!wants("rpcd call m -- --json") && !wants("rpcd call m a=--json"));
}

#[test]
fn agents_are_listened_for_on_loopback_unless_another_address_is_named() {
    let mcp = |line: &str| match typed(line).unwrap().command {
        Command::Mcp(mcp) => *mcp,
        other => panic!("{other:?}"),
    };
    let listen = |text: &str| mcp(&format!("mcp --listen {text}")).listen.unwrap();
    assert_eq!(listen("8765"), ("127.0.0.1".to_owned(), 8765));
    assert_eq!(listen("0.0.0.0:1"), ("0.0.0.0".to_owned(), 1));
    assert_eq!(listen("[::1]:0"), ("::1".to_owned(), 0));
    let named = mcp("mcp --allow a.* --allow b --deny *.c --prefix x_");
    assert_eq!((named.allow.len(), named.deny.len(), named.all), (2, 1, false));
    assert_eq!((named.listen, named.prefix.as_deref()), (None, Some("x_")));
    for line in ["mcp --listen x", "mcp --listen 1:x", "mcp --prefix ä", "mcp --allow="] {
        usage_error(line);
    }
}
