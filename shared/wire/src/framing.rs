//! Where one JSON value ends in a growing buffer: resumable, linear, and independent of how the
//! bytes are split.

use std::ops::Range;

/// Finds one message after another in a growing buffer.
///
/// It keeps its state between calls and scans no byte twice. It does not validate: it finds the end
/// of an object or array (strings and brackets understood, brackets matched); parsing the frame
/// tells whether it is JSON. Positions are relative to the buffer's start; after removing bytes
/// from the front, call [`Framer::consumed`].
#[derive(Debug, Clone)]
pub struct Framer {
    limits: FrameLimits,
    /// The first byte not scanned yet.
    position: usize,
    /// Start of the unfinished frame; meaningful while `depth > 0`.
    start: usize,
    depth: u32,
    /// One bit per open bracket, the innermost lowest: 1 for `[`, 0 for `{`.
    brackets: u128,
    string: StringState,
}

/// Limits of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Bytes of one message.
    pub max_bytes: usize,
    /// Nesting of brackets, at most [`FrameLimits::DEEPEST`].
    pub max_depth: u32,
}

impl FrameLimits {
    /// The deepest nesting that can be configured (serde_json's own limit).
    pub const DEEPEST: u32 = 128;
}

/// Why the bytes cannot be a message. Nothing after them can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A byte that no JSON message can have at this position.
    #[error("not JSON")]
    NotJson,
    /// The message is longer than allowed.
    #[error("message larger than {0} bytes")]
    TooLarge(usize),
    /// The message is nested deeper than allowed.
    #[error("message nested deeper than {0}")]
    TooDeep(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StringState {
    Outside,
    Inside,
    AfterBackslash,
}

impl Framer {
    /// A framer at the start of an empty buffer.
    pub fn new(limits: FrameLimits) -> Self {
        let max_depth = limits.max_depth.min(FrameLimits::DEEPEST);
        Self {
            limits: FrameLimits { max_depth, ..limits },
            position: 0,
            start: 0,
            depth: 0,
            brackets: 0,
            string: StringState::Outside,
        }
    }

    /// The next whole message of `buffer`, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// The bytes cannot be a message; every later call returns the same error.
    pub fn next(&mut self, buffer: &[u8]) -> Result<Option<Range<usize>>, FrameError> {
        // A copy of the position, which the compiler can keep in a register.
        let mut at = self.position;
        let found = self.scan(buffer, &mut at);
        self.position = at;
        // Checked first, so that the error does not depend on how the bytes are split.
        if (self.is_inside() || found == Ok(true))
            && let Err(error) = self.check_size()
        {
            // Even if it is whole: it stays the current message, and too large.
            self.depth = self.depth.max(1);
            return Err(error);
        }
        Ok(found?.then_some(self.start..at))
    }

    /// Scans to the end of the current message or of the buffer; `true` if the message is whole.
    #[inline]
    fn scan(&mut self, buffer: &[u8], position: &mut usize) -> Result<bool, FrameError> {
        let mut at = *position;
        while let Some(&byte) = buffer.get(at) {
            if self.string != StringState::Outside {
                at = self.skip_string(buffer, at);
                continue;
            }
            *position = at;
            let closed = match byte {
                b'"' if self.depth > 0 => {
                    self.string = StringState::Inside;
                    false
                }
                b'{' => self.open(0, at)?,
                b'[' => self.open(1, at)?,
                b'}' => self.close(0)?,
                b']' => self.close(1)?,
                // Mostly numbers and commas, which come in a row.
                _ if self.depth > 0 && FILLER[usize::from(byte)] => {
                    let rest = buffer.get(at..).unwrap_or_default();
                    let is_filler = |byte: &u8| FILLER[usize::from(*byte)];
                    at += rest.iter().position(|byte| !is_filler(byte)).unwrap_or(rest.len());
                    continue;
                }
                _ if is_space(byte) => false,
                _ => return Err(FrameError::NotJson),
            };
            at += 1;
            if closed {
                *position = at;
                return Ok(true);
            }
        }
        *position = at;
        Ok(false)
    }

    /// Where the next message starts, if none is unfinished and the buffer reaches that far.
    pub(crate) fn at_boundary(&mut self, buffer: &[u8]) -> Option<usize> {
        if self.is_inside() {
            return None;
        }
        while buffer.get(self.position).is_some_and(|byte| is_space(*byte)) {
            self.position += 1;
        }
        (self.position < buffer.len()).then_some(self.position)
    }

    /// Skips a whole message of at most two levels of brackets, unless it is over a limit.
    pub(crate) fn skip(&mut self, message: Range<usize>) -> bool {
        const DEPTH: u32 = 2;
        if message.len() > self.limits.max_bytes || self.limits.max_depth < DEPTH {
            return false;
        }
        self.position = message.end;
        true
    }

    /// Whether a message has started and not ended.
    pub fn is_inside(&self) -> bool {
        self.depth > 0
    }

    /// The first byte that belongs to no finished message: all bytes before it, including white
    /// space between messages, may be removed.
    pub fn unfinished_from(&self) -> usize {
        if self.is_inside() { self.start } else { self.position }
    }

    /// What has been scanned of the message that is unfinished, or in which an error was found.
    pub fn unfinished<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        buffer.get(self.unfinished_from()..self.position).unwrap_or_default()
    }

    /// `count` bytes were removed from the front of the buffer; at most
    /// [`unfinished_from`](Self::unfinished_from).
    pub fn consumed(&mut self, count: usize) {
        debug_assert!(count <= self.unfinished_from());
        self.position = self.position.saturating_sub(count);
        self.start = self.start.saturating_sub(count);
    }

    /// The position after the part of the string that is in the buffer.
    fn skip_string(&mut self, buffer: &[u8], mut at: usize) -> usize {
        if self.string == StringState::AfterBackslash {
            at += 1;
            self.string = StringState::Inside;
        }
        let rest = buffer.get(at..).unwrap_or_default();
        match memchr::memchr2(b'"', b'\\', rest) {
            None => buffer.len(),
            Some(offset) => {
                let quote = rest[offset] == b'"';
                self.string =
                    if quote { StringState::Outside } else { StringState::AfterBackslash };
                at + offset + 1
            }
        }
    }

    /// Returns `false`: the message goes on.
    fn open(&mut self, bracket: u128, at: usize) -> Result<bool, FrameError> {
        if self.depth == 0 {
            self.start = at;
        }
        if self.depth == self.limits.max_depth {
            return Err(FrameError::TooDeep(self.limits.max_depth));
        }
        self.depth += 1;
        self.brackets = self.brackets << 1 | bracket;
        Ok(false)
    }

    /// Whether the message is whole.
    fn close(&mut self, bracket: u128) -> Result<bool, FrameError> {
        if self.depth == 0 || self.brackets & 1 != bracket {
            return Err(FrameError::NotJson);
        }
        self.depth -= 1;
        self.brackets >>= 1;
        Ok(self.depth == 0)
    }

    fn check_size(&self) -> Result<(), FrameError> {
        if self.position - self.start > self.limits.max_bytes {
            return Err(FrameError::TooLarge(self.limits.max_bytes));
        }
        Ok(())
    }
}

/// The white space of JSON.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// White space, punctuation, numbers, `true`, `false`, `null`, and the `NaN` and `Infinity` that
/// older Python servers write (the parser then refuses them with a clear error).
const FILLER: [bool; 256] = {
    let allowed = b" \t\r\n,:0123456789-+.EtruefalsnNaInfinity";
    let mut table = [false; 256];
    let mut index = 0;
    while index < allowed.len() {
        table[allowed[index] as usize] = true;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: FrameLimits = FrameLimits { max_bytes: 64, max_depth: 4 };

    /// Feeds `pieces` one after another, removing finished bytes in between, as a session does.
    fn frames(pieces: &[&[u8]], limits: FrameLimits) -> (Vec<Vec<u8>>, Option<FrameError>) {
        let (mut framer, mut buffer, mut found) = (Framer::new(limits), Vec::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match framer.next(&buffer) {
                    Ok(Some(range)) => found.push(buffer[range].to_vec()),
                    Ok(None) => break,
                    Err(error) => return (found, Some(error)),
                }
            }
            let done = framer.unfinished_from();
            buffer.drain(..done);
            framer.consumed(done);
        }
        (found, None)
    }

    fn check(input: &str, expected: &[&str], error: Option<FrameError>) {
        let (found, failed) = frames(&[input.as_bytes()], LIMITS);
        let found: Vec<_> = found.iter().map(|f| String::from_utf8_lossy(f)).collect();
        assert_eq!(
            (found.iter().map(AsRef::as_ref).collect::<Vec<_>>(), failed),
            (expected.to_vec(), error)
        );
    }

    #[test]
    fn values_may_be_separated_by_nothing_white_space_or_newlines() {
        check("{}{}", &["{}", "{}"], None);
        check(" \r\n{\"a\":[1]}\n\n [2] ", &["{\"a\":[1]}", "[2]"], None);
    }

    #[test]
    fn brackets_and_quotes_inside_strings_mean_nothing() {
        check(r#"{"a":"}]\"{"}{}"#, &[r#"{"a":"}]\"{"}"#, "{}"], None);
    }

    #[test]
    fn invalid_json_is_reported_at_once() {
        check("{} x", &["{}"], Some(FrameError::NotJson));
        check("{oops", &[], Some(FrameError::NotJson));
        check("[}", &[], Some(FrameError::NotJson));
        check("]", &[], Some(FrameError::NotJson));
        check("\"text\"", &[], Some(FrameError::NotJson));
        check("{\u{0}}", &[], Some(FrameError::NotJson));
    }

    #[test]
    fn the_limits_hold_whether_the_message_ends_or_not() {
        let long = format!("{{\"a\":\"{}", "x".repeat(64));
        check(&long, &[], Some(FrameError::TooLarge(64)));
        check(&format!("{long}\"}}"), &[], Some(FrameError::TooLarge(64)));
        check(&format!("{long}\"]"), &[], Some(FrameError::TooLarge(64)));
        check("[[[[[", &[], Some(FrameError::TooDeep(4)));
        check(&format!("{{}}{}{{}}", " ".repeat(100)), &["{}", "{}"], None);
    }

    #[test]
    fn an_unfinished_message_is_inside() {
        let mut framer = Framer::new(LIMITS);
        assert_eq!(framer.next(b" {} {\"a"), Ok(Some(1..3)));
        assert_eq!(framer.next(b" {} {\"a"), Ok(None));
        assert!(framer.is_inside());
        assert_eq!(framer.unfinished_from(), 4);
    }

    proptest! {
        #[test]
        fn any_split_finds_the_same_messages(
            values in prop::collection::vec(r#"\{"[a-c\\\\"{}\[\]]{0,6}":\[[0-9]{0,3}\]\}|\{\}| "#, 0..8),
            cuts in prop::collection::vec(0usize..200, 0..10),
        ) {
            let whole = values.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).collect();
            cuts.extend([0, whole.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &whole[cut[0]..cut[1]]).collect();
            let limits = FrameLimits { max_bytes: 1 << 20, max_depth: 128 };
            prop_assert_eq!(frames(&pieces, limits), frames(&[&whole], limits));
        }

        /// So work is linear in bytes however they are split: bytes that were scanned may be
        /// overwritten with anything.
        #[test]
        fn no_byte_is_scanned_twice(
            messages in prop::collection::vec(r#"\{"[a-c\\\\"{}\[\]]{0,6}":\[[0-9]{0,3}\]\}|\{\}|[ {"\\\\}\]]"#, 0..12),
            cuts in prop::collection::vec(0usize..100, 0..20),
            overwritten: u8,
        ) {
            let whole = messages.concat().into_bytes();
            let limits = FrameLimits { max_bytes: 1 << 20, max_depth: 128 };
            let found = |cuts: &[usize]| {
                let (mut framer, mut found) = (Framer::new(limits), Vec::new());
                let mut buffer: Vec<u8> = Vec::new();
                for cut in cuts {
                    buffer.extend(whole.get(buffer.len()..*cut).unwrap_or_default());
                    while let Some(next) = framer.next(&buffer).transpose() {
                        found.push(next.clone());
                        let Ok(range) = next else { return found };
                        buffer[..range.end].fill(overwritten);
                    }
                    assert_eq!(framer.position, buffer.len());
                    buffer.fill(overwritten);
                }
                found
            };
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).collect();
            cuts.push(whole.len());
            cuts.sort_unstable();
            let (in_pieces, at_once) = (found(&cuts), found(&[whole.len()]));
            prop_assert_eq!(in_pieces, at_once);
        }

        #[test]
        fn arbitrary_bytes_neither_panic_nor_hang(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let (found, _) = frames(&[&bytes], LIMITS);
            prop_assert!(found.iter().map(Vec::len).sum::<usize>() <= bytes.len());
        }
    }
}
