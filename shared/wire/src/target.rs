//! What a client calls: one address, or the instances that a registry lists.

/// What a client calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One server.
    Direct {
        /// A name or an IP literal; IPv6 without brackets.
        host: String,
        /// Its TCP port, never 0.
        port: u16,
    },
    /// The instances that a registry lists.
    Registry {
        /// For example `http://127.0.0.1:9999`, or `http://10.0.0.5:9999,10.0.0.6:9999` where several share what
        /// they know.
        url: String,
    },
    /// One JSON-RPC 2.0 server, over HTTP, or over TCP where it is not to be asked what it speaks.
    JsonRpc {
        /// Where requests are posted, for example `http://127.0.0.1:8545/rpc`; or `jsonrpc+tcp://127.0.0.1:4000`.
        url: String,
    },
}

/// A text that is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{address}` is not an address: {why}; write host:port, for example 127.0.0.1:8000")]
pub struct AddressError {
    /// The text.
    pub address: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Target {
    /// One server, written as `host:port`, IPv6 literals in brackets.
    ///
    /// # Errors
    /// It is not an address.
    pub fn direct(address: &str) -> Result<Self, AddressError> {
        let (host, port) = parse_address(address)?;
        Ok(Self::Direct { host, port })
    }

    /// Host and port of the one server; `None` for a registry.
    pub fn host_and_port(&self) -> Option<(String, u16)> {
        match self {
            Self::Direct { host, port } => Some((host.clone(), *port)),
            Self::JsonRpc { url } => parse_url(url).ok(),
            Self::Registry { .. } => None,
        }
    }

    /// The same as `host:port`.
    pub fn address(&self) -> Option<String> {
        self.host_and_port().map(|(host, port)| host_port(&host, port))
    }

    /// One server, written as `host:port`, or as the URL where it takes JSON-RPC 2.0, see [`parse_url`].
    ///
    /// # Errors
    /// It is neither.
    pub fn server(text: &str) -> Result<Self, AddressError> {
        if !text.contains("://") {
            return Self::direct(text);
        }
        parse_url(text)?;
        Ok(Self::JsonRpc { url: text.to_owned() })
    }
}

/// What the URL of a JSON-RPC 2.0 server over TCP begins with.
pub const JSON_RPC_TCP: &str = "jsonrpc+tcp://";

/// The host and port of an `http://` or `https://` URL without a name and password, which would be shown wherever
/// the URL is; or of `jsonrpc+tcp://HOST:PORT`.
///
/// # Errors
/// It is no such URL.
pub fn parse_url(url: &str) -> Result<(String, u16), AddressError> {
    let bad = |why| AddressError { address: url.to_owned(), why };
    if let Some(address) = url.strip_prefix(JSON_RPC_TCP) {
        return parse_address(address).map_err(|error| bad(error.why));
    }
    let (rest, default) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (rest, 80),
        (_, Some(rest)) => (rest, 443),
        _ => return Err(bad("a URL starts with http://, https:// or jsonrpc+tcp://")),
    };
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad("a URL has only visible ASCII characters"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.contains('@') {
        return Err(bad("a URL with a name or password would show it"));
    }
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(host, _)| !authority.starts_with('[') || host.ends_with(']'));
    match has_port {
        true => parse_address(authority),
        false => parse_address(&format!("{authority}:{default}")),
    }
    .map_err(|error| bad(error.why))
}

/// Splits `host:port`; IPv6 literals in brackets.
///
/// # Errors
/// It is not an address.
pub fn parse_address(address: &str) -> Result<(String, u16), AddressError> {
    let bad = |why| AddressError { address: address.to_owned(), why };
    let (host, port) = address.rsplit_once(':').ok_or_else(|| bad("it has no port"))?;
    let port = match port.parse::<u16>() {
        Ok(port) if port > 0 => port,
        _ => return Err(bad("the port must be a number from 1 to 65535")),
    };
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or_else(|| bad("a bracket is not closed"))?,
        None if host.contains(':') => return Err(bad("an IPv6 address goes in brackets")),
        None => host,
    };
    if host.is_empty() {
        return Err(bad("it has no host"));
    }
    if host.contains(['[', ']']) {
        return Err(bad("only an IPv6 address goes in brackets"));
    }
    if !is_host(host) {
        return Err(bad("its host is neither an IP address nor a name"));
    }
    Ok((host.to_owned(), port))
}

/// Whether it is an IP literal (IPv6 bare, without a zone) or a host name: RFC 1123, and the
/// underscore, which container networks use. A last label of digits alone, or `0x…`, is no name:
/// resolvers take it for an address in another notation.
pub fn is_host(text: &str) -> bool {
    if text.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.starts_with("0x")
        || last.starts_with("0X");
    text.len() <= MAX_HOST_BYTES && name.split('.').all(is_label) && !is_number
}

/// The length of the longest host name.
pub const MAX_HOST_BYTES: usize = 253;

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Direct { host, port } => f.write_str(&host_port(host, *port)),
            Self::Registry { url } | Self::JsonRpc { url } => f.write_str(url),
        }
    }
}

/// `host:port`, with an IPv6 literal in brackets.
pub fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, expected: Option<(&str, u16)>) {
        let parsed = parse_address(address).ok();
        assert_eq!(parsed, expected.map(|(host, port)| (host.to_owned(), port)), "{address}");
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        check("localhost:8000", Some(("localhost", 8000)));
        check("127.0.0.1:1", Some(("127.0.0.1", 1)));
        check("[::1]:65535", Some(("::1", 65535)));
    }

    #[test]
    fn anything_else_is_refused() {
        for address in [
            "",
            "host",
            ":80",
            "host:",
            "host:0",
            "host:65536",
            "::1:80",
            "[::1:80",
            "[[::1]:80",
            "a]:1",
            "a b:1",
            "$(id):1",
            "0x7f000001:1",
        ] {
            check(address, None);
        }
    }

    #[test]
    fn a_host_is_an_ip_literal_or_a_name() {
        for host in
            ["127.0.0.1", "::1", "::ffff:1.2.3.4", "a", "my_web-1.example.org.", "3f2a", "a.1b"]
        {
            assert!(is_host(host), "{host}");
        }
        let long = "a.".repeat(127);
        let label = "a".repeat(64);
        for host in [
            "",
            ".",
            "-l",
            "-e/bin/sh",
            "$(id)",
            ";id",
            "a b",
            "a\u{200b}",
            "a\u{202e}",
            "127.0.0.1:1",
            "fe80::1%eth0",
            "a..b",
            "a-",
            "é",
            "127.1",
            "2130706433",
            "0x7f000001",
            "1.0x1",
            &long,
            &label,
        ] {
            assert!(!is_host(host), "{host}");
        }
    }

    #[test]
    fn a_url_has_a_host_and_the_port_of_its_scheme() {
        for (url, expected) in [
            ("http://h", Some(("h", 80))),
            ("https://h/rpc?a=b", Some(("h", 443))),
            ("http://127.0.0.1:8545/", Some(("127.0.0.1", 8545))),
            ("http://[::1]/x:1", Some(("::1", 80))),
            ("https://[::1]:7#x", Some(("::1", 7))),
            ("jsonrpc+tcp://[::1]:4000", Some(("::1", 4000))),
            ("jsonrpc+tcp://h", None),
            ("jsonrpc+tcp://h:1/path", None),
            ("jsonrpc+tcp://user@h:1", None),
            ("ftp://h", None),
            ("h:1", None),
            ("http://", None),
            ("http:///rpc", None),
            ("http://h:0", None),
            ("http://h:x", None),
            ("http://::1", None),
            ("http://user:secret@h", None),
            ("http://h/a b", None),
            ("http://h/\u{1b}[2J", None),
        ] {
            let parsed = parse_url(url).ok();
            assert_eq!(parsed, expected.map(|(host, port)| (host.to_owned(), port)), "{url}");
        }
        assert_eq!(Target::server("h:1"), Target::direct("h:1"));
        let url = "http://h:1/rpc".to_owned();
        let target = Target::server(&url).unwrap();
        assert_eq!((target.to_string(), target.address()), (url, Some("h:1".to_owned())));
    }

    #[test]
    fn any_text_is_an_address_that_can_be_written_again_or_an_error() {
        rpc_fuzz::text("address", |text| {
            if let Ok((host, port)) = parse_address(text) {
                assert_eq!(parse_address(&host_port(&host, port)).unwrap(), (host, port));
            }
        });
    }
}
