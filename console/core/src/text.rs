//! Formatting for the screen: untrusted text escaped, cells counted, numbers shortened.

use std::borrow::Cow;
use std::fmt::Write as _;

pub use rpc_load::show::{
    age, bytes, flag_duration, grouped, latency, percent, precise, rate, seconds, sparkline,
};
use rpc_wire::is_hidden;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The text with hidden characters ([`is_hidden`]) escaped. Escapes are those of JSON, so that a JSON
/// text stays one.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c => push_visible(&mut out, c),
        }
    }
    Cow::Owned(out)
}

/// JSON or a text of several lines with hidden characters escaped, except for line breaks and tabs:
/// JSON stays the same JSON, since it has these only between its parts.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    let stays = |c: char| matches!(c, '\n' | '\t');
    if !text.contains(|c| is_hidden(c) && !stays(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            // Between the parts of JSON it says nothing.
            '\r' => {}
            c if stays(c) => out.push(c),
            c => push_visible(&mut out, c),
        }
    }
    Cow::Owned(out)
}

/// Adds a character, escaped as in JSON if it is hidden.
fn push_visible(out: &mut String, c: char) {
    if !is_hidden(c) {
        return out.push(c);
    }
    // Above U+FFFF a pair of them.
    for unit in c.encode_utf16(&mut [0; 2]) {
        let _ = write!(out, "\\u{unit:04x}");
    }
}

/// As [`printable`], with line breaks and tabs as one symbol each: for fields of one line, whose text
/// may have been pasted.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(['\n', '\t']) {
        let text = text.replace('\n', "⏎").replace('\t', "⇥");
        return Cow::Owned(printable(&text).into_owned());
    }
    printable(text)
}

/// A value as JSON; `None` if that is longer than `max_bytes`, of which no more is written.
pub fn json(value: &serde_json::Value, max_bytes: usize) -> Option<String> {
    let mut written = Bounded { bytes: Vec::new(), max_bytes };
    serde_json::to_writer(&mut written, value).ok()?;
    String::from_utf8(written.bytes).ok()
}

/// A value as JSON in at most `max_bytes` bytes; `…` stands for the rest.
pub fn json_cut(value: &serde_json::Value, max_bytes: usize) -> String {
    let mut written = Bounded { bytes: Vec::new(), max_bytes };
    match serde_json::to_writer(&mut written, value) {
        Ok(()) => String::from_utf8_lossy(&written.bytes).into_owned(),
        Err(_) => {
            let text = String::from_utf8_lossy(&written.bytes);
            format!("{}…", text.trim_end_matches(char::REPLACEMENT_CHARACTER))
        }
    }
}

/// Bytes written up to a limit; then writing fails.
struct Bounded {
    bytes: Vec<u8>,
    max_bytes: usize,
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = self.max_bytes - self.bytes.len();
        let written = bytes.len().min(room);
        self.bytes.extend_from_slice(&bytes[..written]);
        if written < bytes.len() { Err(std::io::ErrorKind::WriteZero.into()) } else { Ok(written) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Longest text of an event or an error that is kept, in bytes.
const MAX_NOTE_BYTES: usize = 512;

/// A stranger's text as an event or an error has it: printable, and cut to 512 bytes, in memory of its
/// own.
pub fn note(text: &str) -> String {
    let shown = printable(prefix(text, MAX_NOTE_BYTES));
    match text.len() <= MAX_NOTE_BYTES && shown.len() <= MAX_NOTE_BYTES {
        true => shown.into_owned(),
        false => {
            let cut = format!("{}…", prefix(&shown, MAX_NOTE_BYTES));
            cut.into_boxed_str().into_string()
        }
    }
}

/// At most the first `bytes` bytes of the text, cut between characters.
pub fn prefix(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

/// Width of the text in cells.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text cut to at most `cells` cells; `…` marks a cut.
pub fn cut(text: &str, cells: usize) -> Cow<'_, str> {
    if width(text) <= cells {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w + 1 > cells {
            break;
        }
        used += w;
        out.push(c);
    }
    if cells > 0 {
        out.push('…');
    }
    Cow::Owned(out)
}

/// The end of the text, at most `cells` cells; `…` marks a cut. For addresses, which differ at
/// the end.
pub fn suffix(text: &str, cells: usize) -> Cow<'_, str> {
    if width(text) <= cells || cells == 0 {
        return cut(text, cells);
    }
    let mut room = cells - 1;
    let from = text.char_indices().rev().take_while(|(_, c)| {
        let fits = c.width().unwrap_or(0) <= room;
        room = room.saturating_sub(c.width().unwrap_or(0));
        fits
    });
    let from = from.last().map_or(text.len(), |(at, _)| at);
    Cow::Owned(format!("…{}", text.get(from..).unwrap_or_default()))
}

/// Left-aligned: cut or padded on the right to exactly `cells` cells.
pub fn left(text: &str, cells: usize) -> String {
    let text = cut(text, cells);
    let pad = cells.saturating_sub(width(&text));
    format!("{text}{}", " ".repeat(pad))
}

/// Right-aligned: cut, or padded on the left, to exactly `cells` cells.
pub fn right(text: &str, cells: usize) -> String {
    let text = cut(text, cells);
    let pad = cells.saturating_sub(width(&text));
    format!("{}{text}", " ".repeat(pad))
}

/// The text wrapped at any character, at most `cells` cells per line; at least one line.
pub fn wrap_anywhere(text: &str, cells: usize) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w > cells && used > 0 {
            out.push(String::new());
            used = 0;
        }
        used += w;
        if let Some(last) = out.last_mut() {
            last.push(c);
        }
    }
    out
}

/// The text wrapped at spaces, at most `cells` cells per line; longer words at any character.
pub fn wrap_words(text: &str, cells: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match out.last_mut() {
            Some(last) if width(last) + 1 + width(word) <= cells => {
                last.push(' ');
                last.push_str(word);
            }
            _ => out.extend(wrap_anywhere(word, cells)),
        }
    }
    out
}

/// `fix a, b`: the fields that must be corrected first.
pub fn fix(names: &[&str]) -> String {
    format!("fix {}", printable(&names.join(", ")))
}

/// A text to search for, ignoring case.
#[derive(Debug, Clone)]
pub struct Needle {
    lower: String,
    /// Both cases of the first byte of an ASCII text: the fast path of most searches.
    first: Option<(u8, u8)>,
}

impl Needle {
    /// Searches for `text`.
    pub fn new(text: &str) -> Self {
        let lower = text.to_lowercase();
        let first = lower.bytes().next().filter(|_| lower.is_ascii());
        Self { first: first.map(|byte| (byte, byte.to_ascii_uppercase())), lower }
    }

    /// Whether `text` contains it; always true when it is empty.
    pub fn is_in(&self, text: &str) -> bool {
        self.lower.is_empty()
            || match self.first {
                Some(_) => self.find(text).is_some(),
                None => text.to_lowercase().contains(&self.lower),
            }
    }

    /// The first place in `text` that contains it. Non-ASCII texts match in lower case only: case
    /// mapping may change their length.
    pub fn find(&self, text: &str) -> Option<std::ops::Range<usize>> {
        let Some((lower, upper)) = self.first else {
            let found = text.find(&self.lower).filter(|_| !self.lower.is_empty())?;
            return Some(found..found + self.lower.len());
        };
        let (bytes, wanted) = (text.as_bytes(), self.lower.as_bytes());
        memchr::memchr2_iter(lower, upper, bytes)
            .find(|at| {
                let here = bytes.get(*at..*at + wanted.len());
                here.is_some_and(|here| here.eq_ignore_ascii_case(wanted))
            })
            .map(|at| at..at + wanted.len())
    }
}

/// A count with its noun: `1 retry`, `1,234 retries`.
pub fn count(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// `14:02`, from milliseconds since 1970 that are already in local time.
pub fn hour_minute(wall_ms: u64) -> String {
    let minutes = wall_ms / 60_000;
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}

/// Days since 1970.
pub fn day(wall_ms: u64) -> u64 {
    wall_ms / 86_400_000
}

/// `11-22`, month and day.
pub fn month_day(wall_ms: u64) -> String {
    let seconds = i64::try_from(wall_ms / 1000).unwrap_or(i64::MAX);
    match time::OffsetDateTime::from_unix_timestamp(seconds) {
        Ok(date) => format!("{:02}-{:02}", u8::from(date.month()), date.day()),
        Err(_) => "?".to_owned(),
    }
}

/// `14:02:09`.
pub fn hour_minute_second(wall_ms: u64) -> String {
    format!("{}:{:02}", hour_minute(wall_ms), wall_ms / 1000 % 60)
}

/// `14:02:09.137`.
pub fn to_the_millisecond(wall_ms: u64) -> String {
    format!("{}.{:03}", hour_minute_second(wall_ms), wall_ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\x1b[31mb\u{9b}c\u{202e}d\te"), "a\\u001b[31mb\\u009bc\\u202ed\\te");
        assert!(matches!(printable("ünï 漢"), Cow::Borrowed(_)));
    }

    #[test]
    fn an_escaped_json_text_is_the_same_json() {
        let text = "\u{1f469}\u{200d}\u{1f469} \u{feff}\u{2066}\u{e0041}\u{9b}";
        let text = serde_json::to_string(text).unwrap();
        let read = |text: &str| serde_json::from_str::<String>(text).unwrap();
        for shown in [printable(&text), printable_lines(&text)] {
            assert!(!shown.contains(is_hidden), "{shown}");
            assert_eq!(read(&shown), read(&text));
        }
        assert_eq!(printable_lines("{\r\n\t\"a\": 1}\u{1b}"), "{\n\t\"a\": 1}\\u001b");
    }

    #[test]
    fn line_breaks_and_tabs_of_a_field_take_one_cell_each() {
        assert_eq!(one_line("a\nb\tc\r\u{200d}"), "a⏎b⇥c\\r\\u200d");
        assert!(matches!(one_line("漢"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_note_is_printable_and_cut() {
        assert_eq!(note("a\u{1b}ä"), "a\\u001bä");
        for long in ["ä".repeat(1 << 20), "\u{1b}".repeat(500)] {
            let note = note(&long);
            assert!(note.len() <= 515 && note.ends_with('…'), "{}", note.len());
            assert!(note.capacity() < 1_024, "{}", note.capacity());
        }
    }

    #[test]
    fn a_long_value_is_written_up_to_its_limit() {
        let value = serde_json::json!(["äää", 1]);
        let whole = value.to_string();
        assert_eq!(json(&value, whole.len()), Some(whole.clone()));
        assert_eq!(json(&value, whole.len() - 1), None);
        assert_eq!(json_cut(&value, whole.len()), whole);
        assert_eq!(json_cut(&value, 5), "[\"ä…", "cut between characters");
    }

    #[test]
    fn a_needle_is_found_in_any_case() {
        let needle = Needle::new("WENT");
        assert_eq!(needle.find("a client Went away"), Some(9..13));
        assert!(!needle.is_in("wen") && Needle::new("").is_in("x"));
        assert!(Needle::new("GRÜSSE").is_in("viele Grüsse"));
    }

    #[test]
    fn wide_characters_take_two_cells() {
        assert_eq!(cut("漢字漢字", 5), "漢字…");
        assert_eq!(left("漢", 4), "漢  ");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(
            [suffix("漢字漢字", 6), suffix("ab", 2), suffix("abc", 1)],
            ["…漢字", "ab", "…"]
        );
        assert_eq!(wrap_anywhere("漢字ab", 3), ["漢", "字a", "b"]);
        assert_eq!(wrap_words("a bc 漢字漢 d", 4), ["a bc", "漢字", "漢 d"]);
    }

    #[test]
    fn a_time_of_day_is_read_from_milliseconds() {
        assert_eq!(hour_minute_second(50_529_000), "14:02:09");
        assert_eq!(to_the_millisecond(50_529_007), "14:02:09.007");
    }

    #[test]
    fn one_thing_is_not_plural() {
        assert_eq!(count(1, "retry", "retries"), "1 retry");
        assert_eq!(count(1_200, "retry", "retries"), "1,200 retries");
    }
}
