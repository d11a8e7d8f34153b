//! A log line: time, level, source, and the message with its fields and matches highlighted.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use rpc_wire::report::Level;

use crate::view::screen::Screen;
use crate::view::theme::Theme;
use rpc_console_core::model::Model;
use rpc_console_core::model::logs::{Line as LogLine, Times};
use rpc_console_core::model::pattern::Pattern;
use rpc_console_core::text;

/// Below this width the source has no column, and times have no milliseconds.
const NARROW: u16 = 60;

/// How the lines of a frame are drawn, the same for all.
pub(super) struct Columns<'a> {
    times: Times,
    /// Some line is of another day, so each has its date.
    dated: bool,
    /// The width of the source; `None`: not shown.
    source: Option<usize>,
    width: u16,
    wrap: bool,
    search: &'a Pattern,
}

impl<'a> Columns<'a> {
    pub(super) fn new(model: &'a Model, screen: &Screen<'_, '_>, area: Rect) -> Self {
        let logs = &model.logs;
        let longest = logs.sources.keys().map(|source| text::width(&source.name())).max();
        let today = text::day(screen.now.wall_ms);
        let mut shown = logs.upwards().take(area.height.into());
        let times = match logs.time {
            Times::Full if area.width < NARROW => Times::Short,
            times => times,
        };
        Self {
            times,
            dated: times != Times::Hidden && shown.any(|line| text::day(line.wall_ms) != today),
            source: (logs.source.is_none() && area.width >= NARROW)
                .then(|| longest.unwrap_or(8).clamp(8, 22)),
            width: area.width,
            wrap: logs.wrap,
            search: logs.searched(),
        }
    }

    /// The line, in several rows where it is wrapped.
    pub(super) fn lines(&self, screen: &Screen<'_, '_>, line: &LogLine) -> Vec<Line<'static>> {
        let theme = screen.theme;
        let width = usize::from(self.width);
        if line.mark {
            let text = format!("── {} ", text::hour_minute_second(line.wall_ms));
            let rule = "─".repeat(width.saturating_sub(text::width(&text)));
            return vec![Line::from(Span::styled(format!("{text}{rule}"), theme.accent()))];
        }
        let head = self.head(theme, line);
        let used: usize = head.iter().map(Span::width).sum();
        let room = width.saturating_sub(used).max(1);
        let mut message = text::printable(&line.text).into_owned();
        if line.dropped > 0 {
            let lost = text::count(line.dropped, "line", "lines");
            message = format!("[{lost} lost before this] {message}");
        }
        let pieces = match self.wrap {
            true => text::wrap_words(&message, room),
            false => vec![text::cut(&message, room).into_owned()],
        };
        let indent = vec![Span::raw(" ".repeat(used))];
        let heads = [head].into_iter().chain(std::iter::repeat(indent));
        let row = |(mut spans, piece): (Vec<Span<'static>>, String)| {
            spans.extend(self.highlighted(theme, &piece));
            Line::from(spans)
        };
        heads.zip(pieces).map(row).collect()
    }

    /// Time, level and source.
    fn head(&self, theme: Theme, line: &LogLine) -> Vec<Span<'static>> {
        let mut spans = vec![Span::raw(" ")];
        let time = match self.times {
            Times::Full => Some(text::to_the_millisecond(line.wall_ms)),
            Times::Short => Some(text::hour_minute_second(line.wall_ms)),
            Times::Hidden => None,
        };
        if let Some(time) = time {
            let date = if self.dated {
                format!("{} ", text::month_day(line.wall_ms))
            } else {
                String::new()
            };
            spans.push(Span::styled(format!("{date}{time}  "), theme.dim()));
        }
        let level = text::left(&line.level.as_str().to_uppercase(), 5);
        spans.push(Span::styled(format!("{level}  "), level_style(theme, line.level)));
        if let Some(width) = self.source {
            let source = text::left(&line.source.name(), width);
            spans.push(Span::styled(format!("{source}  "), theme.dim()));
        }
        spans
    }

    /// The text with its fields, and what is searched for, highlighted.
    fn highlighted(&self, theme: Theme, text: &str) -> Vec<Span<'static>> {
        let (mut spans, mut rest) = (Vec::new(), text);
        while let Some(found) = self.search.find(rest) {
            let (before, from) = rest.split_at(found.start);
            let (hit, after) = from.split_at(found.len());
            spans.extend(fields(theme, before));
            spans.push(Span::styled(hit.to_owned(), theme.found()));
            rest = after;
        }
        spans.extend(fields(theme, rest));
        spans
    }
}

/// The text with the names of fields (`name=value`) highlighted.
fn fields(theme: Theme, text: &str) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    for word in text.split_inclusive(' ') {
        match word.split_once('=').filter(|(name, _)| is_name(name)) {
            Some((name, value)) => {
                spans.push(Span::styled(format!("{name}="), theme.json_key()));
                spans.push(Span::raw(value.to_owned()));
            }
            None => spans.push(Span::raw(word.to_owned())),
        }
    }
    spans
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn level_style(theme: Theme, level: Level) -> Style {
    match level {
        Level::Error => theme.bad(),
        Level::Warn => theme.warning(),
        Level::Info => theme.good(),
        Level::Debug | Level::Trace => theme.dim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_are_highlighted_and_other_words_are_not() {
        let theme = Theme::default();
        let texts = |text: &str| -> Vec<String> {
            let is_field = |span: &Span<'_>| span.style == theme.json_key();
            let spans = fields(theme, text).into_iter();
            spans.filter(is_field).map(|span| span.content.into_owned()).collect()
        };
        assert_eq!(texts("refused peer=127.0.0.1:1 after_ms=12"), ["peer=", "after_ms="]);
        assert!(texts("a == b, 1=2 or \"x=1\"").is_empty());
        let spans = fields(theme, "two words x=1 three");
        let whole: String = spans.iter().map(|span| span.content.as_ref()).collect();
        assert_eq!(whole, "two words x=1 three");
    }
}
