//! What can go wrong with an etcd cluster.

use rpc_wire::report::SharingState;
use url::Url;

/// Why a request to an etcd cluster failed, by what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EtcdError {
    /// No member answered. To be tried again.
    #[error(
        "no etcd member can be reached: {0}; see that etcd runs, and check endpoints in [etcd]"
    )]
    Unreachable(String),
    /// A member answered that it cannot agree with enough of the others. To be tried again.
    #[error("etcd has no quorum: {0}; have more than half of its members run and reach each other")]
    NoQuorum(String),
    /// The two do not believe each other.
    #[error("no TLS with an etcd member: {0}; check ca, cert and key in [etcd]")]
    Tls(String),
    /// It refused the user or password, or lets this user not do that.
    #[error(
        "etcd refuses this registry: {0}; check user and password_file in [etcd], and that the user's role may read and write the keys below prefix"
    )]
    Denied(String),
    /// The file of the password cannot be used.
    #[error("the password for etcd cannot be read: {0}; check password_file in [etcd]")]
    Password(String),
    /// The changes after that revision are not kept any more: everything has to be read.
    #[error("etcd has compacted the changes since revision {0}; everything is read again")]
    Compacted(i64),
    /// The lease has ended.
    #[error(
        "etcd heard nothing of this registry for its lease_ttl, and the others take over its instances; it signs in again"
    )]
    LeaseEnded,
    /// The keys mean something that this version does not know.
    #[error(
        "the keys below {prefix:?} are of format {found:?}, and this version knows 1 only; use the version that wrote them, or another prefix in [etcd]"
    )]
    Format {
        /// What they begin with.
        prefix: String,
        /// Their format.
        found: String,
    },
    /// It takes no writes, for want of space.
    #[error(
        "etcd is full and takes no writes: {0}; compact and defragment it, then etcdctl alarm disarm"
    )]
    Full(String),
    /// It refused the request for another reason.
    #[error("etcd refused a request: {0}; see the logs of its members")]
    Refused(String),
    /// What it sent is not what its gateway sends.
    #[error("etcd sent what is not a reply of its gateway: {0}; check endpoints in [etcd]")]
    BadReply(String),
    /// What it sent is longer than it may be.
    #[error("etcd sent more than {0} bytes at once; raise max_response_bytes in [etcd]")]
    TooLarge(usize),
}

impl EtcdError {
    /// Of a request to a member. The innermost cause says what happened; the layers above only repeat it.
    pub(super) fn of(error: &(dyn std::error::Error + 'static), member: &Url) -> Self {
        let causes = || std::iter::successors(Some(error), |cause| cause.source());
        let cause = causes().last().unwrap_or(error);
        // So does one that speaks TLS only.
        let hint = match member.scheme() == "http" && causes().any(is_unheard) {
            true => " (if it speaks TLS, write https)",
            false => "",
        };
        let what = format!("{}: {cause}{hint}", Self::name_of(member));
        if causes().any(is_tls_error) { Self::Tls(what) } else { Self::Unreachable(what) }
    }

    /// A member, as it is shown.
    pub(super) fn name_of(member: &Url) -> String {
        let host = member.host_str().unwrap_or_default();
        let port = member.port_or_known_default().unwrap_or_default();
        format!("{host}:{port}")
    }

    /// Another member may do what this one did not.
    pub(crate) fn is_of_one_member(&self) -> bool {
        self.weight() > 0
    }

    /// What the members said that were asked in turn: one that answers knows more than one that does not.
    pub(super) fn or(self, later: Self) -> Self {
        if later.weight() > self.weight() { later } else { self }
    }

    /// How much it says of the cluster, if another member may do what this one did not.
    fn weight(&self) -> u8 {
        match self {
            Self::NoQuorum(_) => 4,
            Self::Tls(_) => 3,
            Self::BadReply(_) => 2,
            Self::Unreachable(_) => 1,
            _ => 0,
        }
    }

    /// The state of a registry that this befell.
    pub(crate) fn state(&self) -> SharingState {
        match self {
            Self::Unreachable(_) => SharingState::Unreachable,
            Self::NoQuorum(_) => SharingState::NoQuorum,
            Self::Tls(_) => SharingState::BadCertificate,
            Self::Denied(_) | Self::Password(_) => SharingState::Denied,
            Self::Compacted(_) | Self::LeaseEnded => SharingState::ReadingAgain,
            Self::Format { .. } => SharingState::UnknownFormat,
            Self::BadReply(_) => SharingState::NotEtcd,
            Self::Full(_) => SharingState::Full,
            Self::Refused(_) | Self::TooLarge(_) => SharingState::Refused,
        }
    }
}

/// Whether the connection was closed before there was a reply.
fn is_unheard(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_member_that_says_most_of_the_cluster_is_believed() {
        let silent = || EtcdError::Unreachable("a does not answer".to_owned());
        let alone = || EtcdError::NoQuorum("no leader".to_owned());
        assert_eq!(silent().or(alone()).or(silent()), alone());
        assert_eq!(silent().or(EtcdError::Unreachable("b".to_owned())), silent());
        assert!(!EtcdError::Denied(String::new()).is_of_one_member());
    }
}
