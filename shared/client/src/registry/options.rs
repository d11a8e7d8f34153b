//! Every limit and time of a registry client, with its default.

use std::time::Duration;

/// Limits and times of a [`RegistryClient`](super::RegistryClient). Each field says its default.
#[derive(Debug, Clone)]
pub struct RegistryClientOptions {
    /// Timeout of opening a connection; 2 s.
    pub connect_timeout: Duration,
    /// Timeout of a request with its whole response, event streams excepted; 5 s.
    pub timeout: Duration,
    /// Largest response, and largest event of a stream; 32 MiB.
    pub max_list_bytes: usize,
    /// Longest line of an event stream; 1 MiB.
    pub max_event_line_bytes: usize,
    /// An unused connection is closed after this time; 30 s.
    pub idle_timeout: Duration,
    /// Interval of the system's keepalive probes of a silent connection; 15 s.
    pub keepalive: Duration,
}

impl Default for RegistryClientOptions {
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
