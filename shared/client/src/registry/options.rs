//! Every limit and time of a registry client, with its default.

use std::time::Duration;

/// What a [`RegistryClient`](super::RegistryClient) may take and how long it waits.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// Opening a connection; 2 s.
    pub connect_timeout: Duration,
    /// A request with its whole answer, event streams excepted; 5 s.
    pub timeout: Duration,
    /// An answer, and one event of a stream; 32 MiB.
    pub max_list_bytes: usize,
    /// One line of an event stream; 1 MiB.
    pub max_event_line_bytes: usize,
    /// An unused connection is closed after; 30 s.
    pub idle_timeout: Duration,
    /// How often the system checks that a silent registry is still there; 15 s.
    pub keepalive: Duration,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
            max_list_bytes: 32 << 20,
            max_event_line_bytes: 1 << 20,
            idle_timeout: Duration::from_secs(30),
            keepalive: Duration::from_secs(15),
        }
    }
}
