//! A line as text or JSON for a terminal or a file, with nothing in it that controls a terminal.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::{Duration, UNIX_EPOCH};

use rpc_wire::is_hidden;
use rpc_wire::report::{Level, LogLine};
use serde::Serialize;
use serde_json::{Map, Value};

use super::LogFormat;

/// The line as written, including the newline.
pub(super) fn render(line: &LogLine, format: LogFormat, colour: bool) -> String {
    let mut out = match format {
        LogFormat::Text => text(line, colour),
        LogFormat::Json => json(line),
    };
    out.push('\n');
    out
}

/// Whether stderr is a terminal and its user wants colours.
pub(super) fn wants_colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// `text` with every character escaped that could control a terminal, break the line, reorder it or not
/// be seen ([`rpc_wire::is_hidden`]): `\n`, `\u{1b}`.
pub fn escape_controls(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains(is_hidden) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out.into()
}

fn text(line: &LogLine, colour: bool) -> String {
    let (paint, dim, plain) = match (colour, line.level) {
        (false, _) => ("", "", ""),
        (true, Level::Error) => ("\x1b[31m", "\x1b[2m", "\x1b[0m"),
        (true, Level::Warn) => ("\x1b[33m", "\x1b[2m", "\x1b[0m"),
        (true, Level::Info) => ("\x1b[32m", "\x1b[2m", "\x1b[0m"),
        (true, _) => ("\x1b[34m", "\x1b[2m", "\x1b[0m"),
    };
    let level = line.level.as_str().to_uppercase();
    let mut out = format!(
        "{dim}{}{plain} {paint}{level:>5}{plain} {dim}{}:{plain} {}",
        time(line.at_ms),
        escape_controls(&line.target),
        escape_controls(&line.message),
    );
    for (key, value) in &line.fields {
        let _ = write!(out, " {dim}{}={plain}", escape_controls(key));
        match value {
            // Quoted if it would not read as one word.
            Value::String(value) if value.is_empty() || value.contains([' ', '"', '=']) => {
                let _ =
                    write!(out, "{}", escape_controls(&Value::from(value.as_str()).to_string()));
            }
            Value::String(value) => out.push_str(&escape_controls(value)),
            other => {
                let _ = write!(out, "{other}");
            }
        }
    }
    out
}

/// The JSON form of a line, its fields in reading order.
#[derive(Serialize)]
struct JsonLine<'a> {
    time: String,
    level: Level,
    target: &'a str,
    message: &'a str,
    fields: &'a Map<String, Value>,
}

fn json(line: &LogLine) -> String {
    let object = JsonLine {
        time: time(line.at_ms),
        level: line.level,
        target: &line.target,
        message: &line.message,
        fields: &line.fields,
    };
    // Writing text and numbers to memory cannot fail.
    let object = serde_json::to_string(&object).unwrap_or_default();
    // JSON escapes only the controls below U+0020; the others are inside strings.
    if !object.contains(is_hidden) {
        return object;
    }
    let mut out = String::with_capacity(object.len() + 16);
    let mut units = [0; 2];
    for c in object.chars() {
        if is_hidden(c) {
            // Above U+FFFF a pair of them.
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn time(at_ms: u64) -> String {
    // The formatter refuses years beyond 9999; such a clock is wrong anyway.
    const LAST: u64 = 253_402_300_799_000;
    let at = UNIX_EPOCH + Duration::from_millis(at_ms.min(LAST));
    humantime::format_rfc3339_millis(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hostile() -> LogLine {
        let mut fields = serde_json::Map::new();
        fields.insert("peer".to_owned(), "a b\x1b]0;x\x07\u{9b}31m".into());
        fields.insert("tag".to_owned(), "\u{e0041}".into());
        fields.insert("n".to_owned(), 5.into());
        LogLine {
            seq: 1,
            at_ms: 1_000,
            level: Level::Warn,
            target: "rpc".to_owned(),
            message: "hi\x1b[2J\nfake line\u{202e}".to_owned(),
            fields,
        }
    }

    #[test]
    fn untrusted_text_cannot_control_the_terminal_or_forge_a_line() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let shown = render(&hostile(), format, false);
            assert!(!shown.trim_end_matches('\n').contains(is_hidden), "{shown:?}");
        }
        assert_eq!(
            render(&hostile(), LogFormat::Text, false),
            "1970-01-01T00:00:01.000Z  WARN rpc: hi\\u{1b}[2J\\nfake line\\u{202e} \
             n=5 peer=\"a b\\u001b]0;x\\u0007\\u{9b}31m\" tag=\\u{e0041}\n"
        );
    }

    #[test]
    fn json_lines_read_back_as_what_was_logged() {
        let shown = render(&hostile(), LogFormat::Json, false);
        let read: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read["message"], hostile().message);
        assert_eq!(read["fields"]["peer"], hostile().fields["peer"]);
        assert_eq!(read["fields"]["tag"], hostile().fields["tag"]);
    }

    #[test]
    fn the_largest_time_is_rendered() {
        let line = LogLine { at_ms: u64::MAX, ..hostile() };
        assert!(render(&line, LogFormat::Text, true).contains("9999-12-31"));
    }
}
