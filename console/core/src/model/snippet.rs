//! A call as text for a shell, a script or a program.

mod command;
mod environment;
mod mcp;
mod python;
mod rust;
mod secured;

use std::time::Duration;

use rpc_wire::call::Args;
use rpc_wire::call::request::{self, RequestMeta};
use rpc_wire::instance::InstanceKey;
use rpc_wire::is_hidden;

use super::access::{Access, TokenPlace};
use super::service::Service;
use crate::text;
pub use environment::marked;

/// A call to format.
#[derive(Debug, Clone)]
pub struct Snippet {
    /// The service of the method, if it is known.
    pub service: Service,
    /// The method's name.
    pub method: String,
    /// The arguments.
    pub args: Args,
    /// The names of the method's parameters in order, as far as they are known.
    pub parameters: Vec<String>,
    /// The instance to call; `None`: any.
    pub target: Option<InstanceKey>,
    /// An instance that has the method, for formats without a registry.
    pub peer: Option<InstanceKey>,
    /// The registry's URL.
    pub registry: String,
    /// The timeout.
    pub timeout: Duration,
    /// Whether it is a stream.
    pub stream: bool,
    /// What the server speaks.
    pub speaks: Speaks,
    /// How it is reached.
    pub access: Access,
}

/// What the server of a call speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Speaks {
    /// The dialects of our servers and the older ones.
    #[default]
    Ours,
    /// JSON-RPC 2.0 over TCP.
    JsonRpc,
    /// JSON-RPC 2.0 at this URL: over HTTP, or over TCP.
    JsonRpcAt(String),
}

/// The format of a snippet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A shell command with `rpcd`.
    Rpcd,
    /// The request as sent on the wire.
    Wire,
    /// A Rust program using `rpc_client`.
    Rust,
    /// A Python program without dependencies.
    Python,
    /// A shell command with `nc`.
    Netcat,
    /// A shell command with `curl`: JSON-RPC 2.0 over HTTP, and a stream by plain HTTP.
    Curl,
    /// A shell command with `rpcd mcp`: as an agent calls a tool.
    Mcp,
}

/// Default timeout of `rpcd call`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

impl Format {
    /// Every format, in the order of the menu.
    pub const ALL: [Self; 7] =
        [Self::Rpcd, Self::Wire, Self::Rust, Self::Python, Self::Netcat, Self::Curl, Self::Mcp];

    /// The name in the menu.
    pub fn title(self) -> &'static str {
        match self {
            Self::Rpcd => "rpcd command",
            Self::Wire => "wire JSON",
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::Netcat => "nc command",
            Self::Curl => "curl command",
            Self::Mcp => "MCP command",
        }
    }
}

impl Snippet {
    /// The call in this format.
    ///
    /// # Errors
    /// Why the format cannot express it.
    pub fn write(&self, format: Format) -> Result<String, String> {
        let is_at_url = matches!(self.speaks, Speaks::JsonRpcAt(_));
        match format {
            Format::Curl => self.curl(),
            Format::Mcp => self.mcp(),
            Format::Python | Format::Netcat if self.speaks != Speaks::Ours => {
                Err("the server speaks JSON-RPC 2.0 only: rpcd does, too".to_owned())
            }
            Format::Rust if is_at_url => {
                Err("the server was opened by its URL: use rpcd or curl".to_owned())
            }
            Format::Rpcd => self.rpcd(),
            Format::Wire if self.speaks != Speaks::Ours => self.json_rpc(&self.args),
            Format::Wire => Ok(self.wire(&self.args)),
            Format::Rust => self.rust(),
            Format::Python => self.python(),
            Format::Netcat => self.netcat(),
        }
    }

    /// The request in JSON-RPC 2.0.
    fn json_rpc(&self, args: &Args) -> Result<String, String> {
        Ok(json_rpc(&self.method, &self.params(args)?))
    }

    /// The arguments as a list or an object.
    fn params(&self, args: &Args) -> Result<String, String> {
        let names = self.parameters.iter().map(String::as_str);
        let named = if args.in_one().is_some() { None } else { args.by_name(names) };
        let params = named.as_ref().unwrap_or(args).in_one();
        let params = params.map(|params| text::printable_lines(params).into_owned());
        params.ok_or_else(|| "it takes arguments by position or by name, not both".to_owned())
    }

    /// The request with marked names of variables.
    fn marked_wire(&self) -> Result<String, String> {
        Ok(self.wire(&marked(&self.args)?))
    }

    /// The token, if it may be shown to the instance.
    fn token(&self) -> Option<&TokenPlace> {
        let host = &self.peer.as_ref()?.host;
        self.access.token_for(host).filter(|_| self.speaks == Speaks::Ours)
    }

    /// A call of the extended dialect, behind the message that shows the token; with marked names of variables.
    fn messages(&self) -> Result<String, String> {
        let args = marked(&self.args)?;
        let shown = self.token().map(|token| introduction(&token.mark()) + "\n");
        let deadline_ms = u64::try_from(self.timeout.as_millis()).ok().filter(|_| !self.stream);
        let meta = RequestMeta { deadline_ms, stream: self.stream, ..RequestMeta::default() };
        Ok(shown.unwrap_or_default() + &extended(&self.method, &args, &meta) + "\n")
    }

    /// The request with these arguments.
    fn wire(&self, args: &Args) -> String {
        in_dialect(&Speaks::Ours, &self.method, args, [], self.stream)
    }

    fn peer(&self) -> Result<&InstanceKey, String> {
        self.peer.as_ref().ok_or_else(|| "no instance has the method".to_owned())
    }
}

/// Joins words into a command for a POSIX shell.
///
/// # Errors
/// A hidden character: it could end the command, control the terminal it is pasted into, or not be seen.
pub fn command_line(words: &[String]) -> Result<String, String> {
    if words.iter().any(|word| word.contains(is_hidden)) {
        return Err("control characters and invisible ones cannot be part of a command".to_owned());
    }
    let words: Result<Vec<_>, _> = words.iter().map(|word| environment::shell(word)).collect();
    Ok(words?.join(" "))
}

/// The request in the dialect of its server, with hidden characters escaped. JSON-RPC takes all arguments by name where
/// some have names.
pub fn in_dialect<'a>(
    speaks: &Speaks,
    method: &str,
    args: &Args,
    names: impl IntoIterator<Item = &'a str>,
    stream: bool,
) -> String {
    match (speaks, stream) {
        (Speaks::Ours, false) => return classic(method, args),
        (Speaks::Ours, true) => {
            let meta = RequestMeta { stream: true, ..RequestMeta::default() };
            return extended(method, args, &meta);
        }
        (Speaks::JsonRpc | Speaks::JsonRpcAt(_), _) => {}
    }
    let named = if args.in_one().is_some() { None } else { args.by_name(names) };
    let args = named.as_ref().unwrap_or(args);
    json_rpc(method, args.in_one().unwrap_or(args.positional()))
}

/// A request in JSON-RPC 2.0.
fn json_rpc(method: &str, params: &str) -> String {
    let mut out = Vec::new();
    request::json_rpc(&mut out, 1, method, params);
    escaped(out)
}

/// The request in the classic dialect.
fn classic(method: &str, args: &Args) -> String {
    let mut out = Vec::new();
    request::classic(&mut out, method, args);
    escaped(out)
}

/// The request in the extended dialect, which alone has streams.
fn extended(method: &str, args: &Args, meta: &RequestMeta) -> String {
    let mut out = Vec::new();
    request::extended(&mut out, 1, method, args, meta);
    escaped(out)
}

/// The message that shows a token.
fn introduction(token: &str) -> String {
    let mut out = Vec::new();
    request::introduction(&mut out, token);
    escaped(out)
}

/// A request on one line, with hidden characters escaped.
fn escaped(request: Vec<u8>) -> String {
    let json = String::from_utf8(request).unwrap_or_default();
    text::printable_lines(json.trim_end()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::access::TlsFiles;
    use rpc_wire::shell_word;
    use serde_json::json;

    pub(super) fn snippet() -> Snippet {
        let keyword = json!({"c": "it's $HOME"});
        Snippet {
            service: Service::default(),
            method: "add".to_owned(),
            args: Args::from_values(&[json!(1), json!("-x")], keyword.as_object().unwrap()),
            parameters: ["a", "b", "c"].map(str::to_owned).to_vec(),
            target: None,
            peer: Some(rpc_wire::instance::Instance::new("127.0.0.1", 8089).key()),
            registry: "http://127.0.0.1:9999".to_owned(),
            timeout: DEFAULT_TIMEOUT,
            stream: false,
            speaks: Speaks::Ours,
            access: Access::default(),
        }
    }

    /// The same where there are TLS, an own certificate and a token.
    pub(super) fn secured() -> Snippet {
        let own = Some(("/tls/own.pem".to_owned(), "/tls/own.key".to_owned()));
        let tls = Some(TlsFiles { ca: Some("/tls/ca.pem".to_owned()), own });
        let token = Some(TokenPlace::File("/my token".to_owned()));
        Snippet { access: Access { tls, token, ..Access::default() }, ..snippet() }
    }

    pub(super) fn shell(script: &str) -> String {
        let output = std::process::Command::new("sh").args(["-c", script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_call_of_another_json_rpc_server_is_copied_in_its_dialect() {
        let by_name = Args::from_values(&[], json!({"a": 1}).as_object().unwrap());
        let at = Speaks::JsonRpcAt("http://127.0.0.1:8545/rpc".to_owned());
        let snippet = Snippet { args: by_name, speaks: at, ..snippet() };
        let request = r#"{"jsonrpc":"2.0","id":1,"method":"add","params":{"a":1}}"#;
        assert_eq!(snippet.write(Format::Wire).unwrap(), request);
        let rpcd = "rpcd call -i http://127.0.0.1:8545/rpc -- add a=1";
        assert_eq!(snippet.write(Format::Rpcd).unwrap(), rpcd);
        let curl = format!(
            "curl -H 'content-type: application/json' -d '{request}' -- http://127.0.0.1:8545/rpc"
        );
        assert_eq!(snippet.write(Format::Curl).unwrap(), curl);
        for format in [Format::Rust, Format::Python, Format::Netcat] {
            assert!(snippet.write(format).is_err(), "{format:?}");
        }
        let over_tcp = Snippet { speaks: Speaks::JsonRpc, ..snippet };
        assert_eq!(over_tcp.write(Format::Wire).unwrap(), request);
        assert!(over_tcp.write(Format::Rust).is_ok() && over_tcp.write(Format::Curl).is_err());
    }

    #[test]
    fn a_shell_passes_on_exactly_the_quoted_word() {
        for word in [
            "",
            "a b",
            "it's",
            "$HOME `id` \\ \"",
            "new\nline",
            "*",
            "plain-1.5",
            "-n",
            "=ls",
            "a=b",
            "$(reboot)",
            "ü*?~#;&|<>",
        ] {
            assert_eq!(shell(&format!("printf '%s.' {}", shell_word(word))), format!("{word}."));
        }
    }

    #[test]
    fn hidden_characters_are_escaped_or_refused_in_every_format() {
        let mut snippet = snippet();
        let keyword = json!({"c": "\u{9b}31m\u{202e}\u{200b}\u{e0041}\"#"});
        snippet.args = Args::from_values(&[], keyword.as_object().unwrap());
        "add\u{200b}\"".clone_into(&mut snippet.method);
        for format in Format::ALL {
            match snippet.write(format) {
                Ok(copied) => {
                    let hidden = |c: char| is_hidden(c) && c != '\n';
                    assert!(!copied.contains(hidden), "{format:?} {copied:?}");
                }
                Err(why) if format == Format::Mcp => assert!(why.contains("another name"), "{why}"),
                Err(why) => assert_eq!((format, why.contains("invisible")), (Format::Rpcd, true)),
            }
        }
        let printed = snippet.write(Format::Netcat).unwrap();
        let sent: serde_json::Value =
            serde_json::from_str(&shell(printed.split_once(" | ").unwrap().0)).unwrap();
        assert_eq!(sent["method_kwargs"], keyword, "it is the same call");
    }
}
