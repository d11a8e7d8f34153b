//! Lines of a stream, each at most so long.

use std::io;

use memchr::memchr;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A line, without its end; not empty.
    Text(Vec<u8>),
    /// A line that was too long; it is skipped.
    TooLong,
    /// The end of the stream.
    End,
}

/// Reads lines. [`next`](Self::next) may be dropped and called again: nothing is lost.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// Bytes at the start of the buffer without a line end.
    searched: usize,
    /// The rest of the line is thrown away.
    skips: bool,
    max_bytes: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(input: R, max_bytes: usize) -> Self {
        Self { input, buffer: Vec::new(), searched: 0, skips: false, max_bytes }
    }

    pub(crate) async fn next(&mut self) -> io::Result<Line> {
        /// Bytes read at once.
        const CHUNK: usize = 16 << 10;
        loop {
            if let Some(line) = self.take() {
                return Ok(line);
            }
            self.buffer.reserve(CHUNK);
            if self.input.read_buf(&mut self.buffer).await? == 0 {
                let last = std::mem::take(&mut self.buffer);
                self.searched = 0;
                let is_line = !std::mem::take(&mut self.skips) && !last.trim_ascii().is_empty();
                return Ok(if is_line { Line::Text(last) } else { Line::End });
            }
        }
    }

    /// A line that is there already.
    fn take(&mut self) -> Option<Line> {
        loop {
            let end = memchr(b'\n', self.buffer.get(self.searched..).unwrap_or_default());
            let Some(end) = end.map(|end| self.searched + end) else {
                self.searched = self.buffer.len();
                if self.skips || self.buffer.len() > self.max_bytes {
                    self.buffer = Vec::new();
                    self.searched = 0;
                    return (!std::mem::replace(&mut self.skips, true)).then_some(Line::TooLong);
                }
                return None;
            };
            let rest = self.buffer.split_off(end + 1);
            let mut line = std::mem::replace(&mut self.buffer, rest);
            self.searched = 0;
            line.pop();
            if std::mem::take(&mut self.skips) || line.trim_ascii().is_empty() {
                continue;
            }
            return Some(if line.len() > self.max_bytes {
                Line::TooLong
            } else {
                Line::Text(line)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &str, max_bytes: usize) -> Vec<Line> {
        let mut lines = Lines::new(text.as_bytes(), max_bytes);
        let mut all = Vec::new();
        loop {
            match lines.next().await.unwrap() {
                Line::End => return all,
                line => all.push(line),
            }
        }
    }

    fn texts(texts: &[&str]) -> Vec<Line> {
        texts.iter().map(|text| Line::Text(text.as_bytes().to_vec())).collect()
    }

    #[tokio::test]
    async fn lines_end_with_a_line_feed_or_with_the_stream_and_empty_ones_are_none() {
        assert_eq!(lines("a\nbc\r\n\n \nd", 10).await, texts(&["a", "bc\r", "d"]));
        assert_eq!(lines("", 10).await, []);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_skipped_once() {
        let long = "x".repeat(100_000);
        let all = lines(&format!("a\n{long}\nb\n{long}"), 10).await;
        let [first, long, third, last] = &all[..] else { panic!("{} lines", all.len()) };
        assert_eq!([first, third], [&texts(&["a"])[0], &texts(&["b"])[0]]);
        assert_eq!([long, last], [&Line::TooLong, &Line::TooLong]);
    }
}
