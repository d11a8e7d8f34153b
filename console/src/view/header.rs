//! The first two rows: registry and counts, then the tabs.

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::screen::{Screen, fitted};
use super::theme::Theme;
use super::traffic;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::key::Key;
use rpc_console_core::message::Hit;
use rpc_console_core::model::instances::Counts;
use rpc_console_core::model::link::{LinkState, Obstacle};
use rpc_console_core::model::standing::Standing;
use rpc_console_core::model::{Model, View};
use rpc_console_core::selectors::total_traffic;
use rpc_console_core::text;
use rpc_wire::report::SharingState;

/// Below this width only the most important parts are shown.
const NARROW: u16 = 60;
/// From this width on everything is shown.
const WIDE: u16 = 100;

pub(super) fn header(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let right = summary(model, screen, area.width);
    let right_width = u16::try_from(right.width()).unwrap_or(u16::MAX).min(area.width);
    let left_area = Rect { width: area.width.saturating_sub(right_width + 1), ..area };
    let mut left = registry(model, screen, area.width, left_area.width.into());
    left.extend(list_age(model, screen, usize::from(left_area.width).saturating_sub(left.width())));
    screen.line(left_area, 0, fitted(left, left_area.width.into()));
    screen.line_right(area, 0, right);
}

/// The registry, and the state of the connection to it, in so many columns of a row of that width.
fn registry(model: &Model, screen: &Screen<'_, '_>, width: u16, room: usize) -> Line<'static> {
    let theme = screen.theme;
    let (wide, narrow) = (width >= WIDE, width < NARROW);
    if narrow && !model.link.is_live() {
        // The next step matters more than the address.
        return Line::from(vec![Span::raw(" "), link(model, screen, wide, room)]);
    }
    let title = if wide { " rpc-console  " } else { " " };
    let mut line =
        Line::from(Span::styled(title, if wide { theme.strong() } else { Style::new() }));
    let name = match (&model.demo, model.registries.current()) {
        (Some(_), _) => Some("demo"),
        (None, named) => named.map(|named| named.name.as_str()),
    };
    let address = text::printable(model.link.address()).into_owned();
    // What was given by its address has no other name.
    let is_address = |name: &&str| *name == model.link.address() || *name == model.link.url;
    if let Some(name) = name.filter(|name| !is_address(name)) {
        line.extend(named(text::cut(name, 16).as_ref(), model, theme));
    }
    if wide {
        let what = if model.link.server.is_some() { "server " } else { "registry " };
        line.push_span(Span::styled(what, theme.dim()));
    }
    if narrow {
        // Glyph first: the end of the row is the first to be cut.
        let link = link(model, screen, wide, room);
        let glyph: String = link.content.chars().take(1).collect();
        line.push_span(Span::styled(glyph, link.style));
        line.push_span(format!(" {address} "));
    } else {
        // A server is opened by the whole of its URL.
        let whole =
            model.link.server.as_ref().map(|_| text::printable(&model.link.url).into_owned());
        let whole = whole.map(|url| format!("{url} ")).filter(|url| {
            let left = room.saturating_sub(line.width() + text::width(url));
            link(model, screen, wide, left).width() <= left
        });
        line.push_span(whole.unwrap_or_else(|| format!("{address} ")));
        line.push_span(link(model, screen, wide, room.saturating_sub(line.width())));
    }
    line
}

/// The age of the list on the screen, by which calls go, in the longest text that fits: it is cut last. One that
/// the console has had from the registry is as old as the connection is lost.
fn list_age(model: &Model, screen: &Screen<'_, '_>, room: usize) -> Option<Span<'static>> {
    let list = model.own_client.list.as_ref().filter(|list| list.on_disk);
    let list = list.filter(|_| !model.link.is_live())?;
    let now = model.shown_at(screen.now).at;
    let texts = [list.text(now), format!("list {}", list.short_text(now)), list.short_text(now)];
    let mut texts = texts.into_iter().map(|text| format!(" · {text}"));
    let text = texts.find(|text| text::width(text) <= room)?;
    Some(Span::styled(text, screen.theme.warning()))
}

/// The registry's name in its colour, which is a word without colours; and whether calls ask first.
fn named(name: &str, model: &Model, theme: Theme) -> Vec<Span<'static>> {
    let current = model.registries.current().filter(|_| model.demo.is_none());
    let colour = current.and_then(|current| current.colour);
    let style = colour.map_or(theme.accent(), |colour| theme.registry(colour));
    let mut spans = vec![Span::styled(format!("@{name}"), style), Span::raw(" ")];
    if let Some(colour) = colour.filter(|_| theme.mono) {
        spans.push(Span::raw(format!("({}) ", colour.name())));
    }
    if current.is_some_and(|current| current.confirm) {
        spans.push(Span::styled("asks first ", theme.warning()));
    }
    spans
}

/// Read-only or not, paused or not, the environment, counts of instances, own latency, the time.
fn summary(model: &Model, screen: &Screen<'_, '_>, width: u16) -> Line<'static> {
    let theme = screen.theme;
    let (wide, narrow) = (width >= WIDE, width < NARROW);
    let mut line = Line::default();
    if model.readonly {
        line.push_span(Span::styled(" READ-ONLY ", theme.selected()));
        line.push_span("  ");
    }
    if let Some(held) = &model.paused {
        let text = format!(" PAUSED +{} ", held.queued.len());
        line.push_span(Span::styled(text, theme.selected()));
        line.push_span("  ");
    }
    line.extend(standing(model, theme, width));
    if let Some(environment) = model.saved.current().filter(|_| !narrow) {
        let name = text::printable(&environment.name).into_owned();
        line.push_span(Span::styled("env ", theme.dim()));
        line.push_span(Span::styled(format!("{}  ", text::cut(&name, 16)), theme.accent()));
    }
    line.extend(counts(model, screen, width));
    if wide {
        line.push_span(" ");
        if let Some(p99) = model.calls.quantiles(None).map(|quantiles| quantiles.p99) {
            line.push_span(Span::styled("your calls p99 ", theme.dim()));
            line.push_span(format!("{}   ", text::latency(p99)));
        } else {
            line.push_span(" ");
        }
    }
    if !narrow {
        line.push_span(Span::styled(text::hour_minute(screen.now.wall_ms), theme.strong()));
        line.push_span(" ");
    }
    line
}

/// Whether the registry does not let the console in.
fn is_refused(model: &Model) -> bool {
    matches!(model.link.state, LinkState::Lost { obstacle: Obstacle::Refused, .. })
}

/// A key, where instances ask who the console is; by what they say, with the name of its token.
fn standing(model: &Model, theme: Theme, width: u16) -> Option<Span<'static>> {
    let (word, style) = match &model.standing {
        // The connection's state says so already.
        _ if width < WIDE && is_refused(model) => return None,
        Standing::Unknown | Standing::Open => return None,
        Standing::Known { name, .. } => (name.as_deref().unwrap_or("no token"), theme.good()),
        Standing::Refused(_) => ("refused", theme.bad()),
    };
    let word = text::printable(word);
    let text = match width {
        ..NARROW => "⚿ ".to_owned(),
        NARROW..WIDE => format!("⚿ {}  ", text::cut(&word, 8)),
        _ => format!("⚿ {}  ", text::cut(&word, 16)),
    };
    Some(Span::styled(text, style))
}

/// `3 up  1 late  0 gone`.
fn counts(model: &Model, screen: &Screen<'_, '_>, width: u16) -> Vec<Span<'static>> {
    let theme = screen.theme;
    let (wide, narrow) = (width >= WIDE, width < NARROW);
    let counts = model.instances.counts(model.shown_at(screen.now).at, model.link.is_live());
    let mut shown = Vec::new();
    if counts.unknown > 0 {
        shown.push((counts.unknown, "unknown", theme.unknown()));
    } else {
        shown.push((counts.up, "up", theme.good()));
        shown.extend(not_up(&counts, wide).into_iter().map(|(n, word)| (n, word, theme.warning())));
    }
    // A narrow row has no room for it beside the countdown to the next attempt.
    let room = !narrow || counts.unknown == 0;
    if (wide && counts.unknown == 0) || (counts.gone > 0 && room) {
        shown.push((counts.gone, "gone", theme.bad()));
    }
    let mut spans = Vec::new();
    for (number, word, style) in shown {
        if narrow && number == 0 {
            continue;
        }
        let style = if number == 0 { theme.dim() } else { style };
        spans.push(Span::styled(format!("{number} {word}"), style));
        spans.push(Span::raw("  "));
    }
    spans
}

/// Each state by its own word, where there is room or only one occurs; otherwise their sum.
fn not_up(counts: &Counts, wide: bool) -> Vec<(usize, &'static str)> {
    let [late, ..] = counts.not_up();
    let occurring: Vec<_> = counts.not_up().into_iter().filter(|(number, _)| *number > 0).collect();
    match &occurring[..] {
        [] => vec![late],
        [_] => occurring,
        several if wide => several.to_vec(),
        several => vec![(several.iter().map(|(number, _)| number).sum(), "not up")],
    }
}

/// The state of the connection; where there are several texts the longest that fits.
fn link(model: &Model, screen: &Screen<'_, '_>, wide: bool, room: usize) -> Span<'static> {
    let theme = screen.theme;
    match &model.link.state {
        LinkState::Direct => Span::styled("○ no registry", theme.dim()),
        LinkState::Live { .. } if let Some(since) = model.link.silent => {
            let now = model.shown_at(screen.now).at;
            let silent = text::seconds(now.saturating_duration_since(since));
            Span::styled(format!("? silent for {silent}"), theme.warning())
        }
        LinkState::Connecting => Span::styled("… connecting", theme.warning()),
        LinkState::Live { .. } if let Some((ms, state)) = cut_off(model) => {
            let since = text::seconds(Duration::from_millis(ms));
            let texts = [format!("◐ {} {since}", state.text()), format!("◐ cut off {since}")];
            Span::styled(longest(texts.into(), room), theme.warning())
        }
        LinkState::Live { .. } if model.link.readiness.store.is_some() => {
            Span::styled("◐ store fails", theme.warning())
        }
        LinkState::Live { .. } if let Some(brake) = model.link.readiness.brake => {
            Span::styled(format!("◐ brake holds {}", brake.held), theme.warning())
        }
        LinkState::Live { ages: true } => {
            let texts = live(model, wide);
            Span::styled(text::printable(&longest(texts, room)).into_owned(), theme.good())
        }
        LinkState::Live { ages: false } if wide => {
            let every = text::flag_duration(model.refresh_interval);
            Span::styled(format!("● polled every {every}, no heartbeat ages"), theme.good())
        }
        LinkState::Live { ages: false } => Span::styled("● polled", theme.good()),
        LinkState::Lost { since, retry_at, was_live, obstacle, .. } => {
            let now = screen.now.at;
            let ago = text::seconds(now.saturating_duration_since(*since));
            let left = retry_at.saturating_duration_since(now);
            // Rounded up, so that "retry in 0s" never shows.
            let left = left.as_millis().div_ceil(1000);
            let what = match obstacle {
                Obstacle::Unreachable if *was_live => format!("lost {ago} ago"),
                _ if *was_live && wide => format!("{} for {ago}", obstacle.word()),
                _ => obstacle.word().to_owned(),
            };
            let next = if left == 0 { "retrying".to_owned() } else { format!("retry in {left}s") };
            Span::styled(format!("✗ {what}, {next}"), theme.bad())
        }
    }
}

/// How a live registry is asked, its store and its peers, the longest text first.
fn live(model: &Model, wide: bool) -> Vec<String> {
    let readiness = &model.link.readiness;
    let live = if model.link.is_secure() { "● live, TLS" } else { "● live" };
    let stored = match readiness.store_name().filter(|_| wide) {
        Some(store) => format!("{live}, {store}"),
        None => live.to_owned(),
    };
    let Some(sharing) = &readiness.sharing else { return vec![stored] };
    let of = format!("1 of {}", sharing.peers.len() + 1);
    let short = format!("{live}, {of}");
    if !wide {
        return vec![short];
    }
    let with = sharing.text();
    let named = [format!("{stored}, {with}"), format!("{live}, {with}")];
    named.into_iter().chain([format!("{stored}, {of}"), short]).collect()
}

/// The first that fits; the last one is cut.
fn longest(mut texts: Vec<String>, room: usize) -> String {
    let last = texts.pop().unwrap_or_default();
    texts.into_iter().find(|text| text::width(text) <= room).unwrap_or(last)
}

/// For how long the registry has been cut off from the others, in milliseconds, and by what.
fn cut_off(model: &Model) -> Option<(u64, SharingState)> {
    let sharing = model.link.readiness.sharing.as_ref()?;
    Some((sharing.cut_off_ms?, sharing.state))
}

pub(super) fn tabs(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let mut x = area.x + u16::from(area.width >= NARROW);
    for view in View::ALL {
        let title = if area.width >= NARROW { view.title() } else { short_title(view) };
        let title = match load_progress(model) {
            Some(progress) if view == View::Load && area.width >= NARROW => {
                format!("{title} {progress}")
            }
            _ => title.to_owned(),
        };
        let current = view == model.view;
        let key =
            key_of(model, view).map_or_else(String::new, |key| format!("{} ", screen.key(key)));
        let label = if current { format!("[{key}{title}]") } else { format!(" {key}{title} ") };
        let style = if current { theme.accent().add_modifier(Modifier::BOLD) } else { theme.dim() };
        let width = u16::try_from(text::width(&label)).unwrap_or(0);
        let tab = Rect { x, width: width.min(area.right().saturating_sub(x)), ..area };
        screen.line(tab, 0, Line::from(Span::styled(label, style)));
        screen.hit(tab, Hit::View(view));
        x = x.saturating_add(width);
    }
    let free = usize::from(area.right().saturating_sub(x)).saturating_sub(1);
    let texts = traffic_texts(model, screen);
    // Errors and latency matter more than the demo's key.
    let needed = texts.get(traffic::WITH_P99 - 1).map_or(0, |text| text::width(text));
    let demo = demo_traffic(model, screen).filter(|line| line.width() + needed + 2 <= free);
    let room = free.saturating_sub(demo.as_ref().map_or(0, |line| line.width() + 2));
    let text = texts.into_iter().find(|text| text::width(text) <= room).unwrap_or_default();
    let mut line = Line::from(Span::styled(text, theme.accent()));
    if let Some(demo) = demo {
        line.push_span("  ");
        line.extend(demo);
    }
    if line.width() > 0 {
        screen.line_right(area, 0, line);
    }
}

/// The traffic of all instances, the longest text first.
fn traffic_texts(model: &Model, screen: &Screen<'_, '_>) -> Vec<String> {
    let now = model.shown_at(screen.now).at;
    let Some((sum, is_all)) = total_traffic(model, now) else { return Vec::new() };
    let bound = if is_all { "" } else { "≥ " };
    traffic::variants(&sum).into_iter().map(|text| format!("{bound}{text} ")).collect()
}

/// Whether the demo makes calls, and the key that changes it.
fn demo_traffic(model: &Model, screen: &Screen<'_, '_>) -> Option<Line<'static>> {
    let theme = screen.theme;
    let demo = model.demo.as_ref()?;
    let traffic = if demo.traffic { "traffic on" } else { "traffic off" };
    Some(Line::from(vec![
        Span::styled("demo: ", theme.dim()),
        Span::styled(traffic, if demo.traffic { theme.good() } else { theme.warning() }),
        Span::styled(
            format!(" {} ", model.keys.shown(Context::Everywhere, Action::DemoTraffic)),
            theme.accent(),
        ),
    ]))
}

/// The key that shows a view, if one is bound.
fn key_of(model: &Model, view: View) -> Option<Key> {
    let action = match view {
        View::Instances => Action::ViewInstances,
        View::Methods => Action::ViewMethods,
        View::History => Action::ViewHistory,
        View::Logs => Action::ViewLogs,
        View::Load => Action::ViewLoad,
    };
    let row = model.keys.rows().iter().find(|row| row.action == action)?;
    row.keys.first().copied()
}

fn short_title(view: View) -> &'static str {
    match view {
        View::Instances => "Inst",
        View::Methods => "Meth",
        View::History => "Hist",
        View::Logs => "Logs",
        View::Load => "Load",
    }
}

/// Progress of a running load test, shown in its tab.
fn load_progress(model: &Model) -> Option<String> {
    let run = model.load.run.as_ref().filter(|run| !run.is_over())?;
    let done = run.progress.as_ref().map_or(0.0, |progress| progress.done);
    Some(format!("{:.0}%", done * 100.0))
}
