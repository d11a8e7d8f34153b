//! What a client calls: one address, or the instances that a registry lists.

use crate::instance::host_port;

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
        /// For example `http://127.0.0.1:9999`.
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
    Ok((host.to_owned(), port))
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Direct { host, port } => f.write_str(&host_port(host, *port)),
            Self::Registry { url } => f.write_str(url),
        }
    }
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
        ] {
            check(address, None);
        }
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
