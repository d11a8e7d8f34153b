//! Turns an event into a bounded [`LogLine`].

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use rpc_wire::report::LogLine;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata};

use super::wire_level;

/// Marks a text that was cut.
const CUT: char = '…';

/// The line of an event; `inherited` are the fields of its spans, which the event's own fields
/// override.
pub(super) fn of_event(event: &Event<'_>, inherited: Map<String, Value>, budget: usize) -> LogLine {
    let mut fields = Fields { message: String::new(), fields: inherited, budget };
    event.record(&mut fields);
    let metadata: &Metadata<'_> = event.metadata();
    LogLine {
        seq: 0,
        at_ms: now_ms(),
        level: wire_level(*metadata.level()),
        target: metadata.target().to_owned(),
        message: fields.message,
        fields: fields.fields,
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Collects the message and fields of an event or a span, at most `budget` bytes of text.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) fields: Map<String, Value>,
    pub(super) budget: usize,
}

impl Fields {
    fn text(&mut self, field: &Field, text: fmt::Arguments<'_>) {
        let mut bounded = Bounded { text: String::new(), room: self.budget };
        // Writing fails at the limit; the text up to there is kept.
        if fmt::write(&mut bounded, text).is_err() {
            bounded.text.push(CUT);
        }
        self.budget = bounded.room;
        if field.name() == "message" {
            self.message = bounded.text;
        } else {
            self.put(field, Value::String(bounded.text));
        }
    }

    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        // A raw identifier (`r#type`) is written without its prefix.
        self.fields.insert(name.strip_prefix("r#").unwrap_or(name).to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

/// A text that stops growing at its limit.
struct Bounded {
    text: String,
    room: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if piece.len() <= self.room {
            self.text.push_str(piece);
            self.room -= piece.len();
            return Ok(());
        }
        let end = (0..=self.room).rev().find(|end| piece.is_char_boundary(*end)).unwrap_or(0);
        self.text.push_str(&piece[..end]);
        self.room = 0;
        Err(fmt::Error)
    }
}
