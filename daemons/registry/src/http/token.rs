//! The token of a request: `Authorization: Bearer …`.

use std::sync::PoisonError;
use std::time::SystemTime;

use hyper::{HeaderMap, header};
use rpc_security::secret::SecretString;
use rpc_security::{Guard, Permission, Shown};

use super::Peer;
use crate::service::Sender;

/// The scheme of a token.
const BEARER: &str = "bearer";

impl Peer {
    /// Something that not everybody may was allowed on it: it leaves its place to others.
    pub(super) fn is_no_stranger(&self, permission: Permission) {
        if permission != Permission::Open {
            self.stranger.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    /// Who sends a request with these headers. Whom a token is of is looked up once for a connection, as
    /// long as each request shows the same.
    pub(super) fn sender(&self, guard: &Guard, headers: &HeaderMap) -> Sender {
        if guard.is_open() {
            return Sender::new(guard, self.ip, None);
        }
        let shown = secret(headers).map(|secret| {
            let mut last = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            let shown = match last.take().filter(|last| last.is(&secret)) {
                Some(known) => known,
                None => Shown::new(guard, &secret, SystemTime::now()),
            };
            last.insert(shown).clone()
        });
        Sender::new(guard, self.ip, shown)
    }
}

/// What a request shows. Of two tokens nobody knows which is meant: that is a wrong one.
fn secret(headers: &HeaderMap) -> Option<SecretString> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (given.next()?, given.next());
    if second.is_some() {
        return Some(SecretString::default());
    }
    let (scheme, token) = first.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim().into())
}

#[cfg(test)]
mod tests {
    use rpc_security::secret::ExposeSecret;

    use super::*;

    fn shown(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        secret(&headers).map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn a_token_is_one_header_of_the_scheme_bearer() {
        assert_eq!(shown(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(shown(&["bEaReR  abc "]).as_deref(), Some("abc"));
        for none in [&[][..], &["Basic abc"], &["abc"], &["Bearer"]] {
            assert_eq!(shown(none), None, "{none:?}");
        }
        assert_eq!(shown(&["Bearer abc", "Bearer abc"]).as_deref(), Some(""));
    }
}
