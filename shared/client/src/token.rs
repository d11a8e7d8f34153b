//! The secret that a client shows: what it is now, and where a later one comes from.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret, SecretString};

/// A secret that tells servers and registries who calls. Cheap to clone; clones are one token.
///
/// ```
/// use rpc_client::{ClientOptions, SecretString, Token};
///
/// let secret = SecretString::from("rpcd_0123456789abcdef0123456789abcdef");
/// let options = ClientOptions { token: Some(Token::new(secret)), ..ClientOptions::default() };
/// assert!(!format!("{options:?}").contains("rpcd_0123"));
/// ```
#[derive(Clone)]
pub struct Token(Arc<Source>);

struct Source {
    secret: ArcSwap<SecretString>,
    later: Option<Box<Later>>,
}

/// The secret as it is now; `None` if that is not known.
type Later = dyn Fn() -> Option<SecretString> + Send + Sync;

impl Token {
    /// Always this secret.
    pub fn new(secret: SecretString) -> Self {
        Self(Arc::new(Source { secret: ArcSwap::from_pointee(secret), later: None }))
    }

    /// This secret until `later` has another one, which is asked before each new connection, and when a
    /// server refuses the one that it was shown. It may block: a file is read again.
    pub fn with_later(
        secret: SecretString,
        later: impl Fn() -> Option<SecretString> + Send + Sync + 'static,
    ) -> Self {
        let later: Box<Later> = Box::new(later);
        Self(Arc::new(Source { secret: ArcSwap::from_pointee(secret), later: Some(later) }))
    }

    /// The secret as it was last known.
    pub fn secret(&self) -> Arc<SecretString> {
        self.0.secret.load_full()
    }

    /// Looks whether there is a later secret, on a thread that may block, and returns the one that counts.
    pub async fn look(&self) -> Arc<SecretString> {
        if self.0.later.is_some() {
            let source = Arc::clone(&self.0);
            // An error means that the runtime ends, or that `later` panicked: the former one counts.
            let _ = tokio::task::spawn_blocking(move || source.look()).await;
        }
        self.secret()
    }
}

impl Source {
    fn look(&self) {
        let Some(later) = self.later.as_ref().and_then(|later| later()) else { return };
        // The same one is kept: who holds it sees that it has not changed.
        if later.expose_secret() != self.secret.load().expose_secret() {
            self.secret.store(Arc::new(later));
        }
    }
}

impl From<SecretString> for Token {
    fn from(secret: SecretString) -> Self {
        Self::new(secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What a connection does about the client's token.
#[derive(Debug, Clone, Default)]
pub(crate) enum Shown {
    /// There is none.
    #[default]
    None,
    /// It is sent first.
    Secret(Arc<SecretString>),
    /// It is not sent: everyone on the way could read it.
    Withheld,
}

impl Shown {
    /// What to do on a connection to `peer`, in plain text.
    pub(crate) async fn to(
        peer: Option<SocketAddr>,
        token: Option<&Token>,
        in_plain: bool,
    ) -> Self {
        let Some(token) = token else { return Self::None };
        let is_loopback = peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback());
        if is_loopback || in_plain { Self::Secret(token.look().await) } else { Self::Withheld }
    }

    /// Whether there is a later secret than that which was shown.
    pub(crate) async fn is_outdated(&self, token: Option<&Token>) -> bool {
        match (self, token) {
            (Self::Secret(shown), Some(token)) => !Arc::ptr_eq(shown, &token.look().await),
            _ => false,
        }
    }

    pub(crate) fn is_withheld(&self) -> bool {
        matches!(self, Self::Withheld)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test]
    async fn a_later_secret_counts_once_it_is_looked_for_and_the_same_one_is_kept() {
        let next = Arc::new(Mutex::new(None::<&str>));
        let later = Arc::clone(&next);
        let later = move || later.lock().unwrap().map(SecretString::from);
        let token = Token::with_later("first".into(), later);
        let clone = token.clone();
        let first = token.look().await;
        assert_eq!(first.expose_secret(), "first", "nothing is known of a later one");
        *next.lock().unwrap() = Some("first");
        assert!(Arc::ptr_eq(&first, &token.look().await));
        *next.lock().unwrap() = Some("second");
        assert_eq!(token.secret().expose_secret(), "first");
        assert_eq!(token.look().await.expose_secret(), "second");
        assert_eq!(clone.secret().expose_secret(), "second");
    }

    #[tokio::test]
    async fn a_secret_is_sent_to_loopback_or_in_plain_text_if_that_is_allowed() {
        let token = Token::new("secret".into());
        for (peer, in_plain, is_sent) in [
            ("127.0.0.1:1", false, true),
            ("[::1]:1", false, true),
            ("[::ffff:127.0.0.1]:1", false, true),
            ("10.0.0.1:1", false, false),
            ("10.0.0.1:1", true, true),
        ] {
            let peer = Some(peer.parse().unwrap());
            let shown = Shown::to(peer, Some(&token), in_plain).await;
            assert_eq!(matches!(shown, Shown::Secret(_)), is_sent, "{peer:?}");
            assert_eq!(shown.is_withheld(), !is_sent);
        }
        assert!(Shown::to(None, Some(&token), false).await.is_withheld());
        assert!(matches!(Shown::to(None, None, true).await, Shown::None));
    }
}
