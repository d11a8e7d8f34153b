//! The `tracing` layer: builds each line once and passes it to its ring and to the writers.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Map, Value};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_appender::non_blocking::NonBlocking;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::line::{self, Fields};
use super::ring::{LogRing, Lost, RingOptions};
use super::{LogFormat, show};

/// The target of [`daemon_span`](super::daemon_span), never filtered out.
pub(super) const DAEMON_TARGET: &str = "rpc_host::daemon";
/// The name of [`daemon_span`](super::daemon_span).
pub(super) const DAEMON_SPAN: &str = "daemon";

/// Maximum number of rings in a process; further daemons share the ring named `""`.
const MAX_RINGS: usize = 256;

/// The rings of a process, by daemon.
#[derive(Debug)]
pub(super) struct Rings {
    options: RingOptions,
    rings: RwLock<HashMap<String, LogRing>>,
    unnamed: LogRing,
}

impl Rings {
    pub(super) fn new(options: RingOptions) -> Self {
        let unnamed = LogRing::with(options.clone());
        Self { options, rings: RwLock::default(), unnamed }
    }

    pub(super) fn of(&self, daemon: &str) -> LogRing {
        if daemon.is_empty() {
            return self.unnamed.clone();
        }
        if let Some(ring) = self.rings.read().unwrap_or_else(PoisonError::into_inner).get(daemon) {
            return ring.clone();
        }
        let mut rings = self.rings.write().unwrap_or_else(PoisonError::into_inner);
        if rings.len() >= MAX_RINGS && !rings.contains_key(daemon) {
            return self.unnamed.clone();
        }
        let new = || LogRing::with(self.options.clone());
        rings.entry(daemon.to_owned()).or_insert_with(new).clone()
    }

    pub(super) fn close(&self) {
        self.unnamed.close();
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        rings.values().for_each(LogRing::close);
    }
}

/// A queue to the terminal or a file.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) writer: NonBlocking,
    pub(super) colour: bool,
    pub(super) format: LogFormat,
}

#[derive(Debug)]
pub(super) struct LineLayer {
    rings: Arc<Rings>,
    sinks: Vec<Sink>,
    max_line_bytes: usize,
    lost: Lost,
}

/// What a span adds to the lines inside it.
enum SpanData {
    Daemon(LogRing),
    Fields(Map<String, Value>),
}

impl LineLayer {
    pub(super) fn new(
        rings: Arc<Rings>,
        sinks: Vec<Sink>,
        max_line_bytes: usize,
        lost: Lost,
    ) -> Self {
        Self { rings, sinks, max_line_bytes, lost }
    }

    fn fields(&self, fields: Map<String, Value>) -> Fields {
        Fields { message: String::new(), fields, budget: self.max_line_bytes }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LineLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = self.fields(Map::new());
        attributes.record(&mut fields);
        let metadata = attributes.metadata();
        let daemon = metadata.target() == DAEMON_TARGET && metadata.name() == DAEMON_SPAN;
        let around = match fields.fields.get("daemon") {
            Some(Value::String(name)) if daemon => SpanData::Daemon(self.rings.of(name)),
            _ => SpanData::Fields(fields.fields),
        };
        span.extensions_mut().replace(around);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        if let Some(SpanData::Fields(known)) = extensions.get_mut::<SpanData>() {
            let mut fields = self.fields(std::mem::take(known));
            values.record(&mut fields);
            *known = fields.fields;
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut ring = None;
        let mut inherited = Map::new();
        for span in context.event_scope(event).into_iter().flatten() {
            match span.extensions().get::<SpanData>() {
                Some(SpanData::Daemon(daemon)) => {
                    ring.get_or_insert_with(|| daemon.clone());
                }
                Some(SpanData::Fields(fields)) => {
                    // From the innermost span out: a field that is set already wins.
                    for (name, value) in fields {
                        if !inherited.contains_key(name) {
                            inherited.insert(name.clone(), value.clone());
                        }
                    }
                }
                None => {}
            }
        }
        let line = line::of_event(event, inherited, self.max_line_bytes);
        for sink in &self.sinks {
            let text = show::render(&line, sink.format, sink.colour);
            // A full queue counts its dropped lines itself; this is a queue that has closed.
            if sink.writer.clone().write_all(text.as_bytes()).is_err() {
                self.lost.one();
            }
        }
        ring.unwrap_or_else(|| self.rings.of("")).push(line);
    }
}
