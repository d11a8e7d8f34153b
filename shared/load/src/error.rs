//! Why a load test could not run, by who must act.

use crate::plan::PlanError;

/// Why a load test could not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The plan is invalid.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The target is not an address or the URL of a registry.
    #[error("{0}")]
    Target(String),
    /// No first call reached a server.
    #[error("{0}")]
    Unreachable(String),
    /// The first calls timed out before they reached a server.
    #[error("{0}")]
    TimedOut(String),
    /// The registry's reply is no list of instances.
    #[error("{0}")]
    Registry(String),
    /// The call cannot be sent: its arguments, or more than the server can take.
    #[error("{0}")]
    Usage(String),
    /// The operating system gave no thread or runtime.
    #[error("cannot start a load test thread: {0}; free some memory or raise the process limit")]
    Thread(String),
}
