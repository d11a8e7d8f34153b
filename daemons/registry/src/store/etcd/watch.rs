//! The changes of keys: a response without end, one JSON object a line.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use memchr::memchr;
use url::Url;

use super::EtcdError;
use super::message::{self, WatchEvent};

/// The changes of keys, in order.
#[derive(Debug)]
pub(crate) struct Watch {
    body: Incoming,
    status: StatusCode,
    member: Url,
    lines: Lines,
}

/// Lines of a stream of bytes, each up to a length.
#[derive(Debug)]
struct Lines {
    bytes: Vec<u8>,
    /// Bytes that have been searched for the end of the line.
    searched: usize,
    max_bytes: usize,
}

impl Watch {
    pub(super) fn new(response: Response<Incoming>, member: Url, max_bytes: usize) -> Self {
        let (status, body) = (response.status(), response.into_body());
        Self { body, status, member, lines: Lines { bytes: Vec::new(), searched: 0, max_bytes } }
    }

    /// What happened next; nothing is lost when this is dropped.
    ///
    /// # Errors
    /// It has ended: see [`EtcdError`].
    pub(crate) async fn next(&mut self) -> Result<Vec<WatchEvent>, EtcdError> {
        loop {
            if let Some(line) = self.lines.next()? {
                if !self.status.is_success() {
                    return Err(message::refusal(self.status.as_u16(), &line));
                }
                return message::read_watch(&line);
            }
            match self.body.frame().await.transpose() {
                Ok(Some(frame)) => {
                    if let Ok(chunk) = frame.into_data() {
                        self.lines.bytes.extend_from_slice(&chunk);
                    }
                }
                Ok(None) if self.lines.bytes.is_empty() => {
                    return Err(EtcdError::Unavailable("it ended the watch".to_owned()));
                }
                // A refusal has no end of a line.
                Ok(None) => self.lines.bytes.push(b'\n'),
                Err(error) => return Err(EtcdError::of(&error, &self.member)),
            }
        }
    }
}

impl Lines {
    /// The next whole line that is not empty.
    fn next(&mut self) -> Result<Option<Vec<u8>>, EtcdError> {
        loop {
            let new = self.bytes.get(self.searched..).unwrap_or_default();
            let Some(end) = memchr(b'\n', new) else {
                self.searched = self.bytes.len();
                return if self.searched > self.max_bytes {
                    Err(EtcdError::TooLarge(self.max_bytes))
                } else {
                    Ok(None)
                };
            };
            let rest = self.bytes.split_off(self.searched + end + 1);
            let mut line = std::mem::replace(&mut self.bytes, rest);
            self.searched = 0;
            line.pop();
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]], max_bytes: usize) -> Result<Vec<Vec<u8>>, EtcdError> {
        let mut lines = Lines { bytes: Vec::new(), searched: 0, max_bytes };
        let mut all = Vec::new();
        for piece in pieces {
            lines.bytes.extend_from_slice(piece);
            while let Some(line) = lines.next()? {
                all.push(line);
            }
        }
        Ok(all)
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let text = b"one\n\ntwo\nthr";
        let whole = lines(&[text], 100);
        assert_eq!(whole, Ok(vec![b"one".to_vec(), b"two".to_vec()]));
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines(&bytes, 100), whole);
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        assert_eq!(lines(&[b"123", b"45"], 4), Err(EtcdError::TooLarge(4)));
    }
}
