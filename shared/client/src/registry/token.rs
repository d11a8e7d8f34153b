//! The token that is shown to a registry, and where it may go.

use std::net::IpAddr;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::{RegistryClientError, RegistryClientOptions};

/// A token, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// Marked as sensitive: neither logged nor compressed.
    header: HeaderValue,
    /// Whether it is sent in plain text as well.
    allow_plaintext: bool,
}

impl Token {
    /// That of the options.
    ///
    /// # Errors
    /// It cannot be sent in a header.
    pub(super) fn of(options: &RegistryClientOptions) -> Result<Option<Self>, RegistryClientError> {
        let header = options.token.as_ref().map(header).transpose()?;
        let allow_plaintext = options.allow_plaintext_token;
        Ok(header.map(|header| Self { header, allow_plaintext }))
    }

    /// What is sent to this address: nothing where others could read it.
    pub(super) fn for_address(&self, url: &Url) -> Option<HeaderValue> {
        let is_private = url.scheme() == "https" || is_loopback(url) || self.allow_plaintext;
        is_private.then(|| self.header.clone())
    }
}

fn header(token: &SecretString) -> Result<HeaderValue, RegistryClientError> {
    let text = SecretString::from(format!("Bearer {}", token.expose_secret()));
    let mut header =
        HeaderValue::from_str(text.expose_secret()).map_err(|_| RegistryClientError::BadToken)?;
    header.set_sensitive(true);
    Ok(header)
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

    const SECRET: &str = "canary-canary-canary-canary-canary";

    fn token(allow_plaintext_token: bool) -> Token {
        let token = Some(SECRET.into());
        let options = RegistryClientOptions { token, allow_plaintext_token, ..Default::default() };
        Token::of(&options).unwrap().unwrap()
    }

    #[test]
    fn it_goes_over_tls_or_to_this_machine_unless_plain_text_is_allowed() {
        for (url, is_sent) in [
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
            assert_eq!(token(false).for_address(&url).is_some(), is_sent, "{url}");
            assert!(token(true).for_address(&url).is_some(), "{url}");
        }
    }

    #[test]
    fn nothing_that_is_printed_has_it() {
        let url = Url::parse("http://127.0.0.1:1").unwrap();
        let token = token(false);
        assert!(!format!("{token:?} {:?}", token.for_address(&url)).contains("canary"));
        let wrong = "canary\ncanary-canary-canary-canary";
        let options = RegistryClientOptions { token: Some(wrong.into()), ..Default::default() };
        let error = Token::of(&options).unwrap_err();
        assert!(!format!("{error} {error:?} {options:?}").contains("canary"));
    }
}
