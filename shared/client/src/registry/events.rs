//! The registry's event streams: changes and log lines, each bounded in line and event.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::{BoxStream, StreamExt};
use reqwest::{Method, header};
use rpc_wire::instance::WatchEvent;
use rpc_wire::paths;
use rpc_wire::report::{Level, LogLine};
use serde::Deserialize;
use sse_stream::{Sse, SseByteStream};

use super::{RegistryClient, RegistryClientError};

/// Changes in the order they happened, each with the id to resume from. It ends after an error; an
/// event about one instance that cannot be read is skipped and counted ([`Watch::invalid`]).
pub struct Watch {
    events: BoxStream<'static, Result<(Option<String>, WatchEvent), RegistryClientError>>,
    invalid: Arc<AtomicUsize>,
}

/// Log lines, oldest first. It ends after an error.
pub struct Logs(BoxStream<'static, Result<RegistryLogLine, RegistryClientError>>);

/// A line of the registry's own log.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RegistryLogLine {
    /// The line.
    #[serde(flatten)]
    pub line: LogLine,
    /// Lines lost just before it.
    #[serde(default)]
    pub dropped: u64,
}

impl RegistryClient {
    /// Follows the instances that speak `proto`: a snapshot, then every change; `beats` adds
    /// heartbeat ages. `last_id` resumes after an event seen before.
    ///
    /// # Errors
    /// [`RegistryClientError::Unsupported`] on an older registry; else see [`RegistryClientError`].
    pub async fn watch(
        &self,
        proto: &str,
        beats: bool,
        last_id: Option<String>,
    ) -> Result<Watch, RegistryClientError> {
        self.watch_service(proto, None, beats, last_id).await
    }

    /// The same of that service, if one is given: an instance that moves into it is registered, one that moves
    /// out is unregistered. A registry that does not know services sends the changes of all.
    ///
    /// # Errors
    /// As [`watch`](Self::watch).
    pub async fn watch_service(
        &self,
        proto: &str,
        service: Option<&str>,
        beats: bool,
        last_id: Option<String>,
    ) -> Result<Watch, RegistryClientError> {
        let mut query = vec![(paths::PROTO, proto), (paths::OWNERS, "1")];
        query.extend(service.map(|service| (paths::SERVICE, service)));
        if beats {
            query.push((paths::BEATS, "1"));
        }
        let mut request = self.unbounded(Method::GET, paths::WATCH, &query);
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let client = self.clone();
        let invalid = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&invalid);
        let events = self.events(request).await?.filter_map(move |event| {
            let event = event.and_then(|event| client.watch_event(event, &counted));
            std::future::ready(event.transpose())
        });
        Ok(Watch { events: events.boxed(), invalid })
    }

    /// Follows the registry's own log: `recent` lines from before, then live, of at least `level`
    /// and containing `contains`.
    ///
    /// # Errors
    /// [`RegistryClientError::Unsupported`] on an older registry; else see [`RegistryClientError`].
    pub async fn logs(
        &self,
        level: Level,
        contains: &str,
        recent: usize,
    ) -> Result<Logs, RegistryClientError> {
        let recent = recent.to_string();
        let query =
            [(paths::LEVEL, level.as_str()), (paths::CONTAINS, contains), (paths::RECENT, &recent)];
        let request = self.unbounded(Method::GET, paths::LOGS, &query);
        let client = self.clone();
        let lines = self.events(request).await?.filter_map(move |event| {
            std::future::ready(event.and_then(|event| client.log_line(event)).transpose())
        });
        Ok(Logs(lines.boxed()))
    }

    /// An event that this version knows and can read; `invalid` counts what it cannot.
    fn watch_event(
        &self,
        event: Sse,
        invalid: &AtomicUsize,
    ) -> Result<Option<(Option<String>, WatchEvent)>, RegistryClientError> {
        let (Some(name), Some(data)) = (&event.event, &event.data) else { return Ok(None) };
        let before = invalid.load(Ordering::Relaxed);
        let (read, now, why) = match WatchEvent::parse(name, data, self.options.entries()) {
            Ok(None) => return Ok(None),
            Ok(Some((snapshot @ WatchEvent::Snapshot(_), skipped))) => {
                (Some(snapshot), skipped.count, skipped.why)
            }
            Ok(Some((event, skipped))) => (Some(event), before + skipped.count, skipped.why),
            // All or nothing: what follows would be changes of an unknown list.
            Err(error) if name == "snapshot" => return Err(self.bad_reply(error)),
            Err(error) => (None, before + 1, Some(error)),
        };
        invalid.store(now, Ordering::Relaxed);
        // At 1, 2, 4, … of them: whoever sends them must not fill the log.
        if let Some(error) = why.filter(|_| now.ilog2() != before.checked_ilog2().unwrap_or(64)) {
            tracing::warn!(
                registry = self.url(),
                invalid = now,
                %error,
                "invalid entries of the registry's events skipped"
            );
        }
        Ok(read.map(|read| (event.id, read)))
    }

    fn log_line(&self, event: Sse) -> Result<Option<RegistryLogLine>, RegistryClientError> {
        let data = event.data.filter(|_| event.event.as_deref() == Some("line"));
        let parse = |data: String| serde_json::from_str(&data);
        data.map(parse).transpose().map_err(|error| self.bad_reply(error))
    }

    /// The events of a response; a registry that disappears is noticed by the system's keepalive.
    async fn events(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<impl Stream<Item = Result<Sse, RegistryClientError>> + use<>, RegistryClientError>
    {
        let request = request.header(header::ACCEPT, "text/event-stream");
        let response = self.successful(self.send(request).await?).await?;
        self.note_warming(response.headers());
        let client = self.clone();
        let bounded = Bounded {
            chunks: response.bytes_stream().boxed(),
            lengths: Lengths::default(),
            max_line: self.options.max_event_line_bytes,
            max_event: self.options.max_list_bytes,
        };
        Ok(SseByteStream::new(bounded).map(move |event| event.map_err(|e| client.broken(&e))))
    }

    fn broken(&self, error: &sse_stream::Error) -> RegistryClientError {
        let url = self.url().to_owned();
        let cause = match error {
            sse_stream::Error::Body(cause) => cause,
            other => return self.bad_reply(other),
        };
        match cause.downcast_ref::<ChunkError>() {
            Some(ChunkError::TooLong(limit)) => {
                RegistryClientError::TooLarge { url, limit: *limit, option: "max_event_line_bytes" }
            }
            Some(ChunkError::Body(error)) => self.failed(error),
            None => RegistryClientError::Unreachable { url, reason: cause.to_string() },
        }
    }
}

/// The parser itself has no limits: bytes pass through here first.
struct Bounded {
    chunks: BoxStream<'static, reqwest::Result<Bytes>>,
    lengths: Lengths,
    max_line: usize,
    max_event: usize,
}

#[derive(Debug, thiserror::Error)]
enum ChunkError {
    #[error(transparent)]
    Body(reqwest::Error),
    #[error("longer than {0} bytes")]
    TooLong(usize),
}

impl Stream for Bounded {
    type Item = Result<Bytes, ChunkError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = std::task::ready!(self.chunks.poll_next_unpin(cx));
        Poll::Ready(chunk.map(|chunk| {
            let chunk = chunk.map_err(ChunkError::Body)?;
            let (max_line, max_event) = (self.max_line, self.max_event);
            match self.lengths.add(&chunk, max_line, max_event) {
                Some(limit) => Err(ChunkError::TooLong(limit)),
                None => Ok(chunk),
            }
        }))
    }
}

/// The length so far of the unfinished line and event.
#[derive(Debug, Default, Clone, Copy)]
struct Lengths {
    line: usize,
    event: usize,
    after_cr: bool,
}

impl Lengths {
    /// Counts `bytes`; the limit that they break, if any.
    fn add(&mut self, bytes: &[u8], max_line: usize, max_event: usize) -> Option<usize> {
        for &byte in bytes {
            let ends_crlf = byte == b'\n' && self.after_cr;
            self.after_cr = byte == b'\r';
            if ends_crlf {
                continue;
            }
            if matches!(byte, b'\n' | b'\r') {
                // An empty line ends the event.
                self.event = if self.line == 0 { 0 } else { self.event };
                self.line = 0;
                continue;
            }
            self.line += 1;
            self.event += 1;
            if self.line > max_line {
                return Some(max_line);
            }
            if self.event > max_event {
                return Some(max_event);
            }
        }
        None
    }
}

impl Stream for Watch {
    type Item = Result<(Option<String>, WatchEvent), RegistryClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_next_unpin(cx)
    }
}

impl Watch {
    /// How many entries of the last snapshot, and of the events since then, were skipped because they
    /// are invalid.
    pub fn invalid(&self) -> usize {
        self.invalid.load(Ordering::Relaxed)
    }

    /// The next change; `None` when the registry ended the stream.
    pub async fn next(
        &mut self,
    ) -> Option<Result<(Option<String>, WatchEvent), RegistryClientError>> {
        self.events.next().await
    }
}

impl Stream for Logs {
    type Item = Result<RegistryLogLine, RegistryClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl Logs {
    /// The next line; `None` when the registry ended the stream.
    pub async fn next(&mut self) -> Option<Result<RegistryLogLine, RegistryClientError>> {
        self.0.next().await
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Logs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn check(text: &str, expected: Option<usize>) {
        let mut lengths = Lengths::default();
        assert_eq!(lengths.add(text.as_bytes(), 4, 10), expected, "{text:?}");
        // However it is split.
        let mut lengths = Lengths::default();
        let broken = text.as_bytes().iter().find_map(|&byte| lengths.add(&[byte], 4, 10));
        assert_eq!(broken, expected, "{text:?}");
    }

    #[test]
    fn lines_and_events_up_to_their_limits_pass() {
        for end in ["\n", "\r", "\r\n"] {
            let event = format!("1234{end}1234{end}12{end}{end}");
            check(&event.repeat(3), None);
        }
    }

    #[test]
    fn longer_ones_are_stopped() {
        for end in ["\n", "\r", "\r\n"] {
            check(&format!("12345{end}"), Some(4));
            check(&format!("1234{end}1234{end}123{end}"), Some(10));
        }
    }

    /// The events of a stream of `bytes`, split after every `piece`.
    fn events(bytes: &[u8], piece: usize) -> Vec<String> {
        let chunks: Vec<_> = bytes.chunks(piece).map(Bytes::copy_from_slice).map(Ok).collect();
        let bounded = Bounded {
            chunks: futures_util::stream::iter(chunks).boxed(),
            lengths: Lengths::default(),
            max_line: 300,
            max_event: 500,
        };
        let events = SseByteStream::new(bounded).map(|event| format!("{event:?}"));
        events.collect::<Vec<_>>().now_or_never().unwrap()
    }

    #[test]
    fn any_bytes_are_the_same_events_however_they_are_split_and_none_is_beyond_its_limit() {
        rpc_fuzz::bytes("events", |bytes| {
            let at_once = events(bytes, bytes.len().max(1));
            assert!(at_once.iter().all(|event| event.len() < 4 * 500 + 200), "{at_once:?}");
            // A chunk that exceeds a limit is dropped with the events in it.
            let gives_up = at_once.last().is_some_and(|event| event.starts_with("Err"));
            for piece in [1, 7] {
                let in_pieces = events(bytes, piece);
                if gives_up {
                    assert!(in_pieces.iter().any(|event| event.starts_with("Err")));
                } else {
                    assert_eq!(in_pieces, at_once, "in pieces of {piece}");
                }
            }
        });
    }
}
