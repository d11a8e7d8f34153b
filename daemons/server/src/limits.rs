//! Every limit of a server, by name, with its default.

use std::time::Duration;

/// How long a connection that has sent nothing is still read while the server drains: a connection
/// from the accept backlog has a request on its way, which is refused with a reply.
pub(crate) const FIRST_REQUEST_GRACE: Duration = Duration::from_millis(500);

/// Limits of a server. Over a limit a peer gets a clear error reply if one can still be sent, and
/// only its own connection is affected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one request. Default 4 MiB. Over it: -32005, then close.
    pub max_request_bytes: usize,
    /// Nesting of a request, at most 128. Default 128. Over it: -32005, then close.
    pub max_nesting: u32,
    /// Time from the first byte of a request to its last. Default 10 s. Over it: -32700, then
    /// close.
    pub request_timeout: Duration,
    /// Calls in flight on one connection. Default 256. Over it extended calls get -32002; after
    /// classic ones nothing more is read until one is done.
    pub max_calls_per_connection: usize,
    /// Calls in flight in total. Default 4,096. Over it: -32002.
    pub max_calls: usize,
    /// Bytes of unsent replies per connection. Default 4 MiB. Over it the connection is not read,
    /// and calls already read wait; a single reply may be larger.
    pub max_unwritten_bytes: usize,
    /// Open connections. Default 10,000. A further one is closed unread, and counted.
    pub max_connections: usize,
    /// A connection without traffic and without a call in flight is closed after this time. Default
    /// 300 s.
    pub idle_timeout: Duration,
    /// The deadline of a unary call that has none. Default 10 s. Over it: -32000.
    pub default_deadline: Duration,
    /// Time for calls in flight at shutdown. Default 8 s.
    pub drain_timeout: Duration,
    /// Timeout for unregistering at shutdown. Default 1 s.
    pub unregister_timeout: Duration,
    /// Connections waiting to be accepted. Default 1,024.
    pub backlog: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_request_bytes: 4 << 20,
            max_nesting: 128,
            request_timeout: Duration::from_secs(10),
            max_calls_per_connection: 256,
            max_calls: 4096,
            max_unwritten_bytes: 4 << 20,
            max_connections: 10_000,
            idle_timeout: Duration::from_secs(300),
            default_deadline: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(8),
            unregister_timeout: Duration::from_secs(1),
            backlog: 1024,
        }
    }
}
