//! Which of the two formats a reader of `/metrics` asks for.

/// How a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Prometheus' text format 0.0.4, which every tool reads.
    #[default]
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The format for a request with these values of its `Accept` headers: [`OpenMetrics`](Self::OpenMetrics)
    /// if it is named and preferred to plain text, [`Text`](Self::Text) otherwise, whatever is asked for.
    pub fn for_accept<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut text, mut wildcard, mut open) = (None, None, None);
        for range in values.into_iter().flat_map(|value| value.split(',')) {
            let range = range.to_ascii_lowercase();
            let Some((media, version, weight)) = read(&range) else { continue };
            let best = match media {
                "application/openmetrics-text" if matches!(version, None | Some("1.0.0")) => {
                    &mut open
                }
                "text/plain" if matches!(version, None | Some("0.0.4")) => &mut text,
                "*/*" | "text/*" => &mut wildcard,
                _ => continue,
            };
            *best = (*best).max(Some(weight));
        }
        let text = text.or(wildcard).unwrap_or(0);
        if open.unwrap_or(0) > text { Self::OpenMetrics } else { Self::Text }
    }

    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The media type of one range of an `Accept`, in lower case, its version, and its weight in thousandths;
/// `None` if its weight is no number from 0 to 1.
fn read(range: &str) -> Option<(&str, Option<&str>, u16)> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?;
    let (mut version, mut weight) = (None, 1000);
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match name.trim() {
            "version" => version = Some(value),
            "q" => {
                let given = value.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q))?;
                weight = (given * 1000.0).round() as u16;
            }
            _ => {}
        }
    }
    Some((media, version, weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_the_default_and_openmetrics_is_for_those_who_prefer_it() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let prefers_text = "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1";
        for (accept, expected) in [
            (prometheus_2, Format::OpenMetrics),
            (prometheus_3, Format::OpenMetrics),
            (prefers_text, Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("Application/OpenMetrics-Text; Version=1.0.0", Format::OpenMetrics),
            ("application/openmetrics-text; version=\"1.0.0\" ; q=0.1", Format::OpenMetrics),
            ("application/openmetrics-text;q=0.9, */*;q=0.1", Format::OpenMetrics),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=2", Format::Text),
            ("application/openmetrics-text;version=0.0.1", Format::Text),
            ("application/openmetrics-text, text/plain", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("application/vnd.google.protobuf", Format::Text),
            ("*/*", Format::Text),
            ("", Format::Text),
        ] {
            assert_eq!(Format::for_accept([accept]), expected, "{accept}");
        }
        assert_eq!(Format::for_accept([]), Format::Text);
        let two_headers = ["text/plain;q=0.5", "application/openmetrics-text"];
        assert_eq!(Format::for_accept(two_headers), Format::OpenMetrics);
    }

    #[test]
    fn any_text_asks_for_openmetrics_only_by_its_name() {
        rpc_fuzz::text("accept", |accept| {
            let named = accept.to_ascii_lowercase().contains("application/openmetrics-text");
            assert!(named || Format::for_accept([accept]) == Format::Text);
        });
    }
}
