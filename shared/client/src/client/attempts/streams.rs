//! The attempts at a stream: only its start is retried.

use std::sync::Arc;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::Attempts;
use super::retry::Made;
use crate::client::inner::Inner;
use crate::deadline::after;
use crate::pool::Peer;
use crate::request::Expects;
use crate::{AttemptEnd, CallError, CallStream, Request};

/// The peers that a stream was started on before.
#[derive(Debug)]
pub(in crate::client) struct Tried {
    /// When the stream was asked for.
    began: Instant,
    peers: SmallVec<[Arc<Peer>; 1]>,
    made: Made,
    /// The position in the log of the last attempt.
    position: usize,
}

impl Tried {
    /// None: the stream is asked for now.
    pub(in crate::client) fn none() -> Self {
        let (peers, made) = (SmallVec::new(), Made::default());
        Self { began: Instant::now(), peers, made, position: 0 }
    }

    /// The same, if another instance may be tried after this failure of the last one.
    pub(in crate::client) fn after(
        self,
        inner: &Inner,
        request: &Request,
        error: CallError,
    ) -> Result<Self, CallError> {
        let mut attempts = Attempts::new(inner, request.clone())?.after(self);
        let Some(last) = attempts.tried.last().cloned() else { return Err(error) };
        attempts.check_retry(&last, error)?;
        Ok(attempts.into_tried())
    }
}

impl Attempts<'_> {
    /// The same call, after these were tried.
    pub(in crate::client) fn after(mut self, tried: Tried) -> Self {
        (self.began, self.tried, self.made) = (tried.began, tried.peers, tried.made);
        self.position = tried.position;
        self
    }

    fn into_tried(self) -> Tried {
        let Self { began, tried: peers, made, position, .. } = self;
        Tried { began, peers, made, position }
    }

    /// Begins a stream; the client's timeout limits only the time until it is sent.
    pub(in crate::client) async fn stream(self) -> Result<CallStream, CallError> {
        Ok(self.stream_and_tried().await?.0)
    }

    /// The same, with the peers that were tried.
    pub(in crate::client) async fn stream_and_tried(
        mut self,
    ) -> Result<(CallStream, Tried), CallError> {
        self.expect(Expects::Items);
        let within = self.inner.context.options.timeout;
        let within = self.timeout.map_or(within, |timeout| timeout.min(within));
        let deadline = after(Instant::now(), within);
        match tokio::time::timeout_at(deadline, self.until_streaming(deadline)).await {
            Ok(result) => Ok((result?, self.into_tried())),
            Err(_) => {
                let error = self.timed_out(within);
                self.note_end(|| AttemptEnd::Failed(error.clone()));
                Err(error)
            }
        }
    }

    async fn until_streaming(&mut self, deadline: Instant) -> Result<CallStream, CallError> {
        let end = self.timeout.map(|timeout| (timeout, after(self.began, timeout)));
        loop {
            let peer = self.pick().await?;
            let opened = async {
                let connection = peer.connect_for_stream(&mut self.progress).await?;
                let events = connection.stream(&self.outgoing, end.map(|(_, at)| at)).await?;
                Ok(CallStream::new(peer.name().to_owned(), events, end))
            };
            match opened.await {
                Ok(stream) => {
                    self.note_end(|| AttemptEnd::Replied);
                    return Ok(stream);
                }
                Err(error) => {
                    if let Err(error) = self.check_retry(&peer, error) {
                        Box::pin(self.look_again(error, deadline)).await?;
                    }
                }
            }
        }
    }
}
