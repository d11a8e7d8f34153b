//! A load test as the `rpcd bench` that does the same, quoted for a POSIX shell.

use std::collections::BTreeMap;
use std::time::Duration;

use rpc_client::Target;
use rpc_client::load::{Length, Mode};
use serde_json::value::RawValue;

use crate::message::LoadRequest;

/// The command line that makes the same load test.
///
/// # Errors
/// Says what no command line can express.
pub fn bench_command(request: &LoadRequest) -> Result<String, String> {
    let mut words = vec!["rpcd".to_owned(), "bench".to_owned()];
    let mut flag = |name: &str, value: String| words.extend([name.to_owned(), value]);
    match request.mode {
        Mode::OpenLoop { rate, max_in_flight } => {
            flag("--rate", rate.to_string());
            flag("--concurrency", max_in_flight.to_string());
        }
        Mode::ClosedLoop { concurrency } => flag("--concurrency", concurrency.to_string()),
    }
    flag("--connections", request.connections.to_string());
    match request.length {
        Length::Time(time) => flag("--duration", time_text(time)),
        Length::Calls(calls) => flag("--count", calls.to_string()),
    }
    flag("--warmup", time_text(request.warm_up));
    flag("--timeout", time_text(request.timeout));
    match &request.target {
        Target::Registry { url } => flag("--registry", url.clone()),
        Target::Direct { host, port } => {
            flag("-i", host.clone());
            flag("-p", port.to_string());
        }
    }
    let call = call_words(request)?;
    if call.iter().any(|word| word.starts_with('-')) {
        words.push("--".to_owned());
    }
    words.extend(call);
    // A control character could end the line or steer the terminal it is pasted into.
    if words.iter().any(|word| word.chars().any(char::is_control)) {
        return Err("a control character cannot be part of a command".to_owned());
    }
    Ok(words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))
}

/// The method and its arguments: always JSON, so that nothing is taken for a text or a keyword.
fn call_words(request: &LoadRequest) -> Result<Vec<String>, String> {
    let unreadable = |error: serde_json::Error| format!("the arguments are not readable: {error}");
    let positional: Vec<Box<RawValue>> =
        serde_json::from_str(request.args.positional()).map_err(unreadable)?;
    let keyword: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(request.args.keyword()).map_err(unreadable)?;
    let mut words = vec![request.method.clone()];
    words.extend(positional.iter().map(|value| value.get().to_owned()));
    for (name, value) in keyword {
        if !is_name(&name) {
            return Err(format!("rpcd bench cannot give an argument named {name:?}"));
        }
        words.push(format!("{name}={}", value.get()));
    }
    Ok(words)
}

/// What `rpcd` takes for the name of a keyword.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// `10s`, or `1500ms` where it is no whole number of seconds.
fn time_text(time: Duration) -> String {
    if time.subsec_nanos() == 0 {
        format!("{}s", time.as_secs())
    } else {
        format!("{}ms", time.as_millis())
    }
}

/// The word as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::call::Args;
    use serde_json::json;

    fn request(args: &serde_json::Value, keyword: &serde_json::Value) -> LoadRequest {
        LoadRequest {
            id: 1,
            method: "add".to_owned(),
            args: Args::from_values(args.as_array().unwrap(), keyword.as_object().unwrap()),
            target: Target::direct("127.0.0.1:8089").unwrap(),
            timeout: Duration::from_secs(10),
            mode: Mode::OpenLoop { rate: 100.0, max_in_flight: 240 },
            connections: 1,
            length: Length::Time(Duration::from_secs(10)),
            warm_up: Duration::from_millis(500),
        }
    }

    #[test]
    fn everything_that_matters_is_on_the_command_line() {
        let open = request(&json!([1, -2]), &json!({"c": 3}));
        assert_eq!(
            bench_command(&open).unwrap(),
            "rpcd bench --rate 100 --concurrency 240 --connections 1 --duration 10s \
             --warmup 500ms --timeout 10s -i 127.0.0.1 -p 8089 -- add 1 -2 c=3"
        );
        let closed = LoadRequest {
            mode: Mode::ClosedLoop { concurrency: 8 },
            connections: 2,
            length: Length::Calls(500),
            target: Target::Registry { url: "http://127.0.0.1:9999".to_owned() },
            ..request(&json!([]), &json!({}))
        };
        assert_eq!(
            bench_command(&closed).unwrap(),
            "rpcd bench --concurrency 8 --connections 2 --count 500 --warmup 500ms --timeout 10s \
             --registry http://127.0.0.1:9999 add"
        );
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for word in ["it's", "a b", "", "$(reboot)", "`x`", "\"q\" \\ 'r' !", "a=b", "ü*?~#;&|<>"]
        {
            let script = format!("printf %s {}", quoted(word));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }

    #[test]
    fn what_no_command_can_express_is_refused() {
        let odd_name = request(&json!([]), &json!({"a b": 1}));
        assert!(bench_command(&odd_name).unwrap_err().contains("a b"));
        let evil = LoadRequest { method: "x\nreboot".into(), ..request(&json!([]), &json!({})) };
        assert!(bench_command(&evil).unwrap_err().contains("control character"));
    }
}
