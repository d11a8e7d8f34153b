//! A call as an agent makes it: a message to `rpcd mcp`.

use super::{Snippet, command_line, environment, json_rpc};
use crate::text;

/// How long `rpcd mcp` gives a call.
const DEFAULT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);
/// Characters of a tool's name.
const MAX_NAME_CHARS: usize = 64;

impl Snippet {
    /// A command that calls the method as a tool and prints the answer.
    pub(super) fn mcp(&self) -> Result<String, String> {
        let message = environment::shell(&self.tool_call()?)?;
        let mut words = vec!["rpcd".to_owned(), "mcp".to_owned()];
        words.extend(self.access.options());
        words.extend(self.place()?);
        if !self.stream && self.timeout != DEFAULT_TIMEOUT {
            words.extend(["--timeout".to_owned(), text::flag_duration(self.timeout)]);
        }
        // It may change something, which no tool does that is not allowed by name.
        words.push(format!("--allow={}", self.method));
        let command = self.access.variables()? + &command_line(&words)?;
        Ok(format!("printf '%s\\n' {message} | {command}"))
    }

    /// The message, with marked names of variables.
    fn tool_call(&self) -> Result<String, String> {
        let is_usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if self.method.len() > MAX_NAME_CHARS || !self.method.chars().all(is_usual) {
            return Err(
                "the tool of this method has another name, which tools/list says".to_owned()
            );
        }
        let names = self.parameters.iter().map(String::as_str);
        let args = environment::marked(&self.args)?
            .by_name(names)
            .ok_or("tools take arguments by name, and those of the parameters are not known")?;
        let params = format!(r#"{{"name":"{}","arguments":{}}}"#, self.method, args.keyword());
        Ok(json_rpc("tools/call", &params))
    }
}

#[cfg(test)]
mod tests {
    use rpc_wire::call::Args;
    use serde_json::{Map, json};

    use super::super::{Format, Snippet, Speaks, tests};

    fn snippet() -> Snippet {
        let count = Map::from_iter([("count".to_owned(), json!(2))]);
        Snippet {
            method: "place".to_owned(),
            args: Args::from_values(&[json!("tea")], &count),
            parameters: vec!["what".to_owned(), "count".to_owned()],
            ..tests::snippet()
        }
    }

    #[test]
    fn a_tool_is_called_with_names_and_may_be_one_that_changes_something() {
        let sent = r#"'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"place","arguments":{"what":"tea","count":2}}}'"#;
        let command = snippet().write(Format::Mcp).unwrap();
        let rpcd = "rpcd mcp --registry http://127.0.0.1:9999 --timeout 10s --allow=place";
        assert_eq!(command, format!(r"printf '%s\n' {sent} | {rpcd}"));
        let stream = Snippet { stream: true, ..snippet() }.write(Format::Mcp).unwrap();
        assert!(!stream.contains("--timeout"), "{stream}");
    }

    #[test]
    fn a_method_of_a_json_rpc_server_is_called_as_a_tool_of_that_server() {
        let at = Speaks::JsonRpcAt("http://127.0.0.1:8545/rpc".to_owned());
        let peer = tests::snippet().peer;
        for (speaks, target, place) in [
            (at, None, "-i http://127.0.0.1:8545/rpc"),
            (Speaks::JsonRpc, peer, "-i 127.0.0.1 -p 8089"),
            (Speaks::JsonRpc, None, "--registry http://127.0.0.1:9999"),
        ] {
            let command = Snippet { speaks, target, ..snippet() }.write(Format::Mcp).unwrap();
            let expected = format!("| rpcd mcp {place} --timeout 10s --allow=place");
            assert!(command.ends_with(&expected), "{command}");
        }
    }

    #[test]
    fn what_no_tool_can_be_called_with_is_refused() {
        for snippet in [
            Snippet { parameters: Vec::new(), ..snippet() },
            Snippet { method: "orders/place".to_owned(), ..snippet() },
        ] {
            assert!(snippet.write(Format::Mcp).is_err(), "{snippet:?}");
        }
    }
}
