//! Values that say where something is: ports, hosts, addresses, networks, origins.

use std::fmt::{self, Display};
use std::str::FromStr;

/// A TCP port.
pub(crate) mod port {
    pub(crate) fn read(text: &str) -> Result<u16, String> {
        match text.parse() {
            Ok(0) | Err(_) => Err("expected a port from 1 to 65535".to_owned()),
            Ok(port) => Ok(port),
        }
    }

    pub(crate) fn show(value: &u16) -> String {
        value.to_string()
    }
}

/// An IP literal (IPv6 bare or in brackets) or a name; kept without brackets.
pub(crate) mod host {
    pub(crate) fn read(text: &str) -> Result<String, String> {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        let is_address = bare.parse::<std::net::Ipv6Addr>().is_ok();
        // Names in brackets are accepted too; the underscore is common in container networks.
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
        };
        let name = bare.strip_suffix('.').unwrap_or(bare);
        if !is_address && (bare.len() > 253 || !name.split('.').all(is_label)) {
            return Err("expected an IP address or a host name, without scheme or port".to_owned());
        }
        Ok(bare.to_owned())
    }

    pub(crate) fn show(value: &str) -> String {
        value.to_owned()
    }
}

/// The address a server registers, if it is not the one it listens on. Displays as `HOST` or
/// `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// An IP literal (IPv6 without brackets) or a name.
    pub host: String,
    /// `None`: the port it listens on.
    pub port: Option<u16>,
}

impl FromStr for Advertised {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(host) = host::read(text) {
            return Ok(Self { host, port: None });
        }
        let both = text.rsplit_once(':').and_then(|(host, port)| {
            Some(Self { host: host::read(host).ok()?, port: Some(port::read(port).ok()?) })
        });
        both.ok_or_else(|| "expected HOST or HOST:PORT (IPv6 with a port: [HOST]:PORT)".to_owned())
    }
}

impl Display for Advertised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => f.write_str(&rpc_wire::instance::host_port(&self.host, port)),
            None => f.write_str(&self.host),
        }
    }
}

/// [`Advertised`](super::Advertised), or nothing.
pub(crate) mod advertised {
    use super::Advertised;

    pub(crate) fn read(text: &str) -> Result<Option<Advertised>, String> {
        if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
    }

    pub(crate) fn show(value: &Option<Advertised>) -> String {
        value.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

/// Host names, comma-separated; empty text is an empty list.
pub(crate) mod names {
    pub(crate) fn read(text: &str) -> Result<Vec<String>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        text.split(',').map(|name| super::host::read(name.trim())).collect()
    }

    pub(crate) fn show(value: &[String]) -> String {
        value.join(", ")
    }
}

/// Addresses, comma-separated; empty text is an empty list.
pub(crate) mod addresses {
    use rpc_wire::target::parse_address;

    pub(crate) fn read(text: &str) -> Result<Vec<String>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let address = |item: &str| match parse_address(item.trim()) {
            Ok(_) => Ok(item.trim().to_owned()),
            Err(error) => Err(format!("expected HOST:PORT, comma-separated: {error}")),
        };
        text.split(',').map(address).collect()
    }

    pub(crate) fn show(value: &[String]) -> String {
        value.join(", ")
    }
}

/// Networks, comma-separated; empty text is an empty list. An address is a network of its own.
pub(crate) mod networks {
    use std::net::IpAddr;

    use rpc_registry::IpNet;

    pub(crate) fn read(text: &str) -> Result<Vec<IpNet>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let wrong = || "expected ADDRESS/BITS, comma-separated, such as 10.0.0.0/8".to_owned();
        text.split(',').map(|item| one(item.trim()).ok_or_else(wrong)).collect()
    }

    fn one(text: &str) -> Option<IpNet> {
        text.parse().ok().or_else(|| text.parse().ok().map(|address: IpAddr| address.into()))
    }

    pub(crate) fn show(value: &[IpNet]) -> String {
        let shown: Vec<_> = value.iter().map(ToString::to_string).collect();
        shown.join(", ")
    }
}

/// Web origins, comma-separated; empty text is an empty list. Browsers send an origin in lower case
/// and without a path, and it is compared as text.
pub(crate) mod origins {
    pub(crate) fn read(text: &str) -> Result<Vec<String>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let wrong = || "expected scheme://host[:port], comma-separated".to_owned();
        text.split(',').map(|item| one(item.trim()).ok_or_else(wrong)).collect()
    }

    fn one(text: &str) -> Option<String> {
        let (scheme, address) = text.split_once("://")?;
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
        let is_scheme =
            scheme.starts_with(|c: char| c.is_ascii_lowercase()) && scheme.chars().all(letters);
        // IPv6 has brackets here, with or without a port.
        let host_only = (!address.contains(':') || address.ends_with(']'))
            .then(|| super::host::read(address).ok())
            .flatten();
        let with_port = || {
            let (host, port) = address.rsplit_once(':')?;
            let is_bare_ipv6 = host.contains(':') && !host.starts_with('[');
            super::host::read(host).ok().filter(|_| !is_bare_ipv6)?;
            super::port::read(port).ok()
        };
        let lower = !address.contains(|c: char| c.is_uppercase());
        (is_scheme && lower && (host_only.is_some() || with_port().is_some()))
            .then(|| text.to_owned())
    }

    pub(crate) fn show(value: &[String]) -> String {
        value.join(", ")
    }
}
