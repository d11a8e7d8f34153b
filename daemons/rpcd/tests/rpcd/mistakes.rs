//! Wrong arguments, settings and addresses: exit 2 or 3, one line.

use std::net::TcpListener;

use crate::process::{DEAD_PORT, command, rpcd, rpcd_args};

/// Exit code and the whole of standard error, which must be one line.
fn error_line(line: &str) -> (i32, String) {
    let run = rpcd(line);
    assert_eq!(run.stdout, "", "{line}");
    assert_eq!(run.stderr.lines().count(), 1, "{line}: {}", run.stderr);
    assert!(run.stderr.starts_with("rpcd: "), "{line}: {}", run.stderr);
    (run.code, run.stderr)
}

#[test]
fn wrong_arguments_and_addresses_exit_2_with_one_line() {
    for line in [
        "serve",
        "serve -p x",
        "serve -p 70000",
        "serve -p 0 -l 300.1.1.1",
        "serve -p 0 -l a..b",
        "serve -p 0 --registry ftp://x",
        "serve -p 0 --log-level inof",
        "serve -p 0 --config /nowhere/config.ini",
        "serve -p 0 --log-dir /dev/null/logs",
        "registry",
        "registry -p 0 -l nowhere.invalid",
        "call",
        "call add -m registry -p 1",
        "call add -m registry -i 127.0.0.1",
        "call add -i 127.0.0.1",
        "call add a=1 a=2 -p 1",
        "call add a:=x -p 1",
        "call add 1 -d [1] -p 1",
        "call add -d {bad -p 1",
        "call add -d @/nowhere.json -p 1",
        "call add [1 -p 1",
        "methods a b -p 1",
        "logs 8089",
        "stats registry",
        "bench",
        "bench add --rate 0 -p 1",
        "bench add --connections 9 --concurrency 2 -p 1",
        "bench add --count 1 --duration 1s -p 1",
        "bench add --max-error-ratio 1.5 -p 1",
        "health 8089",
        "nonsense",
    ] {
        let (code, message) = error_line(line);
        assert_eq!(code, 2, "{line}: {message}");
    }
}

#[test]
fn what_is_missing_is_said() {
    for (line, said) in [
        ("health 8089", "8089 is a port without a host; write -p 8089, or HOST:8089"),
        ("logs 8089", "8089 is a port without a host; write -p 8089, or HOST:8089"),
        ("call m -d @ -p 1", "-d @ names no file; write @FILE, or - for standard input"),
        ("call m -d - -p 1", "standard input is empty; write a JSON array"),
    ] {
        let (code, message) = error_line(line);
        assert!(code == 2 && message.contains(said), "{line}: {message}");
    }
}

#[test]
fn an_address_that_cannot_be_bound_exits_3() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for line in [
        format!("serve -p {port} -l 127.0.0.1 --no-registry --log-level off"),
        format!("registry -p {port} -l 127.0.0.1 --log-level off"),
        // 192.0.2.0/24 is for documentation: no machine has it.
        "serve -p 0 -l 192.0.2.1 --no-registry --log-level off".to_owned(),
        "registry -p 0 -l 192.0.2.1 --log-level off".to_owned(),
    ] {
        let (code, message) = error_line(&line);
        assert_eq!(code, 3, "{message}");
        assert!(message.contains("cannot listen on "), "{message}");
    }
}

#[test]
fn an_unreachable_address_exits_3() {
    let port = DEAD_PORT;
    for line in [
        format!("call add 1 2 -p {port}"),
        format!("bench add 1 2 -p {port}"),
        format!("bench add 1 2 --registry http://127.0.0.1:{port} --timeout 1s --rate 5"),
        format!("methods -p {port}"),
        format!("instances --registry http://127.0.0.1:{port}"),
        format!("health 127.0.0.1:{port}"),
        format!("describe add -p {port}"),
        format!("watch --registry http://127.0.0.1:{port}"),
        format!("logs --registry http://127.0.0.1:{port}"),
        format!("stats --registry http://127.0.0.1:{port}"),
        format!("stats -p {port}"),
        format!("logs -p {port}"),
        format!("call add 1 2 --registry http://127.0.0.1:{port} --timeout 1s"),
    ] {
        let (code, message) = error_line(&line);
        assert_eq!(code, 3, "{line}: {message}");
        assert!(message.contains(&format!("127.0.0.1:{port}")), "{message}");
    }
}

#[test]
fn who_asks_for_tls_is_not_called_in_plain_text() {
    for (flags, named) in [("--tls", "--tls"), ("--tls-ca x.pem", "--tls-ca")] {
        for command in ["call add 1 2", "methods", "mcp"] {
            let run = rpcd(&format!("{command} -i http://127.0.0.1:{DEAD_PORT}/rpc {flags}"));
            let said = format!(
                "rpcd: {named} calls by TLS only, and -i says http://; write https://127.0.0.1:{DEAD_PORT}/rpc\n"
            );
            assert_eq!((run.code, run.stderr), (2, said), "{command} {flags}");
        }
    }
    let run = rpcd(&format!("call add 1 2 -i https://127.0.0.1:{DEAD_PORT}/rpc --tls"));
    assert_eq!(run.code, 3, "{run:?}");
}

#[test]
fn a_wrong_file_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.ini"), "[registry]\nprot = 1\n").unwrap();
    let output = command(&["call", "add"]).current_dir(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "rpcd: config.ini:2: unknown key \"prot\" in [registry]; did you mean \"port\"?\n"
    );
    // A health check depends only on its address.
    let health = command(&["health", &format!("127.0.0.1:{DEAD_PORT}")])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert_eq!(health.status.code(), Some(3));
}

#[test]
fn a_bad_variable_is_named() {
    let output = command(&["call", "add"]).env("RPCD_CLIENT_TIMEOUT", "soon").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("RPCD_CLIENT_TIMEOUT"), "{stderr}");
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let run = rpcd_args(&["call", "add", "--registry", "http://\u{1b}[31m"]);
    assert_eq!(run.code, 2);
    assert!(!run.stderr.contains('\u{1b}'), "{:?}", run.stderr);
}
