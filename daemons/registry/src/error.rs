//! Why a registry could not start, or stopped by itself.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rpc_host::refusals::TooMany;
use rpc_security::{Denied, NotIdentified, Role};
#[cfg(feature = "tls")]
use rpc_wire::paths;

use crate::store::StoreError;

/// Why a registry could not start, or stopped by itself. Each error says who must act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The operator: choose another value.
    #[error("registry option {name} must be {expected}")]
    BadOption {
        /// The field of [`RegistryOptions`](crate::RegistryOptions).
        name: &'static str,
        /// The allowed values.
        expected: &'static str,
    },
    /// The operator: the address is in use, not of this machine, or not permitted.
    #[error("cannot listen on {address}: {source}; choose another address or port")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The operator: the files for TLS cannot be used.
    #[cfg(feature = "tls")]
    #[error("cannot serve TLS: {0}")]
    Tls(#[from] rpc_security::tls::TlsError),
    /// The operator: TLS is asked for, and the crate is built without that.
    #[error(
        "cannot serve TLS: this program is built without it; build rpc-registry with its feature `tls`"
    )]
    NoTls,
    /// The operator: what registrations are kept in cannot be used.
    #[error("cannot use the store {}: {source}; {}", .path.display(), advice(.path, .source))]
    Store {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// The operator: that is no etcd cluster's address.
    #[error("cannot use etcd: {0}")]
    Etcd(String),
    /// The operator: the system has no thread for the store.
    #[error("cannot start a thread for the store: {0}; raise the limit of processes")]
    Thread(#[source] io::Error),
    /// No one: the listening socket failed while serving. Requests in flight were replied to.
    #[error("the registry stopped listening: {0}")]
    Listener(#[source] io::Error),
}

/// What to do about a store that cannot be used.
fn advice(path: &Path, error: &StoreError) -> Cow<'static, str> {
    let advice = match error {
        StoreError::Locked => "end that process, or choose another data_dir",
        StoreError::UnknownFormat { .. } => {
            "use the version that wrote it, or choose another data_dir"
        }
        StoreError::Damaged(_) => {
            let folder = path.parent().unwrap_or(path).display();
            // Its folder is named, so that its port does not matter.
            return format!("`rpcd registry -p 0 --data-dir '{folder}' --recover` keeps what is readable, or choose another data_dir").into();
        }
        StoreError::Absent => "check the port and data_dir",
        StoreError::DanglingLink(_) => {
            "mount what it is on, or remove the link to start with nothing"
        }
        StoreError::Io(_) | StoreError::Failed => {
            "check its folder and disk, choose another data_dir, or do without: store = none"
        }
    };
    advice.into()
}

impl Refusal {
    /// Whether it is about who the sender is, and what it may.
    pub(crate) fn is_of_doors(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::NotIdentified { .. } | Self::OfAnother)
    }
}

/// Why a request is refused. The text is the reply's `error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The sender: what is wrong, and where.
    #[error("{0}")]
    BadRequest(String),
    /// The sender: the body is over the limit, in bytes.
    #[error("body: larger than {0} bytes")]
    BodyTooLarge(usize),
    /// The sender: the body did not arrive in time.
    #[error("body: did not arrive in time")]
    BodyTimeout,
    /// The sender: the content type is not JSON.
    #[error("content-type: must be application/json")]
    NotJson,
    /// The sender: it is plain text.
    #[cfg(feature = "tls")]
    #[error(
        "{}; write https://HOST:PORT, with --tls-ca FILE if its authority is your own",
        paths::TLS_ONLY
    )]
    TlsOnly,
    /// The author of a web page, or the operator: a foreign page may have caused it.
    #[error("{0}")]
    Foreign(&'static str),
    /// The sender, if it listens there: a later life of the instance is listed, or the instance has left.
    #[error(
        "incarnation: {current} has {} at this address; a server that listens there may follow with one more",
        if *listed { "registered" } else { "unregistered" }
    )]
    EarlierLife {
        /// The highest incarnation known at that address.
        current: u64,
        /// Whether it is listed.
        listed: bool,
    },
    /// The operator: one of two clocks is wrong.
    #[error(
        "incarnation: {0} is that of a start later than max_clock_ahead from now; set the clock of the server, or of the registry"
    )]
    AheadOfClock(u64),
    /// The sender: it lacks a role, or is limited to others.
    #[error("{0}")]
    Denied(Denied),
    /// The sender: what it has shown identifies nobody.
    #[error("{why}; this needs one with the role {role}")]
    NotIdentified {
        /// Why not.
        why: NotIdentified,
        /// What would be needed.
        role: Role,
    },
    /// The sender: another identity has registered the instance.
    #[error(
        "instance: another identity has registered this address; use its token, or one with the role operate"
    )]
    OfAnother,
    /// The sender: it was refused too often, and is only told to wait.
    #[error("{0}")]
    TooManyRefusals(TooMany),
    /// The operator: what needs a line in the audit log cannot be done without it.
    #[error("audit: the log cannot be written: {0}; free its disk, or mend its folder")]
    AuditFailing(String),
    /// The sender: no such route.
    #[error("Not Found")]
    NotFound,
    /// The operator of the peer: its address has reached its limit of instances.
    #[error(
        "instance: this address has registered {0} instances, the limit per address; unregister some, or raise max_instances_per_peer"
    )]
    PeerFull(usize),
    /// The operator: the registry has reached its limit of instances.
    #[error("instance: the registry is full with {0} instances; raise max_instances")]
    Full(usize),
    /// The operator: the instances take as much memory as they may.
    #[error("instance: the registry's instances take {0} bytes, the limit; raise max_table_bytes")]
    TableFull(usize),
    /// The operator: as many overrides stand as may.
    #[error("override: {0} overrides stand, the limit; take some back, or raise max_overrides")]
    OverridesFull(usize),
    /// The operator, or readers: answers that nobody reads take as much memory as they may.
    #[error("list: answers that are not read take {0} bytes, the limit; try again in a second")]
    TooMuchUnread(usize),
    /// The operator: the limit of event streams is reached.
    #[error("stream: {0} event streams are open, the limit; try again later")]
    TooManyStreams(usize),
    /// The operator of the peer: its address has its share of event streams.
    #[error(
        "stream: this address has {0} event streams open, its share; close some, or raise max_watchers_per_peer"
    )]
    TooManyStreamsOfPeer(usize),
    /// The operator: the limit of connections is reached.
    #[error("connection: {0} are open, the limit; try again later")]
    TooManyConnections(usize),
    /// The operator: the process has as many files open as it may.
    #[error("connection: the registry has no open file left for it; try again later")]
    NoFileLeft,
    /// The operator of the peer: its address has its share of connections.
    #[error(
        "connection: this address has {0} open, its share; close some, or raise max_connections_per_peer"
    )]
    TooManyConnectionsOfPeer(usize),
}
