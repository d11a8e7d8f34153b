//! Every limit of a server, by name, with its default.

use std::time::Duration;

use rpc_host::shares::Share;

/// A struct of limits, its defaults, and a setter for each field, from one list.
#[doc(hidden)]
#[macro_export]
macro_rules! __limits {
    ($(#[$about:meta])* $limits:ident {
        $($(#[$doc:meta])* $name:ident: $type:ty = $default:expr;)*
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $limits {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Default for $limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl $limits {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $type) -> Self {
                self.$name = $name;
                self
            })*
        }
    };
}

crate::__limits! {
    /// Limits of a server. Over a limit a peer gets a clear error reply if one can still be sent,
    /// and only its own connection is affected.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use rpc_server::{Limits, Server};
    ///
    /// let limits = Limits::default().max_calls(100).default_deadline(Duration::from_secs(2));
    /// assert_eq!(limits.max_calls, 100);
    /// let server = Server::builder().limits(limits);
    /// ```
    Limits {
        /// Bytes of one request. Default 4 MiB. Over it: -32005, then close.
        max_request_bytes: usize = 4 << 20;
        /// Nesting of a request, at most 128. Default 128. Over it: -32005, then close.
        max_nesting: u32 = 128;
        /// Bytes of a call's id as JSON. Default 128. Over it: -32600, without the id.
        max_id_bytes: usize = 128;
        /// Requests of one JSON-RPC batch. Default 1,000. Over it the batch gets one -32005.
        max_batch_requests: usize = 1_000;
        /// Time from the first byte of a request to its last. Default 10 s. Over it: -32700, then
        /// close.
        request_timeout: Duration = Duration::from_secs(10);
        /// Bytes of arguments with which a synchronous method runs where they were read. Default 64 KiB.
        /// With more it runs on the blocking pool, so that other connections need not wait for it.
        max_inline_bytes: usize = 64 << 10;
        /// Calls in flight on one connection. Default 256. Over it extended calls get -32002; those of a
        /// JSON-RPC batch wait for others of it, and nothing more is read until they have begun; after
        /// classic ones, and after `max_request_bytes` of those that wait, nothing more is read until
        /// one is done.
        max_calls_per_connection: usize = 256;
        /// Calls in flight in total. Default 4,096. Over it: -32002.
        max_calls: usize = 4096;
        /// Of these, of one peer: an IPv4 address or an IPv6 /64. Default a quarter, at least 256. Over
        /// it: -32002.
        max_calls_per_peer: Share = Share::Quarter;
        /// Of the calls, streams: they may never end. Default 2,000. Over it: -32002.
        max_streams: usize = 2000;
        /// Of these, of one peer. Default a quarter, at least 256. Over it: -32002.
        max_streams_per_peer: Share = Share::Quarter;
        /// Open streams of `rpc.logs`, which do not count as calls, so that an operator finds a place
        /// while there is none for calls. Of one peer a quarter, unless `max_streams_per_peer` is
        /// [`Share::Whole`]. Default 64. Over it: -32002.
        max_log_streams: usize = 64;
        /// Bytes of unsent replies per connection. Default 4 MiB. Over it the connection is not read,
        /// and calls already read wait; a single reply may be larger.
        max_unwritten_bytes: usize = 4 << 20;
        /// Bytes kept for all connections: input, calls that wait, arguments of those in flight, unsent
        /// replies, each beyond 8 KiB of its connection. Default 96 MiB. Over it nothing more is read
        /// from those beyond, a request that stays incomplete gets -32002, and of the peers that take
        /// no replies those with most are disconnected.
        max_buffered_bytes: usize = 96 << 20;
        /// Open connections. Default 10,000; fewer, and a warning, where there are not open files
        /// enough. For a further one that which has waited longest for a request, for a tenth of
        /// `idle_timeout` at least, is closed; else it is refused (-32002, 503), and counted. This
        /// machine has 8 beyond.
        max_connections: usize = 10_000;
        /// Of these, of one peer: an IPv4 address or an IPv6 /64. Default a quarter, at least 256. A
        /// further one is refused, and counted.
        max_connections_per_peer: Share = Share::Quarter;
        /// Where a [guard](crate::ServerBuilder::guard) asks for tokens: bytes of a request on a connection that
        /// has shown none yet. Default 64 KiB. Over it: -32005, then close.
        max_unidentified_bytes: usize = 64 << 10;
        /// Connections that have shown no token yet, and may do nothing without. Default a quarter of
        /// `max_connections`, at least 256. For a further one the oldest of the peer that has most is closed.
        max_unidentified_connections: Share = Share::Quarter;
        /// Of these, of one peer. Default a quarter, at least 256. For a further one its oldest is closed.
        max_unidentified_connections_per_peer: Share = Share::Quarter;
        /// After this time they are closed. Default 5 s.
        unidentified_timeout: Duration = Duration::from_secs(5);
        /// A connection without traffic and without a call in flight is closed after this time. Default
        /// 300 s.
        idle_timeout: Duration = Duration::from_secs(300);
        /// The longest deadline of a call. Default 10 min. A longer one is cut to it.
        max_deadline: Duration = Duration::from_secs(600);
        /// The deadline of a unary call that has none. Default 10 s. Over it: -32000.
        default_deadline: Duration = Duration::from_secs(10);
        /// Time for all of the shutdown once the server has unregistered: `shutdown_notice`, calls in
        /// flight, `close_timeout`. Default 8 s. Over it, calls in flight get -32006: they may have run.
        drain_timeout: Duration = Duration::from_secs(8);
        /// How long the server goes on serving after it has unregistered, if older clients called it
        /// within `older_client_window`: they look into the registry every 3 s. Default 3.5 s; at most
        /// `drain_timeout` less `close_timeout`.
        shutdown_notice: Duration = Duration::from_millis(3500);
        /// See `shutdown_notice`. Default 10 s.
        older_client_window: Duration = Duration::from_secs(10);
        /// Time for clients to close their connections once the server has said that it drains; what
        /// they send meanwhile is refused (-32003). Default 1 s. Over it, connections without a call in
        /// flight are closed.
        close_timeout: Duration = Duration::from_secs(1);
        /// How long calls of older clients are still taken once the server takes no new calls
        /// ([`ServerHandle::drain`](crate::ServerHandle::drain), `rpcd drain`): they go nowhere else before
        /// their lists are refreshed. Default 5 s.
        drain_notice: Duration = Duration::from_secs(5);
        /// Timeout for unregistering at shutdown. Default 1 s.
        unregister_timeout: Duration = Duration::from_secs(1);
        /// An HTTP client that reads nothing for this long is disconnected. Default 30 s.
        write_timeout: Duration = Duration::from_secs(30);
        /// A client whose system acknowledges nothing for this long has vanished: its connection is closed,
        /// its calls are cancelled. It is asked after two fifths of the time in silence (TCP keepalive).
        /// Default 50 s.
        tcp_user_timeout: Duration = Duration::from_secs(50);
        /// Connections waiting to be accepted. Default 1,024.
        backlog: u32 = 1024;
    }
}
