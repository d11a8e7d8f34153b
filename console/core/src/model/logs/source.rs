//! Sources of log lines.

use rpc_wire::instance::InstanceKey;

/// A source of log lines.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The registry.
    Registry,
    /// An instance.
    Server(InstanceKey),
    /// The console itself.
    Console,
}

impl Source {
    /// The name on the screen.
    pub fn name(&self) -> String {
        match self {
            Self::Registry => "registry".to_owned(),
            Self::Console => "console".to_owned(),
            Self::Server(key) => crate::text::printable(&key.to_string()).into_owned(),
        }
    }
}

/// The state of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceState {
    /// Lines arrive.
    Live,
    /// The stream failed, for this reason; it is retried.
    Lost(String),
    /// The program is too old to have a log stream.
    Unsupported,
    /// The instance is gone; its lines are kept.
    Gone,
}
