//! A connection without a socket: requests and replies are bytes in memory.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use tokio_util::sync::CancellationToken;

use super::arrival::Arrival;
use super::{Session, Writer};
use crate::state::ServerState;

/// Replies to requests given as bytes, exactly as a connection would: for tests of methods, and to
/// measure the cost of a call. Made by
/// [`ServerBuilder::in_memory`](crate::ServerBuilder::in_memory).
///
/// ```
/// use rpc_server::{Server, rpc_method};
///
/// /// Adds two numbers.
/// #[rpc_method]
/// fn plus(a: i64, b: i64) -> i64 {
///     a + b
/// }
///
/// # async fn run() -> Result<(), rpc_server::ServerError> {
/// let mut server = Server::builder().method(plus::method()).in_memory()?;
/// let request = br#"{"id":1,"method_name":"plus","method_args":[1,2],"method_kwargs":{}}"#;
/// assert_eq!(server.answer(request).await, b"{\"id\":1,\"res\":3}\n");
/// # Ok(())
/// # }
/// # futures_util::future::FutureExt::now_or_never(run()).unwrap().unwrap();
/// ```
pub struct InMemory {
    session: Session,
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory").finish_non_exhaustive()
    }
}

/// Keeps the replies in the output, to be read there.
struct Buffered;

impl Writer for Buffered {
    fn try_write(&self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl InMemory {
    pub(crate) fn new(state: Arc<ServerState>) -> Self {
        let never = CancellationToken::new();
        let no_peer = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into();
        Self { session: Session::new(state, &no_peer, BytesMut::new(), (Instant::now(), &never)) }
    }

    /// Takes bytes as a connection would receive them (one request, many, or a part of one, whose
    /// rest follows in the next call) and waits until nothing is in flight. Returns the replies,
    /// each with its newline, in the order in which they finished.
    ///
    /// Synchronous methods reply without waiting; others, and all of a server with layers, need a
    /// Tokio runtime with time enabled. An endless stream is waited for endlessly. After bytes that
    /// are not JSON the last reply is an error, and there are no further replies.
    pub async fn answer(&mut self, requests: &[u8]) -> &[u8] {
        let session = &mut self.session;
        session.dispatcher.discard_output();
        session.input.extend_from_slice(requests);
        let now = Instant::now();
        session.arrival = Arrival::new(now, Duration::ZERO);
        session.take_frames(&Buffered, now);
        while session.behind || session.may_finish() && session.dispatcher.finish_next().await {
            session.take_frames(&Buffered, Instant::now());
        }
        session.dispatcher.end_turn();
        session.dispatcher.copy_documents();
        session.dispatcher.output()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Server, builtin};
    use std::cell::Cell;

    const ADD: &[u8] = br#"{"method_name":"add","method_args":[1,2],"method_kwargs":{}}"#;
    const SLEEP: &[u8] =
        br#"{"id":1,"method_name":"sleep","method_args":[0.01],"method_kwargs":{}}"#;

    fn server() -> InMemory {
        Server::builder().methods(builtin::methods()).in_memory().unwrap()
    }

    #[tokio::test]
    async fn a_request_in_parts_gets_its_reply_after_the_last_one() {
        let mut server = server();
        for cut in 0..ADD.len() {
            let (first, rest) = ADD.split_at(cut);
            assert_eq!(server.answer(first).await, b"");
            assert_eq!(server.answer(rest).await, b"{\"res\":13}\n");
        }
    }

    #[tokio::test]
    async fn asynchronous_calls_are_waited_for() {
        let mut server = server();
        let replies = server.answer(&[SLEEP, ADD].concat()).await.to_vec();
        let replies = String::from_utf8(replies).unwrap();
        assert_eq!(replies, "{\"res\":13}\n{\"id\":1,\"res\":0.01}\n");
        let classic = SLEEP.strip_prefix(br#"{"id":1,"#).unwrap();
        let classic = [b"{", classic, ADD].concat();
        assert_eq!(server.answer(&classic).await, b"{\"res\":0.01}\n{\"res\":13}\n");
    }

    #[tokio::test]
    async fn replies_are_not_held_back_by_a_limit_on_unread_ones() {
        let limits = crate::Limits::default().max_unwritten_bytes(20);
        let server = Server::builder().methods(builtin::methods()).limits(limits);
        let mut server = server.in_memory().unwrap();
        assert_eq!(server.answer(&ADD.repeat(100)).await, b"{\"res\":13}\n".repeat(100));
    }

    /// Takes a given number of bytes, and no more.
    struct Slow(Cell<usize>);

    impl Writer for Slow {
        fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0.get());
            self.0.set(self.0.get() - taken);
            if taken > 0 { Ok(taken) } else { Err(io::ErrorKind::WouldBlock.into()) }
        }
    }

    #[test]
    fn output_that_a_slow_reader_has_read_is_freed() {
        let mut session = server().session;
        let mut written = 0;
        for round in 0..1000 {
            session.input.extend_from_slice(&ADD.repeat(100));
            let room = Slow(Cell::new(if round < 5 { 0 } else { 1100 }));
            session.take_frames(&room, Instant::now());
            session.write_some(&room).unwrap();
            assert!(session.unwritten() > 0);
            written += if round < 5 { 0 } else { 1100 };
        }
        let kept = session.dispatcher.output().len();
        assert!(written > 1_000_000 && kept < 150_000, "{kept} bytes kept");
    }

    #[tokio::test]
    async fn after_invalid_json_there_are_no_more_replies() {
        let mut server = server();
        let replies = server.answer(&[ADD, b"oops", ADD].concat()).await.to_vec();
        let replies = String::from_utf8(replies).unwrap();
        assert!(replies.starts_with("{\"res\":13}\n") && replies.contains("not JSON"), "{replies}");
        assert_eq!(replies.lines().count(), 2);
        assert_eq!(server.answer(ADD).await, b"");
    }
}
