//! Pages in both formats, read again.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{Histogram, Seconds};

/// Names and values.
type ReadLabels = Vec<(String, String)>;

/// A page as a reader understands it.
#[derive(Debug, PartialEq, Default)]
struct Read {
    /// The type and the help of each family, by the name of its samples without their endings.
    families: BTreeMap<String, (String, String)>,
    /// Name, labels and value, in order.
    samples: Vec<(String, ReadLabels, String)>,
}

/// Reads either format, strictly, after their specifications.
fn read(text: &str, format: Format) -> Read {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line ends");
    let mut read = Read::default();
    let mut family = String::new();
    let mut lines = text.split_terminator('\n');
    if format == Format::OpenMetrics {
        assert_eq!(lines.next_back(), Some("# EOF"));
    }
    for line in lines {
        if let Some(comment) = line.strip_prefix("# ") {
            let (what, rest) = comment.split_once(' ').unwrap();
            let (name, value) = rest.split_once(' ').unwrap();
            let known = read.families.entry(name.to_owned()).or_default();
            match what {
                "HELP" => {
                    assert!(known.1.is_empty(), "{name} has one HELP");
                    known.1 = unescape(value);
                }
                "TYPE" => known.0 = value.to_owned(),
                "UNIT" => {
                    assert!(format == Format::OpenMetrics && name.ends_with(&format!("_{value}")))
                }
                _ => panic!("{line}"),
            }
            family = name.to_owned();
            continue;
        }
        let (kind, _) = &read.families[&family];
        let end = line.find(['{', ' ']).unwrap();
        let (name, mut rest) = line.split_at(end);
        let endings: &[&str] = match kind.as_str() {
            "counter" if format == Format::OpenMetrics => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        let belongs = name.strip_prefix(&family).is_some_and(|ending| endings.contains(&ending));
        assert!(belongs, "{name} belongs to {family}");
        let mut labels = Vec::new();
        if let Some(mut inside) = rest.strip_prefix('{') {
            loop {
                let (label, value) = inside.split_once("=\"").unwrap();
                let end = quoted(value);
                labels.push((label.to_owned(), unescape(&value[..end])));
                inside = &value[end + 1..];
                match inside.strip_prefix(',') {
                    Some(further) => inside = further,
                    None => break,
                }
            }
            rest = inside.strip_prefix('}').unwrap();
        }
        let value = rest.strip_prefix(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        read.samples.push((name.to_owned(), labels, value.to_owned()));
    }
    read
}

/// Where the quote is that ends a value.
fn quoted(value: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at,
            _ => {}
        }
    }
    panic!("{value} has no end");
}

fn unescape(text: &str) -> String {
    let mut chars = text.chars();
    let mut plain = String::new();
    while let Some(char) = chars.next() {
        plain.push(match char {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some(escaped @ ('\\' | '"')) => escaped,
                other => panic!("{other:?} is escaped in {text}"),
            },
            plain => plain,
        });
    }
    plain
}

#[test]
fn a_page_in_both_formats() {
    let histogram = Histogram::default();
    histogram.observe(Duration::from_micros(30));
    histogram.observe(Duration::from_millis(1500));
    let paused = Seconds::default();
    paused.add(Duration::from_millis(2500));
    let page = |format| {
        let mut page = Page::new(format);
        let mut refused = page.counter("x_refused_total", "Refused, by \"status\"\nand \\ why");
        refused.sample(&[("status", "404"), ("why", "a \"b\"\n\\")], 1_u64);
        refused.sample(&[("status", "503"), ("why", "")], 2_u64);
        page.counter("x_paused_seconds_total", "Paused").value(paused.get());
        page.gauge("x_kept_bytes", "Kept").value(5_usize);
        page.histogram("x_duration_seconds", "Times").sample(&[("m", "ü")], &histogram.buckets());
        page.finish()
    };
    let text = page(Format::Text);
    let beginning = "\
# HELP x_refused_total Refused, by \"status\"\\nand \\\\ why
# TYPE x_refused_total counter
x_refused_total{status=\"404\",why=\"a \\\"b\\\"\\n\\\\\"} 1
x_refused_total{status=\"503\",why=\"\"} 2
# HELP x_paused_seconds_total Paused
# TYPE x_paused_seconds_total counter
x_paused_seconds_total 2.5
# HELP x_kept_bytes Kept
# TYPE x_kept_bytes gauge
x_kept_bytes 5
# HELP x_duration_seconds Times
# TYPE x_duration_seconds histogram
x_duration_seconds_bucket{m=\"ü\",le=\"2.5e-05\"} 0
x_duration_seconds_bucket{m=\"ü\",le=\"5e-05\"} 1
";
    assert_eq!(text.get(..beginning.len()), Some(beginning), "{text}");
    let end = "\
x_duration_seconds_bucket{m=\"ü\",le=\"1.0\"} 1
x_duration_seconds_bucket{m=\"ü\",le=\"2.5\"} 2
x_duration_seconds_bucket{m=\"ü\",le=\"5.0\"} 2
x_duration_seconds_bucket{m=\"ü\",le=\"10.0\"} 2
x_duration_seconds_bucket{m=\"ü\",le=\"+Inf\"} 2
x_duration_seconds_sum{m=\"ü\"} 1.50003
x_duration_seconds_count{m=\"ü\"} 2
";
    assert!(text.ends_with(end), "{text}");
    let open = page(Format::OpenMetrics);
    let beginning = "\
# HELP x_refused Refused, by \\\"status\\\"\\nand \\\\ why
# TYPE x_refused counter
x_refused_total{status=\"404\",why=\"a \\\"b\\\"\\n\\\\\"} 1
x_refused_total{status=\"503\",why=\"\"} 2
# HELP x_paused_seconds Paused
# TYPE x_paused_seconds counter
# UNIT x_paused_seconds seconds
x_paused_seconds_total 2.5
# HELP x_kept_bytes Kept
# TYPE x_kept_bytes gauge
# UNIT x_kept_bytes bytes
x_kept_bytes 5
";
    assert_eq!(open.get(..beginning.len()), Some(beginning), "{open}");
    assert!(open.ends_with(&format!("{end}# EOF\n")), "{open}");
}

#[test]
fn numbers_are_written_as_both_formats_read_them() {
    for (value, expected) in [
        (Value::from(u64::MAX), "18446744073709551615"),
        (Value::from(0.5), "0.5"),
        (Value::from(f64::INFINITY), "+Inf"),
        (Value::from(f64::NEG_INFINITY), "-Inf"),
        (Value::from(f64::NAN), "NaN"),
        (Value::from(1e21), "1000000000000000000000"),
        (Value::from(Duration::from_nanos(1)), "0.000000001"),
    ] {
        assert_eq!(value.to_string(), expected);
    }
}

/// The samples of a family: the values of the labels, and what is counted.
type Samples<T> = Vec<(Vec<String>, T)>;

/// Families, each with its help.
#[derive(Debug)]
struct Given {
    counters: Vec<(String, Samples<u64>)>,
    gauges: Vec<(String, Samples<f64>)>,
    histograms: Vec<(String, Samples<[u32; 4]>)>,
}

fn families<T: Arbitrary>() -> impl Strategy<Value = Vec<(String, Samples<T>)>> {
    let labels = proptest::collection::vec(any::<String>(), 0..3);
    let samples = proptest::collection::vec((labels, any::<T>()), 1..4);
    proptest::collection::vec((any::<String>(), samples), 0..3)
}

fn given() -> impl Strategy<Value = Given> {
    (families(), families(), families()).prop_map(|(counters, gauges, histograms)| Given {
        counters,
        gauges,
        histograms,
    })
}

fn named(values: &[String]) -> Vec<(&'static str, &str)> {
    std::iter::zip(["rpc_method", "error_type"], values.iter().map(String::as_str)).collect()
}

impl Given {
    fn write(&self, format: Format) -> String {
        let mut page = Page::new(format);
        for (name, (help, samples)) in
            std::iter::zip(["a_total", "b_seconds_total"], &self.counters)
        {
            let mut family = page.counter(name, help);
            samples.iter().for_each(|(labels, value)| family.sample(&named(labels), *value));
        }
        for (name, (help, samples)) in std::iter::zip(["c", "d_bytes"], &self.gauges) {
            let mut family = page.gauge(name, help);
            samples.iter().for_each(|(labels, value)| family.sample(&named(labels), *value));
        }
        for (name, (help, samples)) in std::iter::zip(["e_seconds", "f_seconds"], &self.histograms)
        {
            let mut family = page.histogram(name, help);
            for (labels, micros) in samples {
                let histogram = Histogram::default();
                for micros in micros {
                    histogram.observe(Duration::from_micros(u64::from(*micros)));
                }
                family.sample(&named(labels), &histogram.buckets());
            }
        }
        page.finish()
    }

    /// The values of the labels of each sample, in order, and the value where it is written as it is.
    fn samples(&self) -> Vec<(Vec<String>, Option<String>)> {
        let counters = self.counters.iter().flat_map(|(_, samples)| samples);
        let gauges = self.gauges.iter().flat_map(|(_, samples)| samples);
        let histograms = self.histograms.iter().flat_map(|(_, samples)| samples);
        let counters = counters.map(|(labels, value)| (labels.clone(), Some(value.to_string())));
        let gauges =
            gauges.map(|(labels, value)| (labels.clone(), Some(Value::from(*value).to_string())));
        let histograms =
            histograms.flat_map(|(labels, _)| vec![(labels.clone(), None); BOUNDS.len() + 1 + 2]);
        counters.chain(gauges).chain(histograms).collect()
    }
}

proptest! {
    #[test]
    fn both_formats_carry_the_same_families_and_samples(given in given()) {
        let text = read(&given.write(Format::Text), Format::Text);
        let mut open = read(&given.write(Format::OpenMetrics), Format::OpenMetrics);
        let named_as_in_text = |(name, family): (String, (String, String))| {
            let name = if family.0 == "counter" { format!("{name}_total") } else { name };
            (name, family)
        };
        open.families = open.families.into_iter().map(named_as_in_text).collect();
        prop_assert_eq!(&text, &open);
        let found: Vec<_> = text.samples.into_iter().map(|(name, labels, value)| {
            let values = labels.into_iter().filter(|(label, _)| label != "le").map(|(_, value)| value);
            (values.collect(), name.starts_with(['a', 'b', 'c', 'd']).then_some(value))
        }).collect();
        prop_assert_eq!(given.samples(), found, "nothing is lost on the way");
    }
}
