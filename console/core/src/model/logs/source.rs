//! Where log lines come from.

use rpc_wire::instance::InstanceKey;

/// Where log lines come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The registry.
    Registry,
    /// A server.
    Server(InstanceKey),
    /// The console itself.
    Console,
}

impl Source {
    /// What it is called.
    pub fn name(&self) -> String {
        match self {
            Self::Registry => "registry".to_owned(),
            Self::Console => "console".to_owned(),
            Self::Server(key) => crate::text::printable(&key.to_string()).into_owned(),
        }
    }
}

/// Whether a source's lines arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceState {
    /// They do.
    Live,
    /// They do not, for this reason; being retried.
    Lost(String),
    /// They never will: an older program has no log stream.
    Unsupported,
    /// The source is gone; its lines stay.
    Gone,
}
