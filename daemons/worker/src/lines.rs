//! A growing buffer, split into lines of a bounded length.

use bytes::{Buf, BytesMut};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Lines as they arrive.
#[derive(Debug)]
pub(crate) struct Lines {
    buffer: BytesMut,
    /// Bytes of the buffer that are known to hold no end of a line.
    scanned: usize,
    max_bytes: usize,
    /// What is left of the line is dropped, up to so many bytes.
    dropping: Option<usize>,
}

/// How many times the limit a line that is dropped may have.
const TIMES_DROPPED: usize = 64;

/// A line is longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Lines {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), scanned: 0, max_bytes, dropping: None }
    }

    /// Where what arrives is appended.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole line, without its end and the mark of its encoding that some libraries write first; `None`: more
    /// bytes are needed.
    ///
    /// # Errors
    /// It is longer than the limit, whole or not.
    pub(crate) fn next(&mut self) -> Result<Option<BytesMut>, TooLong> {
        if let Some(left) = self.dropping {
            let end = memchr::memchr(b'\n', &self.buffer);
            let dropped = end.map_or(self.buffer.len(), |end| end + 1);
            let _ = self.buffer.split_to(dropped);
            self.dropping = left.checked_sub(dropped);
            match (end, self.dropping) {
                (Some(_), _) => self.dropping = None,
                (None, Some(_)) => return Ok(None),
                (None, None) => return Err(TooLong),
            }
        }
        let rest = self.buffer.get(self.scanned..).unwrap_or_default();
        match memchr::memchr(b'\n', rest).map(|end| self.scanned + end) {
            Some(end) if end <= self.max_bytes => {
                self.scanned = 0;
                let mut line = self.buffer.split_to(end + 1);
                line.truncate(end);
                if line.starts_with(BYTE_ORDER_MARK) {
                    line.advance(BYTE_ORDER_MARK.len());
                }
                Ok(Some(line))
            }
            None if self.buffer.len() <= self.max_bytes => {
                self.scanned = self.buffer.len();
                Ok(None)
            }
            _ => Err(TooLong),
        }
    }

    /// What is there of a line that is too long.
    pub(crate) fn beginning(&self) -> &[u8] {
        self.buffer.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&self.buffer)
    }

    /// The line that is too long is dropped to its end.
    pub(crate) fn drop_line(&mut self) {
        self.scanned = 0;
        self.dropping = Some(self.max_bytes.saturating_mul(TIMES_DROPPED));
    }

    /// What is there of a line that has not ended, at most as much as the limit; it begins anew behind.
    pub(crate) fn cut(&mut self) -> BytesMut {
        self.scanned = 0;
        let length = self.buffer.len().min(self.max_bytes);
        self.buffer.split_to(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(lines: &mut Lines) -> Result<Vec<String>, TooLong> {
        let mut found = Vec::new();
        while let Some(line) = lines.next()? {
            found.push(String::from_utf8_lossy(&line).into_owned());
        }
        Ok(found)
    }

    #[test]
    fn lines_are_found_however_the_bytes_arrive() {
        for size in 1..8 {
            let (mut lines, mut found) = (Lines::new(5), Vec::new());
            for piece in b"one\n\ntwo!!\nth".chunks(size) {
                lines.buffer().extend_from_slice(piece);
                found.extend(all(&mut lines).unwrap());
            }
            assert_eq!(found, ["one", "", "two!!"]);
            assert_eq!(&lines.cut()[..], b"th");
        }
    }

    #[test]
    fn a_byte_order_mark_before_a_line_is_no_part_of_it() {
        let mut lines = Lines::new(8);
        lines.buffer().extend_from_slice("\u{feff}one\n\u{feff}\ntwo\n\u{feff}123456".as_bytes());
        assert_eq!(lines.next(), Ok(Some("one".into())));
        assert_eq!(lines.next(), Ok(Some("".into())));
        assert_eq!(lines.next(), Ok(Some("two".into())));
        assert_eq!((lines.next(), lines.beginning()), (Err(TooLong), &b"123456"[..]));
    }

    #[test]
    fn a_line_that_is_too_long_may_be_dropped_however_its_bytes_arrive() {
        for size in 1..20 {
            let (mut lines, mut found) = (Lines::new(5), Vec::new());
            for piece in b"one\nlong line\ntwo\n".chunks(size) {
                lines.buffer().extend_from_slice(piece);
                loop {
                    match lines.next() {
                        Ok(Some(line)) => found.push(line),
                        Ok(None) => break,
                        Err(TooLong) => {
                            assert!(b"long line\ntwo\n".starts_with(lines.beginning()));
                            lines.drop_line();
                        }
                    }
                }
            }
            assert_eq!(found, ["one", "two"]);
        }
        let mut endless = Lines::new(5);
        endless.buffer().extend_from_slice(b"123456");
        assert_eq!(endless.next(), Err(TooLong));
        endless.drop_line();
        endless.buffer().extend_from_slice(&[b'x'; 5 * TIMES_DROPPED]);
        assert_eq!(endless.next(), Err(TooLong));
        assert!(endless.beginning().is_empty());
    }

    #[test]
    fn a_line_over_the_limit_is_an_error_whole_or_not() {
        let read = |bytes: &[u8]| {
            let mut lines = Lines::new(5);
            lines.buffer().extend_from_slice(bytes);
            all(&mut lines)
        };
        assert_eq!(read(b"12345\n"), Ok(vec!["12345".to_owned()]));
        assert_eq!(read(b"123456\n"), Err(TooLong));
        assert_eq!(read(b"12345"), Ok(vec![]));
        assert_eq!(read(b"123456"), Err(TooLong));
    }
}
