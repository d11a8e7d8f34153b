//! The token that is shown to a registry or an HTTP server, and where it may go.

use std::net::IpAddr;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::{RegistryClientError, RegistryClientOptions};
use crate::Token;

/// A token, and whether others on the way may read it.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    token: Token,
    allow_plaintext: bool,
}

impl Credential {
    /// That of the options, if they have one.
    pub(crate) fn of(options: &RegistryClientOptions) -> Option<Self> {
        let token = options.token.clone()?;
        Some(Self { token, allow_plaintext: options.allow_plaintext_token })
    }

    /// Whether it may be sent there: over TLS, or to this machine, unless that is of no matter.
    pub(crate) fn may_go_to(&self, url: &Url) -> bool {
        url.scheme() == "https" || is_loopback(url) || self.allow_plaintext
    }

    /// What is sent: the latest secret, marked as sensitive, so that nobody logs it.
    ///
    /// # Errors
    /// It cannot be sent in a header.
    pub(crate) async fn header(&self) -> Result<HeaderValue, RegistryClientError> {
        let secret = self.token.look().await;
        let text = SecretString::from(format!("Bearer {}", secret.expose_secret()));
        let mut header = HeaderValue::from_str(text.expose_secret())
            .map_err(|_| RegistryClientError::BadToken)?;
        header.set_sensitive(true);
        Ok(header)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(secret: &str, allow_plaintext: bool) -> Credential {
        Credential { token: Token::new(secret.into()), allow_plaintext }
    }

    #[test]
    fn it_goes_over_tls_or_to_this_machine_unless_plain_text_is_allowed() {
        for (url, may) in [
            ("http://127.0.0.1:1", true),
            ("http://127.9.9.9:1", true),
            ("http://[::1]:1", true),
            ("http://[::ffff:127.0.0.1]:1", true),
            ("http://localhost:1", true),
            ("https://registry.example:1", true),
            ("http://registry.example:1", false),
            ("http://localhost.example:1", false),
            ("http://127.0.0.1.example:1", false),
            ("http://10.0.0.1:1", false),
            ("http://0.0.0.0:1", false),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(credential("x", false).may_go_to(&url), may, "{url}");
            assert!(credential("x", true).may_go_to(&url), "{url}");
        }
    }

    #[tokio::test]
    async fn nothing_that_is_printed_has_it() {
        let good = credential("canary-canary", false);
        let header = good.header().await.unwrap();
        assert_eq!(header.as_bytes(), b"Bearer canary-canary");
        assert!(!format!("{good:?} {header:?}").contains("canary"));
        let error = credential("canary\ncanary", false).header().await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
