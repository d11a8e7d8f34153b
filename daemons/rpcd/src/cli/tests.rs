//! Command lines as people type them.

use std::time::Duration;

use super::*;

fn typed(line: &str) -> Result<Typed, Failure> {
    let words = std::iter::once("rpcd").chain(line.split_whitespace());
    Typed::parse(words.map(OsString::from))
}

fn call(line: &str) -> Call {
    match typed(line).unwrap().command {
        Command::Call(call) => call,
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
fn the_flags_are_defined_consistently() {
    use clap::CommandFactory as _;
    Typed::command().debug_assert();
}

#[test]
fn negative_numbers_are_arguments_and_flags_may_be_anywhere() {
    let call = call("call subtract 1 -5 --json -2.5e3 c=-1 -p 8089");
    assert_eq!(call.method, "subtract");
    assert_eq!(call.args, ["1", "-5", "-2.5e3", "c=-1"]);
    assert!(call.json);
    assert_eq!(call.direct.port, Some(8089));
}

#[test]
fn after_two_dashes_everything_is_an_argument() {
    assert_eq!(call("call hello -- --json").args, ["--json"]);
    assert_eq!(call("call -p 1 -- hello -x --").args, ["-x", "--"]);
}

#[test]
fn a_duration_has_a_unit_or_is_in_seconds() {
    for (text, milliseconds) in [("2", 2000), ("0.25", 250), ("500ms", 500), ("1m", 60_000)] {
        let timeout = call(&format!("call m --timeout {text}")).timeout;
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
        ("serve", "required arguments were not provided: --port <PORT>; see rpcd serve --help"),
        ("serve -p 70000", "invalid value '70000' for '--port <PORT>'"),
        ("serve -p 1 -l http://x", "without scheme or port"),
        ("serve -p 1 --registry x --no-registry", "cannot be used with"),
        ("serve -p 1 --advertise a:b", "HOST:PORT"),
        ("serve -p 1 --log-format xml", "expected one of text, json"),
        ("call", "required arguments were not provided: <METHOD>"),
        ("call m -p 0", "invalid value '0'"),
        (
            "call m --balance rnd",
            "expected one of random, round_robin, weighted_random, least_in_flight",
        ),
        ("call m --repeat 0", "invalid value '0'"),
        ("call m --stream --repeat 2", "cannot be used with"),
        ("call m -m nowhere", "possible values: server, registry"),
        ("call m --jsn", "tip: a similar argument exists: '--json'"),
        ("clal m", "tip: a similar subcommand exists: 'call'"),
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
