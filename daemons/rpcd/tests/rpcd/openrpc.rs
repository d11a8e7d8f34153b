//! A document that says what a server's methods are, where the server is not asked.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::process::{Daemon, command, rpcd};

/// `hello`, whose name is a boolean: the server says otherwise.
const DOCUMENT: &str = r#"{"openrpc": "1.3.2", "info": {"title": "t", "version": "1"}, "methods": [
    {"name": "hello", "x-read-only": true, "result": {"name": "result", "schema": {"type": "string"}},
     "params": [{"name": "name", "required": true, "schema": {"type": "boolean"}}]}]}"#;

fn document() -> NamedTempFile {
    let mut file = tempfile::Builder::new().prefix("a b").tempfile().unwrap();
    file.write_all(DOCUMENT.as_bytes()).unwrap();
    file
}

#[test]
fn commands_that_are_advised_name_the_document_that_they_need() {
    let (file, (_daemon, port)) = (document(), Daemon::serve("--no-registry"));
    let path = file.path().to_str().unwrap();
    let target = format!("-p {port} --openrpc");
    let words = |line: &str| -> Vec<String> {
        let words = format!("{line} {target}");
        words.split(' ').map(str::to_owned).chain([path.to_owned()]).collect()
    };
    let run = |line: &str| {
        let output = command(&words(line).iter().map(String::as_str).collect::<Vec<_>>()).output();
        let output = output.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let said = format!(
        "rpcd: the argument name of hello must be true or false, not 'x'; see rpcd describe hello -i 127.0.0.1 -p \
         {port} --openrpc '{path}'\n"
    );
    for line in ["call hello x", "bench hello x"] {
        assert_eq!(run(line), (Some(2), String::new(), said.clone()), "{line}");
    }
    let (_, described, _) = run("describe hello");
    let call = format!("  rpcd call hello true -p {port} --openrpc '{path}'");
    assert!(described.lines().any(|line| line == call), "{described}");
    let (code, report, said) = run("bench hello true --count 1 --json");
    assert_eq!((code, said.as_str()), (Some(0), ""), "{report}");
}

#[test]
fn the_tools_of_agents_can_be_those_of_a_document() {
    let (file, (_daemon, port)) = (document(), Daemon::serve("--no-registry"));
    let path = file.path().to_str().unwrap();
    let mut agent = command(&["mcp", "-p", &port.to_string(), "--openrpc", path]);
    let mut agent = agent.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = agent.stdin.take().unwrap();
    for line in [
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"hello","arguments":{"name":true}}}"#,
    ] {
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    let output = String::from_utf8(agent.wait_with_output().unwrap().stdout).unwrap();
    let replies: Vec<Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let result = |id: u64| {
        let of_id = replies.iter().find(|reply| reply["id"] == id);
        &of_id.unwrap_or_else(|| panic!("no reply {id}: {output}"))["result"]
    };
    let tools = result(1)["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["hello"]);
    assert_eq!(tools[0]["inputSchema"]["properties"]["name"]["type"], "boolean");
    assert_eq!(result(2)["content"][0]["text"], "Hello, true!");
}

#[test]
fn a_document_is_of_one_server() {
    for command in ["bench add 1", "mcp"] {
        let run = rpcd(&format!("{command} --openrpc x.json"));
        let said = "rpcd: --openrpc is for one server; add -i and -p, or -i with a URL\n";
        assert_eq!((run.code, run.stderr.as_str()), (2, said), "{command}");
    }
}
