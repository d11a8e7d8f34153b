//! Who sends a request: by its token, or by the certificate of its connection.

use std::sync::PoisonError;
use std::time::SystemTime;

use hyper::header::HeaderValue;
use hyper::{HeaderMap, header};
use rpc_security::secret::bearer;
use rpc_security::{Guard, Permission, Shown};

use super::Peer;
use crate::service::Sender;

impl Peer {
    /// Something that not everybody may was allowed on it: its place is its own from now on.
    pub(super) fn is_no_stranger(&self, permission: Permission) {
        if permission != Permission::Open {
            self.visit.become_known();
        }
    }

    /// Who sends a request with these headers. Who that is is looked up once for a connection, as long as each
    /// request shows the same. A token, also a wrong one, counts more than a certificate.
    pub(super) fn sender(&self, guard: &Guard, headers: &HeaderMap) -> Sender {
        if guard.is_open() {
            return Sender::new(guard, self.ip, None);
        }
        let given = headers.get_all(header::AUTHORIZATION).iter().map(HeaderValue::as_bytes);
        let mut last = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = match (bearer(given), &self.certificate) {
            (Some(secret), _) => last
                .take()
                .filter(|last| last.is(&secret))
                .unwrap_or_else(|| Shown::new(guard, &secret, SystemTime::now())),
            (None, Some(certificate)) => last
                .take()
                .filter(Shown::is_certificate)
                .unwrap_or_else(|| Shown::certificate(guard, certificate, SystemTime::now())),
            (None, None) => return Sender::new(guard, self.ip, None),
        };
        let shown = last.insert(shown);
        // After a change of the tokens this is looked up here, once, and not by each request's copy.
        let _ = shown.identity(guard, SystemTime::now);
        Sender::new(guard, self.ip, Some(shown.clone()))
    }
}
