//! How arguments are read: by the schema where it is known, from words, files and standard input.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rpc_tests::fakes::{self, Do, result};

use crate::process::{Daemon, command, rpcd_args, step};
use crate::site::{Site, runtime};

#[test]
fn the_schema_decides_and_a_wrong_value_names_the_parameter() {
    let (_server, port) = Daemon::serve("--no-registry");
    let port = port.to_string();
    let call = |arguments: &[&str]| rpcd_args(&[&["call", "-p", &port][..], arguments].concat());
    for (arguments, printed) in [
        (vec!["to_uppercase", "12"], "12"),
        (vec!["to_uppercase", "true"], "TRUE"),
        (vec!["to_uppercase", "string={x"], "{X"),
        (vec!["to_uppercase", "\"a\""], "A"),
        (vec!["to_uppercase", "string:=\"12\""], "12"),
        (vec!["add", "1", "b:=2"], "13"),
        (vec!["echo", "12"], "12"),
        (vec!["echo", "-d", "[\"12\"]", "--json"], "\"12\""),
        (vec!["add", "-d", "{\"a\": 1, \"b\": 2, \"c\": 3}"], "6"),
    ] {
        let run = call(&arguments);
        let said = (run.code, run.stdout.trim_end(), run.stderr.as_str());
        assert_eq!(said, (0, printed, ""), "{arguments:?}");
    }
    for (arguments, said) in [
        (vec!["add", "1", "two"], "the argument b of add must be a number, not 'two'"),
        (vec!["add", "1", "b=two"], "the argument b of add must be a number, not 'two'"),
        (vec!["echo", "{bad json"], "the argument '{bad json' begins like JSON and is not: "),
        (vec!["to_uppercase", "string:=12x"], "string:= takes JSON, not '12x'"),
    ] {
        let run = call(&arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(run.stderr.contains(said), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
    // What its type does not tell is the method's to refuse.
    assert_eq!(call(&["to_uppercase", "string:=12"]).code, 1);
    // A load test reads them in the same way.
    let run = rpcd_args(&["bench", "-p", &port, "--count", "3", "to_uppercase", "12"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
    let run = rpcd_args(&["bench", "-p", &port, "--count", "3", "add", "1", "two"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
}

#[test]
fn arguments_come_from_a_file_or_from_standard_input() {
    let (_server, port) = Daemon::serve("--no-registry");
    let port = port.to_string();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"{\n  \"value\": [1.50,\n \"line \\n break\"]\n}\n").unwrap();
    let at = format!("@{}", file.path().display());
    let run = rpcd_args(&["call", "-p", &port, "echo", "-d", &at]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "[1.50,\"line \\n break\"]\n"),
        "{}",
        run.stderr
    );

    let mut child = command(&["call", "-p", &port, "add", "-d", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"[1, 2, 4]").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"7\n"[..]));
}

#[test]
fn an_older_server_gets_words_as_before() {
    let threads = runtime();
    let peer = threads.block_on(fakes::classic(|message| {
        Do::Write(match message["method_name"].as_str() {
            Some("kind") => format!("{{\"res\": \"{}\"}}", message["method_args"][0]),
            Some("all_your_methods") => {
                r#"{"res": [{"method_name": "kind", "method_args": ["a"], "method_kwargs": {}}]}"#
            }
            .to_owned(),
            _ => r#"{"res": "No service found for: that"}"#.to_owned(),
        })
    }));
    let port = peer.address.port().to_string();
    let run = rpcd_args(&["call", "-p", &port, "kind", "12"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "12\n"), "{}", run.stderr);
}

#[test]
fn a_server_that_does_not_describe_itself_is_called_in_time_all_the_same() {
    let threads = runtime();
    let peer = threads.block_on(fakes::extended(|message| {
        if message["method_name"] == "echo" {
            Do::Write(result(message, &message["method_args"][0].to_string()))
        } else {
            Do::Nothing
        }
    }));
    let port = peer.address.port().to_string();
    let started = Instant::now();
    let run = rpcd_args(&["call", "-p", &port, "echo", "12", "--timeout", "2s", "-v"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "12\n"), "{}", run.stderr);
    let discovery = step(&run.stderr, "discovery");
    assert!((490.0..600.0).contains(&discovery), "a quarter of its time: {}", run.stderr);
    assert!(started.elapsed() < Duration::from_secs(20));
    // With a document the types do not matter, but whether it is a stream does; who knows that asks nothing.
    let calls = peer.seen.calls().len();
    let run = rpcd_args(&["call", "-p", &port, "echo", "-d", "[12]", "--timeout", "1s"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "12\n"), "{}", run.stderr);
    assert_eq!(peer.seen.calls().len(), calls + 2);
    rpcd_args(&["call", "-p", &port, "echo", "-d", "[12]", "--stream"]);
    assert_eq!(peer.seen.calls().len(), calls + 3);
}

#[test]
fn a_stream_is_streamed_where_discovery_says_so() {
    let site = Site::start();
    for line in ["call countdown 3", "call countdown -d [3]", "call countdown 3 --stream"] {
        let run = site.run(line);
        assert_eq!((run.code, run.stdout.as_str()), (0, "3\n2\n1\n"), "{line}: {}", run.stderr);
    }
    assert_eq!(site.run("call two").stdout, "a\nb\n");
    let run = site.run("call two -v");
    assert!(run.stderr.contains(&format!("{} streams\n", site.server)), "{}", run.stderr);
    assert!(run.stderr.contains("rpcd: 2 items in "), "{}", run.stderr);
    for line in ["call countdown 3 --repeat 2", "bench countdown 3 --count 2 --yes"] {
        let run = site.run(line);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
        assert!(run.stderr.contains("countdown is a stream"), "{}", run.stderr);
    }
}

#[test]
fn a_reserved_stream_is_streamed_although_discovery_does_not_list_it() {
    let (_server, port) = Daemon::serve("--no-registry");
    let port = port.to_string();
    for words in [&["contains=listening"][..], &["info", "listening", "5"], &["-d", "[]"]] {
        let line = [&["call", "-p", &port, "rpc.logs", "--timeout", "1"][..], words].concat();
        let run = rpcd_args(&line);
        assert!(run.stdout.contains("\"listening\""), "{words:?}: {run:?}");
        // Both know the deadline: whose clock is first says it.
        let own = format!("the stream of 127.0.0.1:{port} did not end within 1s; ");
        let servers = format!("127.0.0.1:{port} reports a timeout (-32000): ");
        let is_late = run.stderr.contains(&own) || run.stderr.contains(&servers);
        assert!(run.code == 4 && is_late, "{words:?}: {run:?}");
    }
    // Its parameters are known as well.
    let run = rpcd_args(&["call", "-p", &port, "rpc.logs", "recent=many"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("recent of rpc.logs must be an integer"), "{}", run.stderr);
}

#[test]
fn arguments_that_do_not_end_are_waited_for_as_long_as_a_call() {
    let (_server, port) = Daemon::serve("--no-registry");
    let port = port.to_string();
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let at = format!("@{}", fifo.display());
    for data in ["-", &at] {
        let line = ["call", "-p", &port, "echo", "--timeout", "300ms", "-d", data];
        let started = Instant::now();
        let mut child = command(&line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let open = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        drop(open);
        assert!(started.elapsed() < Duration::from_secs(20));
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]), "{data}");
        let source = data.strip_prefix('@').unwrap_or("standard input");
        let said = format!(
            "rpcd: cannot read {source}: it did not end within 300ms; close it, or raise --timeout\n"
        );
        assert_eq!(String::from_utf8(output.stderr).unwrap(), said);
    }
}
