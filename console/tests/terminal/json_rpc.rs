//! JSON-RPC servers that nobody here wrote: made with jayson (npm, TCP and HTTP) and with pjrpc (PyPI, HTTP).

use rpc_tests::peers::{self, Server};
use serde_json::json;

use super::*;

const CTRL_P: &str = "\x10";
const F3: &str = "\x1bOR";

/// The servers, and how each of them is named to the console.
fn servers(argument: &str) -> Option<(tokio::runtime::Runtime, Vec<Server>, Vec<String>)> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let arguments: &[&str] = if argument.is_empty() { &[] } else { &[argument] };
    let (jayson, pjrpc) = runtime.block_on(async {
        let jayson = peers::server("json_rpc_server.mjs", arguments, 2).await?;
        Some((jayson, peers::server("json_rpc_server.py", arguments, 1).await?))
    })?;
    let url = |port: u16| format!("http://127.0.0.1:{port}/");
    let names =
        vec![format!("127.0.0.1:{}", jayson.ports[0]), url(jayson.ports[1]), url(pjrpc.ports[0])];
    Some((runtime, vec![jayson, pjrpc], names))
}

/// A number as JavaScript or Python writes it.
fn shows_three(tty: &Tty) -> bool {
    let screen = tty.screen();
    ["✓ add → 3 in", "✓ add → 3.0 in"].iter().any(|text| screen.contains(text))
}

/// Chooses `add`, fills in its form, sends it, and then calls what fails.
fn fills_the_form(mut tty: Tty, named: &str) {
    tty.until(&["no registry", "1 up", "JSON-RPC"]);
    tty.press("2");
    tty.until(&["[2 Methods]", "Adds two numbers."]);
    tty.press("\r");
    tty.until(&["Call add", "TYPING"]);
    tty.press("1\t2");
    tty.until(&[r#"{"jsonrpc":"2.0""#]);
    tty.press("\r");
    tty.until_so(&format!("the sum: {named}"), shows_three);
    tty.press(CTRL_P);
    tty.until(&["Commands, methods, instances"]);
    tty.press("fail\r");
    tty.until(&["Call fail"]);
    tty.press("\r");
    tty.until(&["It failed", "17"]);
    tty.press(F3);
    tty.until(&["} tab"]);
    tty.press("}f");
    tty.until(&[if named.contains("://") { ", JSON-RPC over HTTP" } else { ", JSON-RPC" }]);
}

fn opened(name: &str, further: &[&str]) -> Tty {
    Tty::start(&[&[name], further].concat())
}

#[test]
fn what_rpc_discover_says_is_a_form_that_is_filled_in_and_sent() {
    let Some((_runtime, _servers, names)) = servers("discover") else { return };
    for name in names {
        fills_the_form(opened(&name, &[]), &name);
    }
}

#[test]
fn what_an_openrpc_file_says_is_a_form_that_is_filled_in_and_sent() {
    let Some((_runtime, _servers, names)) = servers("") else { return };
    let params = ["a", "b"]
        .map(|name| json!({"name": name, "required": true, "schema": {"type": "number"}}));
    let document = json!({
        "openrpc": "1.3.2",
        "info": {"title": "t", "version": "1"},
        "methods": [
            {"name": "add", "summary": "Adds two numbers.", "params": params},
            {"name": "fail", "params": []},
        ],
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openrpc.json");
    std::fs::write(&file, document.to_string()).unwrap();
    for name in names {
        fills_the_form(opened(&name, &["--openrpc", file.to_str().unwrap()]), &name);
    }
}

#[test]
fn without_a_description_methods_are_called_by_their_names() {
    let Some((_runtime, _servers, names)) = servers("") else { return };
    for name in names {
        let mut tty = opened(&name, &[]);
        tty.until(&["no registry", "1 up", "JSON-RPC"]);
        for (call, shown) in [("add 1 2", ""), ("fail", "It failed"), ("nope", "-32601")] {
            tty.press(":");
            tty.until(&["Commands, methods, instances"]);
            tty.press(&format!("{call}\r"));
            match shown {
                "" => tty.until_so(&format!("the sum: {name}"), shows_three),
                shown => tty.until(&[shown]),
            }
        }
    }
}
