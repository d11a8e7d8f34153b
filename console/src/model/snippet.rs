//! A call written for other programs: to be pasted into a shell, a script, a program.

use std::collections::BTreeMap;
use std::time::Duration;

use rpc_wire::call::{Args, request};
use rpc_wire::instance::InstanceKey;
use serde_json::value::RawValue;

/// A call to be written down.
#[derive(Debug, Clone)]
pub struct Snippet {
    /// The method.
    pub method: String,
    /// Its arguments.
    pub args: Args,
    /// The one instance it must go to, or any.
    pub on: Option<InstanceKey>,
    /// An instance that has the method.
    pub peer: Option<InstanceKey>,
    /// The registry's URL.
    pub registry: String,
    /// The time it has.
    pub timeout: Duration,
    /// Whether it answers a stream.
    pub stream: bool,
}

/// For whom it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A shell, with `rpcd`.
    Rpcd,
    /// The bytes themselves.
    Wire,
    /// A Rust program with `rpc_client`.
    Rust,
    /// A Python program, with nothing installed.
    Python,
    /// A shell, with `nc`.
    Netcat,
}

/// What `rpcd call` waits for unless told otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

impl Format {
    /// All of them, in the order of the menu.
    pub const ALL: [Self; 5] = [Self::Rpcd, Self::Wire, Self::Rust, Self::Python, Self::Netcat];

    /// What it is called.
    pub fn title(self) -> &'static str {
        match self {
            Self::Rpcd => "rpcd command",
            Self::Wire => "wire JSON",
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::Netcat => "nc command",
        }
    }
}

impl Snippet {
    /// The call, for `format`.
    ///
    /// # Errors
    /// Why it cannot be written like that.
    pub fn write(&self, format: Format) -> Result<String, String> {
        let plain =
            || if self.stream { Err("a stream needs rpcd or Rust".to_owned()) } else { Ok(()) };
        match format {
            Format::Rpcd => self.rpcd(),
            Format::Wire => Ok(self.wire()),
            Format::Rust => Ok(self.rust()),
            Format::Python => plain().and_then(|()| self.python()),
            Format::Netcat => plain().and_then(|()| self.netcat()),
        }
    }

    fn wire(&self) -> String {
        let mut out = Vec::new();
        request::classic(&mut out, &self.method, &self.args);
        String::from_utf8(out).unwrap_or_default()
    }

    fn peer(&self) -> Result<&InstanceKey, String> {
        self.peer.as_ref().ok_or_else(|| "no instance has the method".to_owned())
    }

    fn rpcd(&self) -> Result<String, String> {
        let mut words = vec!["rpcd".to_owned(), "call".to_owned()];
        match &self.on {
            Some(key) => {
                words.extend(["-i".to_owned(), key.host.clone()]);
                words.extend(["-p".to_owned(), key.port.to_string()]);
            }
            None => words.extend(["--registry".to_owned(), self.registry.clone()]),
        }
        if self.stream {
            words.push("--stream".to_owned());
        } else if self.timeout != DEFAULT_TIMEOUT {
            words.extend(["--timeout".to_owned(), format!("{}s", self.timeout.as_secs())]);
        }
        // Whatever comes is an argument, even if it looks like an option.
        words.extend(["--".to_owned(), self.method.clone()]);
        let bad = |error: serde_json::Error| error.to_string();
        let positional: Vec<&RawValue> =
            serde_json::from_str(self.args.positional()).map_err(bad)?;
        let keyword: BTreeMap<String, &RawValue> =
            serde_json::from_str(self.args.keyword()).map_err(bad)?;
        words.extend(positional.iter().map(|value| value.get().to_owned()));
        for (name, value) in keyword {
            if !is_name(&name) {
                return Err(format!("`{name}` cannot be named on a command line"));
            }
            words.push(format!("{name}={}", value.get()));
        }
        let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
        Ok(words.join(" "))
    }

    fn netcat(&self) -> Result<String, String> {
        let peer = self.peer()?;
        let (wire, host) = (quote(&self.wire()), quote(&peer.host));
        Ok(format!("printf %s {wire} | nc -N {host} {}", peer.port))
    }

    fn rust(&self) -> String {
        let open = match &self.on {
            Some(key) => format!("direct({:?}, ", key.to_string()),
            None => format!("through_registry({:?}, ", self.registry),
        };
        let (positional, keyword) = (raw(self.args.positional()), raw(self.args.keyword()));
        let (kind, timeout) = (if self.stream { "stream" } else { "call" }, self.timeout.as_secs());
        format!(
            "use rpc_client::{{Args, ClientOptions, blocking::Client}};\n\
             \n\
             let timeout = std::time::Duration::from_secs({timeout});\n\
             let client = Client::{open}ClientOptions {{ timeout, ..Default::default() }})?;\n\
             let positional: Vec<serde_json::Value> = serde_json::from_str({positional})?;\n\
             let keyword: serde_json::Map<_, _> = serde_json::from_str({keyword})?;\n\
             let args = Args::from_values(&positional, &keyword);\n\
             let result = client.{kind}({:?}, args)?;\n",
            self.method
        )
    }

    fn python(&self) -> Result<String, String> {
        let peer = self.peer()?;
        // A JSON string is a Python string.
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let (request, host) = (text(&self.wire()), text(&peer.host));
        let (port, timeout) = (peer.port, self.timeout.as_secs());
        Ok(format!(
            "import json, socket\n\
             \n\
             with socket.create_connection(({host}, {port}), timeout={timeout}) as server:\n    \
                 server.sendall({request}.encode())\n    \
                 server.shutdown(socket.SHUT_WR)\n    \
                 reply = b\"\".join(iter(lambda: server.recv(65536), b\"\"))\n\
             print(json.loads(reply))\n"
        ))
    }
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
}

/// The word as a POSIX shell takes it for itself.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The text as a raw string of Rust.
fn raw(text: &str) -> String {
    let mut hashes = "#".to_owned();
    while text.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    format!("r{hashes}\"{text}\"{hashes}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn snippet() -> Snippet {
        let keyword = json!({"c": "it's $HOME"});
        Snippet {
            method: "add".to_owned(),
            args: Args::from_values(&[json!(1), json!("-x")], keyword.as_object().unwrap()),
            on: None,
            peer: Some(rpc_wire::instance::Instance::new("127.0.0.1", 8089).key()),
            registry: "http://127.0.0.1:9999".to_owned(),
            timeout: DEFAULT_TIMEOUT,
            stream: false,
        }
    }

    fn shell(script: &str) -> String {
        let output = std::process::Command::new("sh").args(["-c", script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_shell_hands_over_exactly_what_was_quoted() {
        for word in ["", "a b", "it's", "$HOME `id` \\ \"", "new\nline", "*", "plain-1.5", "-n"] {
            assert_eq!(shell(&format!("printf '%s.' {}", quote(word))), format!("{word}."));
        }
    }

    #[test]
    fn the_command_of_rpcd_names_registry_or_address_and_every_argument() {
        let mut snippet = snippet();
        assert_eq!(
            snippet.write(Format::Rpcd).unwrap(),
            r#"rpcd call --registry http://127.0.0.1:9999 -- add 1 '"-x"' 'c="it'\''s $HOME"'"#
        );
        snippet.on.clone_from(&snippet.peer);
        snippet.timeout = Duration::from_secs(30);
        snippet.args = Args::none();
        let expected = "rpcd call -i 127.0.0.1 -p 8089 --timeout 30s -- add";
        assert_eq!(snippet.write(Format::Rpcd).unwrap(), expected);
    }

    #[test]
    fn nc_gets_the_bytes_of_the_wire() {
        let snippet = snippet();
        let command = snippet.write(Format::Netcat).unwrap();
        let (printf, nc) = command.split_once(" | ").unwrap();
        assert_eq!(shell(printf), snippet.write(Format::Wire).unwrap());
        assert_eq!(nc, "nc -N 127.0.0.1 8089");
    }

    #[test]
    fn rust_and_python_carry_quotes_and_hashes() {
        let mut snippet = snippet();
        snippet.args = Args::from_values(&[json!("a\"# b")], &serde_json::Map::new());
        assert!(snippet.write(Format::Rust).unwrap().contains(r####"r##"["a\"# b"]"##"####));
        let python = snippet.write(Format::Python).unwrap();
        assert!(python.contains(r#"("127.0.0.1", 8089)"#), "{python}");
        snippet.stream = true;
        assert!(snippet.write(Format::Python).is_err());
    }
}
