//! The addresses of a registry, one of which is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use url::Url;

use super::RegistryClientError;

/// One registry, or several that share what they know. Clones use the same one.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    /// As given.
    text: Arc<str>,
    urls: Arc<[Url]>,
    in_use: Arc<AtomicUsize>,
}

impl Addresses {
    /// Reads `http://HOST:PORT`, or `http://HOST:PORT,HOST:PORT` with further ones, which may be URLs as well.
    pub(super) fn parse(text: &str) -> Result<Self, RegistryClientError> {
        let bad = |why: String| RegistryClientError::BadUrl { url: text.to_owned(), why };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(bad("it has no http://".to_owned()));
        };
        let mut urls: Vec<Url> = Vec::new();
        let start = format!("{scheme}://");
        for address in rest.split(',').map(str::trim) {
            // Each may be a URL.
            let address = address.strip_prefix(&start).unwrap_or(address);
            if address.contains("://") {
                return Err(bad(format!("{address} does not start as the first address does")));
            }
            let url = Url::parse(&format!("{start}{address}"));
            let url = url.map_err(|error| bad(error.to_string()))?;
            let is_secure = url.scheme() == "https";
            if is_secure && cfg!(not(feature = "tls")) {
                return Err(bad("this program was built without TLS".to_owned()));
            }
            if !(is_secure || url.scheme() == "http") || url.host().is_none() {
                return Err(bad("it must start with http:// or https:// and a host".to_owned()));
            }
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        Ok(Self {
            text: text.trim_end_matches('/').into(),
            urls: urls.into(),
            in_use: Arc::default(),
        })
    }

    /// All of them, as given.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The first one.
    pub(super) fn first(&self) -> &Url {
        // Never out of bounds, here and below: `split` returns one address at least.
        &self.urls[0]
    }

    /// The one in use.
    pub(super) fn current(&self) -> &Url {
        &self.urls[self.in_use.load(Ordering::Relaxed)]
    }

    /// The one in use, then the others in turn.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = (usize, &Url)> {
        let first = self.in_use.load(Ordering::Relaxed);
        self.urls.iter().enumerate().cycle().skip(first).take(self.urls.len())
    }

    /// Whether they are reached by TLS: all are, or none.
    #[cfg(feature = "tls")]
    pub(super) fn are_secure(&self) -> bool {
        self.first().scheme() == "https"
    }

    /// How many there are: one at least.
    pub(super) fn len(&self) -> usize {
        self.urls.len()
    }

    pub(super) fn is_single(&self) -> bool {
        self.len() == 1
    }

    /// Uses that one from now on; whether it was not in use before.
    pub(super) fn use_from_now_on(&self, at: usize) -> bool {
        self.in_use.swap(at, Ordering::Relaxed) != at
    }

    /// Uses the one after that which failed to send a response, unless another one is in use by now.
    pub(super) fn leave(&self, failed: &Url) {
        let is_failed = |url: &Url| url.origin() == failed.origin();
        let Some(at) = self.urls.iter().position(is_failed) else { return };
        let next = (at + 1) % self.urls.len();
        let _ = self.in_use.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(addresses: &Addresses) -> Vec<u16> {
        addresses.in_turn().filter_map(|(_, url)| url.port()).collect()
    }

    #[test]
    fn the_one_in_use_comes_first_and_then_the_others_in_turn() {
        let addresses = Addresses::parse("http://a:1,b:2, http://[::1]:3,a:1/").unwrap();
        assert_eq!(order(&addresses), [1, 2, 3]);
        assert!(addresses.use_from_now_on(1));
        assert!(!addresses.use_from_now_on(1));
        assert_eq!(order(&addresses), [2, 3, 1]);
        assert_eq!(addresses.current().port(), Some(2));
        assert_eq!(addresses.first().port(), Some(1));
    }

    #[test]
    fn one_that_failed_is_left_once_however_many_requests_failed_there() {
        let addresses = Addresses::parse("http://a:1,b:2,c:3").unwrap();
        let failed = addresses.current().join("/v1/instances").unwrap();
        addresses.leave(&failed);
        addresses.leave(&failed);
        assert_eq!(addresses.current().port(), Some(2));
        addresses.use_from_now_on(2);
        let last = addresses.current().clone();
        addresses.leave(&last);
        assert_eq!(addresses.current().port(), Some(1));
    }

    #[test]
    fn each_address_must_be_one() {
        for text in [
            "http://a:1,",
            "http://,a:1",
            "http://a:1,b:x",
            "a:1,b:2",
            "ftp://a:1,b:2",
            "http://a:1,ftp://b:2",
            "http://a:1,https://b:2",
        ] {
            assert!(Addresses::parse(text).is_err(), "{text}");
        }
    }
}
