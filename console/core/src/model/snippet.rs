//! A call as text for a shell, a script or a program.

mod environment;
mod mcp;

use std::borrow::Cow;
use std::time::Duration;

use rpc_wire::call::{Args, request};
use rpc_wire::instance::InstanceKey;
use rpc_wire::is_hidden;

use super::service::Service;
use crate::text;
use environment::Part;
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
}

/// What the server of a call speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Speaks {
    /// The dialects of our servers and the older ones.
    #[default]
    Ours,
    /// JSON-RPC 2.0 over TCP.
    JsonRpc,
    /// JSON-RPC 2.0 over HTTP, at this URL.
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
    /// A shell command with `curl`: JSON-RPC 2.0 over HTTP.
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
        let plain =
            || if self.stream { Err("streams need rpcd or Rust".to_owned()) } else { Ok(()) };
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
            Format::Wire => Ok(wire(&self.method, &self.args)),
            Format::Rust => self.rust(),
            Format::Python => plain().and_then(|()| self.python()),
            Format::Netcat => plain().and_then(|()| self.netcat()),
        }
    }

    /// The request in JSON-RPC 2.0.
    fn json_rpc(&self, args: &Args) -> Result<String, String> {
        let names = self.parameters.iter().map(String::as_str);
        let named = if args.in_one().is_some() { None } else { args.by_name(names) };
        let params = named.as_ref().unwrap_or(args).in_one();
        let params = params.ok_or("JSON-RPC takes arguments by position or by name, not both")?;
        Ok(json_rpc(&self.method, params))
    }

    fn curl(&self) -> Result<String, String> {
        let url = match (&self.speaks, self.stream) {
            (Speaks::JsonRpcAt(url), _) => url.clone(),
            (Speaks::JsonRpc, _) => return Err("the server does not speak HTTP".to_owned()),
            (Speaks::Ours, true) => return Err("streams need rpcd or Rust".to_owned()),
            (Speaks::Ours, false) => format!("http://{}/rpc", self.peer()?),
        };
        let body = environment::shell(&self.json_rpc(&marked(&self.args)?)?)?;
        let url = command_line(&[url])?;
        Ok(format!("curl -H 'content-type: application/json' -d {body} -- {url}"))
    }

    /// The request with marked names of variables.
    fn marked_wire(&self) -> Result<String, String> {
        Ok(wire(&self.method, &marked(&self.args)?))
    }

    /// The instance to call, if its host is not an option for the command that gets it.
    fn target(&self) -> Result<Option<&InstanceKey>, String> {
        match &self.target {
            Some(key) if key.host.starts_with('-') => Err(format!("{key} is no address")),
            target => Ok(target.as_ref()),
        }
    }

    /// The arguments as words of a command line, with marked names of variables.
    fn words(&self) -> Result<Vec<String>, String> {
        marked(&self.args)?.to_words().map_err(|error| error.to_string())
    }

    fn peer(&self) -> Result<&InstanceKey, String> {
        self.peer.as_ref().ok_or_else(|| "no instance has the method".to_owned())
    }

    /// Where it is called, as options of `rpcd`.
    fn place(&self) -> Result<Vec<String>, String> {
        let mut words = Vec::new();
        match self.target()? {
            _ if let Speaks::JsonRpcAt(url) = &self.speaks => {
                words.extend(["-i".to_owned(), url.clone()]);
            }
            Some(key) => {
                words.extend(["-i".to_owned(), key.host.clone()]);
                words.extend(["-p".to_owned(), key.port.to_string()]);
            }
            None => {
                words.extend(["--registry".to_owned(), self.registry.clone()]);
                let service = self.service.name();
                words.extend(
                    service.into_iter().flat_map(|name| ["--service".to_owned(), name.to_owned()]),
                );
            }
        }
        Ok(words)
    }

    fn rpcd(&self) -> Result<String, String> {
        let mut words = vec!["rpcd".to_owned(), "call".to_owned()];
        words.extend(self.place()?);
        if self.stream {
            words.push("--stream".to_owned());
        } else if self.timeout != DEFAULT_TIMEOUT {
            words.extend(["--timeout".to_owned(), crate::text::flag_duration(self.timeout)]);
        }
        // Arguments may look like options.
        words.extend(["--".to_owned(), self.method.clone()]);
        words.extend(self.words()?);
        command_line(&words)
    }

    fn netcat(&self) -> Result<String, String> {
        let peer = self.peer()?;
        let (wire, host) = (environment::shell(&self.marked_wire()?)?, quote(&peer.host));
        Ok(format!("printf %s {wire} | nc -N -- {host} {}", peer.port))
    }

    /// A whole program; tests compare it with `examples/copied_call.rs`, which is compiled.
    fn rust(&self) -> Result<String, String> {
        let method = &self.method;
        let timeout = match self.timeout.subsec_nanos() {
            0 => format!("from_secs({})", self.timeout.as_secs()),
            _ => format!("from_millis({})", self.timeout.as_millis()),
        };
        let open = match &self.target {
            Some(key) => format!("direct({:?}, options)?", key.to_string()),
            None => {
                let service = self.service.name();
                let service = service.map(|name| format!(".service({})", debug(name)));
                let service = service.unwrap_or_default();
                format!("through_registry({:?}, options)?{service}", self.registry)
            }
        };
        let words: Vec<String> = self.words()?.iter().map(|word| expression(word)).collect();
        let args = match &words[..] {
            [] => "let args = Args::none();".to_owned(),
            words => format!("let args = Args::from_words([{}])?;", words.join(", ")),
        };
        let send = if self.stream {
            format!(
                "for item in client.stream({method:?}, args)? {{\n        \
                     println!(\"{{}}\", item?.value);\n    \
                 }}"
            )
        } else {
            format!("println!(\"{{}}\", client.call({method:?}, args)?);")
        };
        Ok(format!(
            "use std::time::Duration;\n\
             \n\
             use rpc_client::blocking::Client;\n\
             use rpc_client::{{Args, ClientOptions}};\n\
             \n\
             fn main() -> Result<(), Box<dyn std::error::Error>> {{\n    \
                 let timeout = Duration::{timeout};\n    \
                 let options = ClientOptions {{ timeout, ..ClientOptions::default() }};\n    \
                 let client = Client::{open};\n    \
                 {args}\n    \
                 {send}\n    \
                 Ok(())\n\
             }}\n"
        ))
    }

    fn python(&self) -> Result<String, String> {
        let peer = self.peer()?;
        let request = self.marked_wire()?;
        let (request, host) = (environment::python(&request), environment::python(&peer.host));
        let (modules, request) = match request.contains("os.environ[") {
            true => ("json, os, socket", format!("({request})")),
            false => ("json, socket", request),
        };
        let (port, timeout) = (peer.port, self.timeout.as_secs_f64());
        Ok(format!(
            "import {modules}\n\
             \n\
             with socket.create_connection(({host}, {port}), timeout={timeout}) as server:\n    \
                 server.sendall({request}.encode())\n    \
                 server.shutdown(socket.SHUT_WR)\n    \
                 reply = b\"\".join(iter(lambda: server.recv(65536), b\"\"))\n\
             print(json.loads(reply))\n"
        ))
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

/// Quotes a word for a POSIX shell. Not with `shlex`: it quotes every `=` and `,`, so that each
/// keyword argument would be quoted.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,@%+=".contains(c);
    // zsh expands a leading `=` to the path of a command.
    if !word.is_empty() && !word.starts_with('=') && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A Rust string literal, raw if that is easier to read.
fn literal(text: &str) -> String {
    if !text.contains(['"', '\\']) || text.contains(is_hidden) {
        return debug(text);
    }
    let mut hashes = "#".to_owned();
    while text.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    format!("r{hashes}\"{text}\"{hashes}")
}

/// A Rust string literal in which every hidden character is escaped.
fn debug(text: &str) -> String {
    let mut escaped = String::new();
    for c in format!("{text:?}").chars() {
        if is_hidden(c) { escaped.extend(c.escape_unicode()) } else { escaped.push(c) }
    }
    escaped
}

/// A word as an expression of Rust.
fn expression(word: &str) -> String {
    let parts = environment::parts(word);
    if !parts.iter().any(|part| matches!(part, Part::Variable(_))) {
        return literal(word);
    }
    let (mut format, mut values) = (String::new(), String::new());
    for part in parts {
        match part {
            Part::Text(text) => format.push_str(&text.replace('{', "{{").replace('}', "}}")),
            Part::Variable(name) => {
                format.push_str("{}");
                values.push_str(&format!(", std::env::var({name:?})?"));
            }
        }
    }
    format!("format!({}{values}).as_str()", debug(&format))
}

/// The request in the dialect of its server, with hidden characters escaped. JSON-RPC takes all arguments by name where
/// some have names.
pub fn in_dialect<'a>(
    speaks: &Speaks,
    method: &str,
    args: &Args,
    names: impl IntoIterator<Item = &'a str>,
) -> String {
    if *speaks == Speaks::Ours {
        return wire(method, args);
    }
    let named = if args.in_one().is_some() { None } else { args.by_name(names) };
    let args = named.as_ref().unwrap_or(args);
    json_rpc(method, args.in_one().unwrap_or(args.positional()))
}

/// A request in JSON-RPC 2.0.
fn json_rpc(method: &str, params: &str) -> String {
    let mut out = Vec::new();
    request::json_rpc(&mut out, 1, method, params);
    let json = String::from_utf8(out).unwrap_or_default();
    text::printable_lines(json.trim_end()).into_owned()
}

/// The request in the classic dialect, with hidden characters escaped.
pub fn wire(method: &str, args: &Args) -> String {
    let mut out = Vec::new();
    request::classic(&mut out, method, args);
    let json = String::from_utf8(out).unwrap_or_default();
    match text::printable_lines(&json) {
        Cow::Borrowed(_) => json,
        Cow::Owned(escaped) => escaped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn snippet() -> Snippet {
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
        }
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
    fn curl_calls_our_servers_in_json_rpc() {
        let args = Args::from_values(&[json!(1), json!("it's")], &serde_json::Map::new());
        let command = Snippet { args, ..snippet() }.write(Format::Curl).unwrap();
        let sent = shell(&command.replace("curl -H", "printf '%s\n' -H"));
        let sent: Vec<_> = sent.lines().collect();
        assert_eq!(
            sent,
            [
                "-H",
                "content-type: application/json",
                "-d",
                r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,"it's"]}"#,
                "--",
                "http://127.0.0.1:8089/rpc"
            ]
        );
        let command = snippet().write(Format::Curl).unwrap();
        assert!(command.contains(r#""params":{"a":1,"b":"-x","c":"#), "{command}");
        let unknown = Snippet { parameters: Vec::new(), ..snippet() };
        assert!(unknown.write(Format::Curl).is_err(), "by position and by name");
    }

    fn shell(script: &str) -> String {
        let output = std::process::Command::new("sh").args(["-c", script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
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
            assert_eq!(shell(&format!("printf '%s.' {}", quote(word))), format!("{word}."));
        }
    }

    #[test]
    fn an_rpcd_command_has_the_target_and_every_argument() {
        let mut snippet = snippet();
        assert_eq!(
            snippet.write(Format::Rpcd).unwrap(),
            r#"rpcd call --registry http://127.0.0.1:9999 -- add 1 '"-x"' 'c="it'\''s $HOME"'"#
        );
        snippet.target.clone_from(&snippet.peer);
        snippet.timeout = Duration::from_secs(30);
        snippet.args = Args::none();
        let expected = "rpcd call -i 127.0.0.1 -p 8089 --timeout 30s -- add";
        assert_eq!(snippet.write(Format::Rpcd).unwrap(), expected);
    }

    #[test]
    fn a_method_of_a_service_is_called_there() {
        let args = Args::none();
        let mut snippet = Snippet { service: Service::named("orders"), args, ..snippet() };
        let command = "rpcd call --registry http://127.0.0.1:9999 --service orders -- add";
        assert_eq!(snippet.write(Format::Rpcd).unwrap(), command);
        let open = r#"through_registry("http://127.0.0.1:9999", options)?.service("orders");"#;
        let rust = snippet.write(Format::Rust).unwrap();
        assert!(rust.contains(open), "{rust}");
        // One server has no choice of services.
        snippet.target.clone_from(&snippet.peer);
        for format in [Format::Rpcd, Format::Rust] {
            assert!(!snippet.write(format).unwrap().contains("service"));
        }
    }

    #[test]
    fn an_nc_command_sends_the_wire_format() {
        let snippet = snippet();
        let command = snippet.write(Format::Netcat).unwrap();
        let (printf, nc) = command.split_once(" | ").unwrap();
        assert_eq!(shell(printf), snippet.write(Format::Wire).unwrap());
        assert_eq!(nc, "nc -N -- 127.0.0.1 8089");
    }

    /// The code of an example, without its header.
    fn example(name: &str) -> String {
        let path = format!("{}/../../examples/{name}.rs", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        text.split_once("\n\nuse ").map(|(_, rest)| format!("use {rest}")).unwrap()
    }

    #[test]
    fn rust_snippets_are_the_compiled_examples() {
        let mut snippet = snippet();
        assert_eq!(snippet.write(Format::Rust).unwrap(), example("copied_call"));
        (snippet.stream, snippet.args) = (true, Args::none());
        snippet.target.clone_from(&snippet.peer);
        "countdown".clone_into(&mut snippet.method);
        assert_eq!(snippet.write(Format::Rust).unwrap(), example("copied_stream"));
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

    #[test]
    fn a_host_that_looks_like_an_option_is_none() {
        let mut snippet = snippet();
        snippet.target = Some(rpc_wire::instance::Instance::new("-e/bin/sh", 80).key());
        snippet.peer.clone_from(&snippet.target);
        assert_eq!(snippet.write(Format::Rpcd).unwrap_err(), "-e/bin/sh:80 is no address");
        let netcat = snippet.write(Format::Netcat).unwrap();
        assert!(netcat.ends_with("nc -N -- -e/bin/sh 80"), "{netcat}");
    }

    #[test]
    fn rust_and_python_escape_quotes_and_hashes() {
        let mut snippet = snippet();
        snippet.args = Args::from_values(&[json!("a\"# b")], &serde_json::Map::new());
        let rust = snippet.write(Format::Rust).unwrap();
        assert!(rust.contains(r####"[r##""a\"# b""##]"####), "{rust}");
        let python = snippet.write(Format::Python).unwrap();
        assert!(python.contains(r#"("127.0.0.1", 8089)"#), "{python}");
        snippet.stream = true;
        assert!(snippet.write(Format::Python).is_err());
    }
}
