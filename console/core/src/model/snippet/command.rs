//! A call as a command for a shell.

use rpc_wire::instance::InstanceKey;
use rpc_wire::shell_word;

use super::{DEFAULT_TIMEOUT, Snippet, Speaks, command_line, environment, introduction, marked};

impl Snippet {
    /// The instance to call, if its host is not an option for the command that gets it.
    fn target(&self) -> Result<Option<&InstanceKey>, String> {
        match &self.target {
            Some(key) if key.host.starts_with('-') => Err(format!("{key} is no address")),
            target => Ok(target.as_ref()),
        }
    }

    /// The arguments as words of a command line, with marked names of variables.
    pub(super) fn words(&self) -> Result<Vec<String>, String> {
        marked(&self.args)?.to_words().map_err(|error| error.to_string())
    }

    /// Where it is called, as options of `rpcd`.
    pub(super) fn place(&self) -> Result<Vec<String>, String> {
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

    pub(super) fn rpcd(&self) -> Result<String, String> {
        let mut words = vec!["rpcd".to_owned(), "call".to_owned()];
        words.extend(self.access.options());
        words.extend(self.place()?);
        if self.stream {
            words.push("--stream".to_owned());
        } else if self.timeout != DEFAULT_TIMEOUT {
            words.extend(["--timeout".to_owned(), crate::text::flag_duration(self.timeout)]);
        }
        // Arguments may look like options.
        words.extend(["--".to_owned(), self.method.clone()]);
        words.extend(self.words()?);
        Ok(self.access.variables()? + &command_line(&words)?)
    }

    pub(super) fn netcat(&self) -> Result<String, String> {
        if self.stream {
            return Err(
                "nc closes its side when it has sent, which ends a stream: use curl".to_owned()
            );
        }
        if self.access.tls.is_some() {
            return Err("nc has no TLS: use curl, Python or rpcd".to_owned());
        }
        let peer = self.peer()?;
        let nc = format!("nc -N -- {} {}", shell_word(&peer.host), peer.port);
        let wire = environment::shell(&self.marked_wire()?)?;
        Ok(match self.token() {
            None => format!("printf %s {wire} | {nc}"),
            Some(token) => {
                let shown = environment::shell(&introduction(&token.mark()))?;
                format!("printf '%s\\n' {shown} {wire} | {nc}")
            }
        })
    }

    pub(super) fn curl(&self) -> Result<String, String> {
        let args = marked(&self.args)?;
        let scheme = if self.access.tls.is_some() { "https" } else { "http" };
        let (url, body) = match &self.speaks {
            Speaks::JsonRpcAt(url) if url.starts_with("http") => {
                (url.clone(), self.json_rpc(&args)?)
            }
            Speaks::JsonRpc | Speaks::JsonRpcAt(_) => {
                return Err("the server does not speak HTTP".to_owned());
            }
            Speaks::Ours if self.stream => {
                let path = in_path(&self.method);
                (format!("{scheme}://{}/call/{path}", self.peer()?), self.params(&args)?)
            }
            Speaks::Ours => (format!("{scheme}://{}/rpc", self.peer()?), self.json_rpc(&args)?),
        };
        let (body, url) = (environment::shell(&body)?, command_line(&[url])?);
        let mut command = vec!["curl".to_owned()];
        // Without -N it keeps the items back.
        command.extend(self.stream.then(|| "-N".to_owned()));
        // On its command line others could read the token.
        let shown = self.token().map(|token| environment::shell(&token.mark())).transpose()?;
        command.extend(shown.iter().flat_map(|_| ["-H".to_owned(), "@-".to_owned()]));
        command.extend(self.access.of_curl());
        let shown = shown.map(|token| format!("printf 'Authorization: Bearer %s\\n' {token} | "));
        let (shown, command) = (shown.unwrap_or_default(), command_line(&command)?);
        Ok(format!("{shown}{command} -H 'content-type: application/json' -d {body} -- {url}"))
    }
}

/// A name as a part of a URL's path.
fn in_path(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encoded = name.bytes().map(|byte| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rpc_wire::call::Args;
    use serde_json::json;

    use super::super::tests::{shell, snippet};
    use super::super::{Format, Snippet};
    use crate::model::service::Service;

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
}
