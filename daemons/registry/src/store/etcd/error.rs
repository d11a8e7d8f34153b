//! What can go wrong with an etcd cluster.

use url::Url;

/// Why a request to an etcd cluster failed, by what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EtcdError {
    /// No member answered, or none could: there is no leader, or no quorum. To be tried again.
    #[error("no etcd member works: {0}; it is tried again")]
    Unavailable(String),
    /// The two do not believe each other.
    #[error("no TLS with an etcd member: {0}; check ca, cert and key in [etcd]")]
    Tls(String),
    /// It refused the user or password, or lets this user not do that.
    #[error("etcd refuses this registry: {0}; check user and password_file in [etcd]")]
    Denied(String),
    /// The changes after that revision are not kept any more: everything has to be read.
    #[error("etcd has compacted the changes since revision {0}")]
    Compacted(i64),
    /// The lease has ended.
    #[error("the lease has ended")]
    LeaseEnded,
    /// It refused the request for another reason.
    #[error("etcd refused a request: {0}")]
    Refused(String),
    /// What it sent is not what its gateway sends.
    #[error("etcd sent what is not a reply of its gateway: {0}; check endpoints in [etcd]")]
    BadReply(String),
    /// What it sent is longer than it may be.
    #[error("etcd sent more than {0} bytes at once")]
    TooLarge(usize),
}

impl EtcdError {
    /// Of a request to a member. The innermost cause says what happened; the layers above only repeat it.
    pub(super) fn of(error: &(dyn std::error::Error + 'static), member: &Url) -> Self {
        let mut cause = error;
        let mut is_tls = is_tls_error(cause);
        while let Some(source) = cause.source() {
            cause = source;
            is_tls |= is_tls_error(cause);
        }
        let what = format!("{}: {cause}", Self::name_of(member));
        if is_tls { Self::Tls(what) } else { Self::Unavailable(what) }
    }

    /// A member, as it is shown.
    pub(super) fn name_of(member: &Url) -> String {
        let host = member.host_str().unwrap_or_default();
        let port = member.port_or_known_default().unwrap_or_default();
        format!("{host}:{port}")
    }

    /// Another member may do what this one did not.
    pub(super) fn is_of_one_member(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::BadReply(_) | Self::Tls(_))
    }
}

#[cfg(feature = "etcd-tls")]
fn is_tls_error(cause: &(dyn std::error::Error + 'static)) -> bool {
    // An I/O error is not the source of one that wraps it.
    let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    inner.is_some_and(|inner| inner.is::<rustls::Error>() || is_tls_error(inner))
}

#[cfg(not(feature = "etcd-tls"))]
fn is_tls_error(_cause: &(dyn std::error::Error + 'static)) -> bool {
    false
}
