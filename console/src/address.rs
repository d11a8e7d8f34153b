//! The address of one server, as given on the command line.

use std::net::{Ipv4Addr, Ipv6Addr};

use rpc_wire::target::Target;

/// Longest name of a host, in bytes.
const MAX_NAME: usize = 253;

/// The server that a person means by `text`.
///
/// # Errors
/// It is not `HOST:PORT`; the error says what to write instead.
pub(crate) fn server(text: &str) -> Result<Target, String> {
    if text.contains("://") {
        return Err(format!(
            "{text} is a URL; write HOST:PORT for one server, or --registry {text} for a registry"
        ));
    }
    let target = Target::direct(text).map_err(|error| error.to_string())?;
    if let Target::Direct { host, .. } = &target {
        let in_brackets = text.starts_with('[');
        check_host(host, in_brackets).map_err(|why| {
            format!("`{text}` is not an address: {why}; write host:port, for example 127.0.0.1:8000")
        })?;
    }
    Ok(target)
}

/// Whether a text is an IP address or can be a name. What looks like a number is no name: the system
/// would read `0x7f.1` as an address that nobody recognizes.
fn check_host(host: &str, in_brackets: bool) -> Result<(), &'static str> {
    if in_brackets {
        let address = host.split('%').next().unwrap_or(host);
        return address.parse::<Ipv6Addr>().map(drop).map_err(|_| "no IPv6 address is in brackets");
    }
    if host.parse::<Ipv4Addr>().is_ok() {
        return Ok(());
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_allowed = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let is_label =
        |label: &str| !label.is_empty() && !label.starts_with('-') && label.chars().all(is_allowed);
    if name.len() > MAX_NAME || !name.split('.').all(is_label) {
        return Err("the host is neither a name nor an IP address");
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    let digits = last.strip_prefix("0x").or(last.strip_prefix("0X"));
    let is_number = match digits {
        Some(digits) => digits.chars().all(|c| c.is_ascii_hexdigit()),
        None => last.chars().all(|c| c.is_ascii_digit()),
    };
    if is_number { Err("an IPv4 address is four decimal numbers") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ip_addresses_are_hosts() {
        for text in [
            "localhost:1",
            "127.0.0.1:8089",
            "[::1]:8089",
            "[fe80::1%eth0]:1",
            "db-1.example.org.:80",
            "my_service:80",
            "0xcafe.example:80",
            "bücher.example:80",
            "7up:80",
        ] {
            assert!(server(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_the_reason() {
        for (text, why) in [
            ("a b:1", "neither a name nor an IP address"),
            ("a\tb:1", "neither a name nor an IP address"),
            ("user@host:1", "neither a name nor an IP address"),
            ("-x:1", "neither a name nor an IP address"),
            ("a..b:1", "neither a name nor an IP address"),
            ("0x7f000001:1", "four decimal numbers"),
            ("0X7F.1:1", "four decimal numbers"),
            ("2130706433:1", "four decimal numbers"),
            ("127.1:1", "four decimal numbers"),
            ("256.0.0.1:1", "four decimal numbers"),
            ("[localhost]:1", "no IPv6 address"),
            ("localhost", "it has no port"),
            ("http://127.0.0.1:9999", "--registry http://127.0.0.1:9999"),
        ] {
            let error = server(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
