//! How programs reach a registry and its servers as the console does: by which TLS, and where the token is. Never what
//! it is.

use std::net::IpAddr;

/// How registry and servers are reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// The files of TLS; `None`: plain text.
    pub tls: Option<TlsFiles>,
    /// Where the token is; `None`: there is none, or it is withheld.
    pub token: Option<TokenPlace>,
    /// Whether the token is shown to other machines in plain text, too.
    pub in_plain: bool,
    /// Why no token is shown, although there is one.
    pub withheld: Option<String>,
}

/// The files of TLS, by their absolute paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authorities that are trusted; `None`: those of the system.
    pub ca: Option<String>,
    /// The own certificate and its key.
    pub own: Option<(String, String)>,
}

/// Where a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenPlace {
    /// In the environment variable `RPCD_TOKEN`.
    Environment,
    /// In the file at this absolute path.
    File(String),
}

impl Access {
    /// Where the token is, if it may be shown to this host.
    pub fn token_for(&self, host: &str) -> Option<&TokenPlace> {
        let is_private = self.tls.is_some() || self.in_plain || is_loopback(host);
        self.token.as_ref().filter(|_| is_private)
    }
}

/// Whether a host is this machine.
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_loopback() {
        for host in ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.7", "0.0.0.0", "localhost.example", "127.0.0.1.example", "", "db"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_token_is_shown_inside_tls_or_to_this_machine() {
        let token = Some(TokenPlace::Environment);
        let plain = Access { token, ..Access::default() };
        let secure = Access { tls: Some(TlsFiles::default()), ..plain.clone() };
        let everywhere = Access { in_plain: true, ..plain.clone() };
        assert!(plain.token_for("127.0.0.1").is_some() && plain.token_for("10.0.0.7").is_none());
        assert!(secure.token_for("10.0.0.7").is_some());
        assert!(everywhere.token_for("10.0.0.7").is_some());
    }
}
