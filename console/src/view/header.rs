//! The first two rows: the registry and the counts, and the tab bar.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::screen::Screen;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::message::Hit;
use rpc_console_core::model::link::LinkState;
use rpc_console_core::model::{Model, View};
use rpc_console_core::text;

pub(super) fn header(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let wide = area.width >= 100;
    let narrow = area.width < 60;
    let mut left = Line::default();
    if wide {
        left.push_span(Span::styled(" rpc-console  ", theme.strong()));
    } else {
        left.push_span(" ");
    }
    let name = match (&model.demo, model.registries.current()) {
        (Some(_), _) => Some("demo"),
        (None, named) => named.map(|named| named.name.as_str()),
    };
    if let Some(name) = name {
        left.push_span(Span::styled(format!("@{} ", text::cut(name, 16)), theme.accent()));
    }
    if wide {
        left.push_span(Span::styled("registry ", theme.dim()));
    }
    let address = text::printable(model.link.address()).into_owned();
    let link = link(model, screen, wide);
    if narrow && !model.link.is_live() {
        // What happens next is worth more than which registry it is.
        left = Line::from(vec![Span::raw(" "), link]);
    } else if narrow {
        // Glyph first: the end of the row is the first to be cut.
        let glyph: String = link.content.chars().take(1).collect();
        left.push_span(Span::styled(glyph, link.style));
        left.push_span(format!(" {address} "));
    } else {
        left.push_span(format!("{address} "));
        left.push_span(link);
    }

    let counts = model.instances.counts(model.shown_at(screen.now).at, model.link.is_live());
    let mut right = Line::default();
    if let Some(held) = &model.paused {
        let text = format!(" PAUSED +{} ", held.queued.len());
        right.push_span(Span::styled(text, theme.selected()));
        right.push_span("  ");
    }
    let mut count = |number: usize, word: &str, style: Style| {
        if narrow && number == 0 {
            return;
        }
        let style = if number == 0 { theme.dim() } else { style };
        right.push_span(Span::styled(format!("{number} {word}"), style));
        right.push_span("  ");
    };
    if counts.unknown > 0 {
        count(counts.unknown, "unknown", theme.unknown());
    } else {
        count(counts.up, "up", theme.good());
        count(counts.late, "late", theme.warning());
    }
    // A narrow row has no room for both while it counts down to the next try.
    let room = !narrow || counts.unknown == 0;
    if (wide && counts.unknown == 0) || (counts.gone > 0 && room) {
        count(counts.gone, "gone", theme.bad());
    }
    if wide {
        right.push_span(" ");
        if let Some(p99) = model.calls.quantiles(None).map(|quantiles| quantiles.p99) {
            right.push_span(Span::styled("p99 ", theme.dim()));
            right.push_span(format!("{}   ", text::latency(p99)));
        } else {
            right.push_span(" ");
        }
    }
    if !narrow {
        right.push_span(Span::styled(text::hour_minute(screen.now.wall_ms), theme.strong()));
        right.push_span(" ");
    }

    let right_width = u16::try_from(right.width()).unwrap_or(u16::MAX).min(area.width);
    let left_area = Rect { width: area.width.saturating_sub(right_width + 1), ..area };
    screen.line(left_area, 0, left);
    screen.line_right(area, 0, right);
}

fn link(model: &Model, screen: &Screen<'_, '_>, wide: bool) -> Span<'static> {
    let theme = screen.theme;
    match &model.link.state {
        LinkState::Connecting => Span::styled("… connecting", theme.warning()),
        LinkState::Live { ages: true } => Span::styled("● live", theme.good()),
        LinkState::Live { ages: false } if wide => {
            let every = text::flag_duration(model.refresh_interval);
            Span::styled(format!("● polled every {every}, no heartbeat ages"), theme.good())
        }
        LinkState::Live { ages: false } => Span::styled("● polled", theme.good()),
        LinkState::Lost { since, retry_at, was_live, .. } => {
            let now = screen.now.at;
            let ago = text::seconds(now.saturating_duration_since(*since));
            let left = retry_at.saturating_duration_since(now);
            // Rounded up, so that "retry in 0s" never shows.
            let left = left.as_millis().div_ceil(1000);
            let what = if *was_live { format!("lost {ago} ago") } else { "unreachable".to_owned() };
            let next = if left == 0 { "retrying".to_owned() } else { format!("retry in {left}s") };
            Span::styled(format!("✗ {what}, {next}"), theme.bad())
        }
    }
}

pub(super) fn tabs(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let mut x = area.x + u16::from(area.width >= 60);
    for (number, view) in View::ALL.iter().enumerate().map(|(at, view)| (at + 1, *view)) {
        let title = if area.width >= 60 { view.title() } else { text_short(view) };
        let title = match load_word(model) {
            Some(word) if view == View::Load && area.width >= 60 => format!("{title} {word}"),
            _ => title.to_owned(),
        };
        let current = view == model.view;
        let label =
            if current { format!("[{number} {title}]") } else { format!(" {number} {title} ") };
        let style = if current { theme.accent().add_modifier(Modifier::BOLD) } else { theme.dim() };
        let width = u16::try_from(label.len()).unwrap_or(0);
        let tab = Rect { x, width: width.min(area.right().saturating_sub(x)), ..area };
        screen.line(tab, 0, Line::from(Span::styled(label, style)));
        screen.hit(tab, Hit::View(view));
        x = x.saturating_add(width);
    }
    if let Some(demo) = &model.demo {
        let traffic = if demo.traffic { "traffic on" } else { "traffic off" };
        let line = Line::from(vec![
            Span::styled("demo: ", theme.dim()),
            Span::styled(traffic, if demo.traffic { theme.good() } else { theme.warning() }),
            Span::styled(
                format!(" {} ", model.keys.shown(Context::Everywhere, Action::DemoTraffic)),
                theme.accent(),
            ),
        ]);
        let used = x.saturating_sub(area.x);
        if usize::from(area.width.saturating_sub(used)) > line.width() {
            screen.line_right(area, 0, line);
        }
    }
}

fn text_short(view: View) -> &'static str {
    match view {
        View::Instances => "Inst",
        View::Methods => "Meth",
        View::History => "Hist",
        View::Logs => "Logs",
        View::Load => "Load",
    }
}

/// How far a load test under way is, for whoever looks elsewhere.
fn load_word(model: &Model) -> Option<String> {
    let run = model.load.run.as_ref().filter(|run| !run.is_over())?;
    let done = run.progress.as_ref().map_or(0.0, |progress| progress.done);
    Some(format!("{:.0}%", done * 100.0))
}
