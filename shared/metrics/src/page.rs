//! A page of metrics: families of samples, written as text in one of the two formats.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::{BOUNDS, Buckets, Counters, Format, Label};

/// What `/metrics` replies with. Each family is written when it is added, so its samples are together, as
/// both formats demand; a name must not be used twice.
#[derive(Debug)]
pub struct Page {
    format: Format,
    text: String,
}

/// The value of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A count.
    Whole(u64),
    /// Any number.
    Real(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Whole(value as u64)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<Duration> for Value {
    /// In seconds.
    fn from(value: Duration) -> Self {
        Self::Real(value.as_secs_f64())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => write!(f, "{value}"),
            Self::Real(value) if value.is_infinite() => {
                f.write_str(if *value > 0.0 { "+Inf" } else { "-Inf" })
            }
            Self::Real(value) => write!(f, "{value}"),
        }
    }
}

/// Labels and their values.
type Labels<'a> = [(&'static str, &'a str)];

/// Units that names may end in, before `_total`.
const UNITS: [&str; 2] = ["seconds", "bytes"];

impl Page {
    /// An empty page.
    pub fn new(format: Format) -> Self {
        Self { format, text: String::new() }
    }

    /// Numbers that only go up. The name ends in `_total`, and before that in the unit if it has one.
    pub fn counter<'a>(&'a mut self, name: &'a str, help: &str) -> Family<'a> {
        // OpenMetrics calls the family by the name without the ending.
        let family = match self.format {
            Format::Text => name,
            Format::OpenMetrics => name.strip_suffix("_total").unwrap_or(name),
        };
        self.begin(family, "counter", help);
        Family { page: self, name }
    }

    /// Numbers that go up and down. The name ends in the unit if it has one.
    pub fn gauge<'a>(&'a mut self, name: &'a str, help: &str) -> Family<'a> {
        self.begin(name, "gauge", help);
        Family { page: self, name }
    }

    /// Times, in buckets. The name ends in `_seconds`.
    pub fn histogram(&mut self, name: &'static str, help: &str) -> HistogramFamily<'_> {
        self.begin(name, "histogram", help);
        HistogramFamily { page: self, name }
    }

    /// A counter for each value of a label.
    pub fn counters<L: Label>(&mut self, name: &str, help: &str, counters: &Counters<L>) {
        let mut family = self.counter(name, help);
        for (label, count) in counters.iter() {
            family.sample(&[(L::NAME, label.as_str())], count);
        }
    }

    /// The whole text.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn begin(&mut self, family: &str, kind: &str, help: &str) {
        let (format, text) = (self.format, &mut self.text);
        text.extend(["# HELP ", family, " "]);
        escape(text, help, format == Format::OpenMetrics);
        text.extend(["\n# TYPE ", family, " ", kind, "\n"]);
        let unit = family.rsplit('_').next().filter(|unit| UNITS.contains(unit));
        if let Some(unit) = unit.filter(|_| format == Format::OpenMetrics) {
            text.extend(["# UNIT ", family, " ", unit, "\n"]);
        }
    }

    fn sample(
        &mut self,
        name: &[&str],
        labels: &Labels<'_>,
        le: Option<&'static str>,
        value: Value,
    ) {
        let text = &mut self.text;
        text.extend(name.iter().copied());
        let labels = labels.iter().copied().chain(le.map(|le| ("le", le)));
        let mut separator = "{";
        for (label, value) in labels {
            text.extend([separator, label, "=\""]);
            escape(text, value, true);
            text.push('"');
            separator = ",";
        }
        if separator == "," {
            text.push('}');
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, " {value}");
    }
}

/// Appends a text as both formats escape it; quotes only where they would end it.
fn escape(text: &mut String, raw: &str, quotes: bool) {
    for part in raw.split_inclusive(['\\', '\n', '"']) {
        let (plain, escaped) = match part.as_bytes().last() {
            Some(b'\\') => (&part[..part.len() - 1], "\\\\"),
            Some(b'\n') => (&part[..part.len() - 1], "\\n"),
            Some(b'"') if quotes => (&part[..part.len() - 1], "\\\""),
            _ => (part, ""),
        };
        text.extend([plain, escaped]);
    }
}

/// A family of counters or gauges.
#[derive(Debug)]
#[must_use = "a family without samples says nothing"]
pub struct Family<'a> {
    page: &'a mut Page,
    name: &'a str,
}

impl Family<'_> {
    /// Its only sample, without labels.
    pub fn value(mut self, value: impl Into<Value>) {
        self.sample(&[], value);
    }

    /// The sample of these labels.
    pub fn sample(&mut self, labels: &Labels<'_>, value: impl Into<Value>) {
        self.page.sample(&[self.name], labels, None, value.into());
    }
}

/// A family of histograms.
#[derive(Debug)]
#[must_use = "a family without samples says nothing"]
pub struct HistogramFamily<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl HistogramFamily<'_> {
    /// The histogram of these labels.
    pub fn sample(&mut self, labels: &Labels<'_>, Buckets { counts, sum }: &Buckets) {
        let mut count = 0;
        let bounds = BOUNDS.iter().map(|bound| bound.le).chain(["+Inf"]);
        for (le, here) in bounds.zip(counts) {
            count += here;
            self.page.sample(&[self.name, "_bucket"], labels, Some(le), count.into());
        }
        self.page.sample(&[self.name, "_sum"], labels, None, (*sum).into());
        self.page.sample(&[self.name, "_count"], labels, None, count.into());
    }
}

#[cfg(test)]
mod tests;
