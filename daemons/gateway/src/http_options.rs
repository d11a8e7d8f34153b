//! Every limit and time of a gateway's HTTP, with its default.

use std::time::Duration;

use rpc_host::shares::Share;
use rpc_security::{AuditLog, Guard};

/// Who may come by HTTP, and its limits. Each field says its default.
///
/// Later versions may have more fields: end a literal with `..HttpOptions::default()`.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Who may call; everyone. A caller shows `Authorization: Bearer SECRET`, needs the role `call`, and sees
    /// and calls only what it may.
    pub guard: Guard,
    /// Where each call and each refusal is noted; nowhere. While that cannot be written, no tool is called.
    pub audit: Option<AuditLog>,
    /// Web origins whose pages may send requests; none but its own.
    pub allowed_origins: Vec<String>,
    /// Further host names by which it may be addressed; none.
    pub allowed_hosts: Vec<String>,
    /// Bytes of messages, with what is made of them, and of answers that are kept for all callers, besides 8 KiB for
    /// each; 128 MiB. A list of tools counts once for all who read it. What there is no room for is refused with 503, a
    /// result is an error that says so.
    pub max_buffered_bytes: usize,
    /// Open connections; 1,024. A further one is told so and closed.
    pub max_connections: usize,
    /// The same of one peer; a quarter, at least 256.
    pub max_connections_per_peer: Share,
    /// With a guard, connections of those who have not shown yet who they are; a quarter, at least 256. For a further one
    /// the oldest of the peer that has most is closed.
    pub max_unidentified_connections: Share,
    /// Of these, of one peer; 64. For a further one its oldest is closed.
    pub max_unidentified_connections_per_peer: Share,
    /// Such a connection is closed after this time; 5 s.
    pub unidentified_timeout: Duration,
    /// Connections that wait to be accepted; 128. The system refuses further ones.
    pub backlog: u32,
    /// Time for the head of a request, and idle time of a connection; 60 s. Then the connection is closed.
    pub header_timeout: Duration,
    /// Time for the body of a request; 10 s. Then it is refused.
    pub body_timeout: Duration,
    /// Longest time in which a peer reads nothing of what is sent; 30 s. Then the connection is closed.
    pub write_timeout: Duration,
    /// A peer that acknowledges nothing for this time has vanished; 20 s.
    pub tcp_user_timeout: Duration,
    /// Interval of signs of life on a subscription; 15 s.
    pub keepalive_interval: Duration,
    /// Time for calls in flight at the end; 8 s. Then they are cancelled.
    pub drain_timeout: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            guard: Guard::open(),
            audit: None,
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            max_buffered_bytes: 128 << 20,
            max_connections: 1024,
            max_connections_per_peer: Share::Quarter,
            max_unidentified_connections: Share::Quarter,
            max_unidentified_connections_per_peer: Share::AtMost(64),
            unidentified_timeout: Duration::from_secs(5),
            backlog: 128,
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            tcp_user_timeout: Duration::from_secs(20),
            keepalive_interval: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(8),
        }
    }
}
