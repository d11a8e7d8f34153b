//! Formatting for the screen: untrusted text escaped, cells counted, numbers shortened.

use std::borrow::Cow;
use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The text with control characters, direction overrides and zero-width characters escaped: they
/// could control the terminal or be invisible.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_unsafe(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
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

/// An age: `1.2s`, `45s`, `12m`, `2h13m`, `3d04h`. Whole seconds once above ten.
pub fn age(age: Duration) -> String {
    let s = age.as_secs();
    match s {
        0..=9 => format!("{s}.{}s", age.subsec_millis() / 100),
        10..=119 => format!("{s}s"),
        120..=3599 => format!("{}m", s / 60),
        3600..=86_399 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d{:02}h", s / 86_400, s % 86_400 / 3600),
    }
}

/// A duration in whole seconds below two minutes, then as [`age`]: for countdowns and outages.
pub fn seconds(duration: Duration) -> String {
    if duration.as_secs() < 10 { format!("{}s", duration.as_secs()) } else { age(duration) }
}

/// A latency: `0.42ms`, `4.1ms`, `120ms`, `1.24s`.
pub fn latency(latency: Duration) -> String {
    let ms = latency.as_secs_f64() * 1000.0;
    match ms {
        ..0.995 => format!("{ms:.2}ms"),
        ..9.95 => format!("{ms:.1}ms"),
        ..999.5 => format!("{ms:.0}ms"),
        _ => format!("{:.2}s", ms / 1000.0),
    }
}

/// A latency with three significant digits: `18.3µs`, `402µs`, `1.25ms`, `12.0s`.
pub fn precise(latency: Duration) -> String {
    let us = latency.as_secs_f64() * 1e6;
    // A value that rounds to 1000 is shown as 1 of the next unit.
    let (value, unit) = match us {
        ..999.5 => (us, "µs"),
        ..999_500.0 => (us / 1e3, "ms"),
        _ => (us / 1e6, "s"),
    };
    let digits = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}{unit}")
}

/// A duration as command-line flags take it: `10s`, `1500ms`.
pub fn flag_duration(time: Duration) -> String {
    if time.subsec_nanos() == 0 {
        format!("{}s", time.as_secs())
    } else {
        format!("{}ms", time.as_millis())
    }
}

/// A count with thousands separators: `1,234,567`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A rate per second: `0.50`, `9.9`, `1,000`.
pub fn rate(per_second: f64) -> String {
    match per_second {
        ..0.995 => format!("{per_second:.2}"),
        ..9.95 => format!("{per_second:.1}"),
        _ => {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "above 9")]
            let whole = per_second.round() as u64;
            grouped(whole)
        }
    }
}

/// A ratio as percent: `0 %`, `0.012 %`, `12 %`.
pub fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if percent == 0.0 || percent >= 10.0 {
        format!("{percent:.0} %")
    } else if percent >= 0.1 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.3} %")
    }
}

/// A size: `58 B`, `1.2 KiB`, `3.4 MiB`.
pub fn bytes(bytes: usize) -> String {
    const KIB: f64 = 1024.0;
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let b = bytes as f64;
    match bytes {
        0..=1023 => format!("{bytes} B"),
        1024..=1_048_575 => format!("{:.1} KiB", b / KIB),
        _ => format!("{:.1} MiB", b / KIB / KIB),
    }
}

/// Values as a row of small bars, scaled to the largest.
pub fn sparkline(values: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let top = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let bar = |value: &f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
        let step = (value / top * 7.0).round().clamp(0.0, 7.0) as usize;
        BARS.get(step).copied().unwrap_or('█')
    };
    values.iter().map(bar).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(
            printable("a\x1b[31mb\u{9b}c\u{202e}d\te"),
            "a\\u{1b}[31mb\\u{9b}c\\u{202e}d\\te"
        );
        assert!(matches!(printable("ünï 漢"), Cow::Borrowed(_)));
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
    fn times_and_sizes_are_short() {
        let ms = Duration::from_millis;
        assert_eq!(
            [ms(1234), ms(45_000), ms(130_000), ms(7_980_000)].map(age),
            ["1.2s", "45s", "2m", "2h13m"]
        );
        assert_eq!(
            [ms(0), ms(4), ms(120), ms(1240)].map(latency),
            ["0.00ms", "4.0ms", "120ms", "1.24s"]
        );
        let us = Duration::from_micros;
        assert_eq!(
            [us(18), us(402), us(1_250), us(999_600), us(12_000_000), us(0)].map(precise),
            ["18.0µs", "402µs", "1.25ms", "1.00s", "12.0s", "0.00µs"]
        );
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.5, 9.9, 1_000.4].map(rate), ["0.50", "9.9", "1,000"]);
        assert_eq!([0.0, 0.000_12, 0.012, 0.5].map(percent), ["0 %", "0.012 %", "1.2 %", "50 %"]);
        assert_eq!([58, 1_300, 3_500_000].map(bytes), ["58 B", "1.3 KiB", "3.3 MiB"]);
        assert_eq!(hour_minute_second(50_529_000), "14:02:09");
    }
}
