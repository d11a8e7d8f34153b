//! What can go wrong with an etcd cluster.

use url::Url;

/// Why a request to an etcd cluster failed, by what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EtcdError {
    /// No member answered, or none could: there is no leader, or no quorum. To be tried again.
    #[error("no etcd member works: {0}")]
    Unavailable(String),
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
    /// Of a request to a member. The innermost cause says what happened; the layers above only repeat the URL.
    pub(super) fn of(error: &reqwest::Error, member: &Url) -> Self {
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let host = member.host_str().unwrap_or_default();
        let port = member.port_or_known_default().unwrap_or_default();
        Self::Unavailable(format!("{host}:{port}: {cause}"))
    }
}
