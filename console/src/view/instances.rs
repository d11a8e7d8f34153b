//! The table of instances and the detail of the selected one.

mod columns;
mod detail;
mod group;
mod layout;
mod notes;

pub(super) use detail::detail;
pub(super) use layout::view;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use self::columns::Columns;
use super::screen::Screen;
use super::theme::Theme;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::message::Hit;
use rpc_console_core::model::instances::{FLASH, Row, State, TableLine};
use rpc_console_core::model::link::{LinkState, Obstacle};
use rpc_console_core::model::service::Service;
use rpc_console_core::model::{Model, Pane, scroll};
use rpc_console_core::text;

pub(super) fn table(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let (now, live) = (model.shown_at(screen.now).at, model.link.is_live());
    let table = &model.instances;
    let lines = table.lines(now, live);
    let visible: Vec<&Row> = lines.iter().filter_map(TableLine::instance).collect();
    let matching = group::matching(&lines);

    let mut title = format!(" Instances {matching} ");
    if let Some(name) = table.only_service().and_then(Service::name) {
        title.push_str(&format!("· {} ", text::cut(name, usize::from(area.width / 4))));
    }
    // How long ago is in the header: one age, not two that differ by what each counts from.
    if !live && table.known_at.is_some() {
        title.push_str("· last known ");
    }
    let arrow = if table.reversed { "▼" } else { "▲" };
    let right = Line::from(vec![
        Span::styled(" sort ", theme.dim()),
        Span::raw(format!("{} {arrow} ", table.sort.title())),
    ]);
    let inner = screen.pane(model, area, Pane::Instances, Line::from(title), right);
    let note = match table.filter.value() {
        "" => "regex · !regex · ~fuzzy".to_owned(),
        _ if table.compiled_filter().is_invalid_regex() => {
            "not a valid regex; searching literally".to_owned()
        }
        _ => format!("{matching} of {}", table.len()),
    };
    let inner = screen.filter_row(model, inner, Pane::Instances, &table.filter, note);
    if lines.is_empty() {
        return empty(model, screen, inner);
    }

    let columns = {
        let has_traffic = live && table.all().any(|row| row.traffic.total(now).is_some());
        Columns::for_width(&visible, inner.width, live, has_traffic)
    };
    columns.heading(screen, inner);
    let notes = notes::notes(model, now, live);
    let notes = text::wrap_words(&notes.join(" · "), usize::from(inner.width).saturating_sub(2));
    let free = usize::from(inner.height).saturating_sub(lines.len() + 1).clamp(1, notes::MAX_ROWS);
    let is_noted = inner.height > 4 && !notes.concat().is_empty();
    let note_rows = if is_noted { u16::try_from(notes.len().min(free)).unwrap_or(1) } else { 0 };
    let height = inner.height.saturating_sub(1 + note_rows);
    let rows = Rect { y: inner.y + 1.min(inner.height), height, ..inner };
    screen.record_height(Pane::Instances, height);
    let selected = table.selected_line(&lines);
    let top = scroll::keep_visible(table.top, selected.unwrap_or(0), height.into(), lines.len());
    let focused = model.focus() == Pane::Instances;
    for (row, (index, line)) in (0..).zip(lines.iter().enumerate().skip(top).take(height.into())) {
        let drawn = match line {
            TableLine::Service(group) => group::heading(screen, group, &columns, now, live),
            TableLine::Instance(row) => {
                let shunned = model.own_client.shunned(&row.key);
                columns.row(screen, row, shunned, Some(index) == selected, now, live)
            }
        };
        screen.line(rows, row, drawn);
        screen.hit_row(rows, row, Hit::Row(Pane::Instances, index));
        if let Some(row) = line.instance() {
            screen.shows(&row.key);
        }
        let changed = line.instance().and_then(|row| row.changed_at);
        if changed.is_some_and(|at| now.saturating_duration_since(at) < FLASH) {
            screen.style_row(rows, row, theme.flash());
        }
        if Some(index) == selected {
            let style = if focused { theme.selected() } else { theme.selected_dim() };
            screen.style_row(rows, row, style);
        }
    }
    for (at, note) in (0..note_rows).zip(&notes) {
        let is_cut = at + 1 == note_rows && notes.len() > note_rows.into();
        let note = if is_cut { format!(" {note} …") } else { format!(" {note}") };
        let note = text::cut(&note, inner.width.into()).into_owned();
        let row = inner.height - note_rows + at;
        screen.line(inner, row, Line::from(Span::styled(note, theme.warning())));
    }
}

fn empty(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let address = text::printable(model.link.address()).into_owned();
    if !model.instances.is_empty() {
        let key = model.keys.shown(Context::Everywhere, Action::Escape);
        let text = format!("no instance matches the filter · {key} clears it");
        let line = Span::styled(text, theme.dim());
        return screen.centred(area, vec![Line::from(line)]);
    }
    let plain = |text: String| Line::from(text);
    let lines = match &model.link.state {
        LinkState::Live { .. } => vec![
            plain(format!("no instances registered at {address}")),
            Line::default(),
            Line::from(Span::styled("start one:", theme.dim())),
            Line::from(Span::styled(
                format!("rpcd serve -p 8089 --registry {}", text::printable(&model.link.url)),
                theme.accent(),
            )),
        ],
        LinkState::Direct => vec![plain(format!("opening {address} …"))],
        LinkState::Connecting => vec![plain(format!("connecting to the registry at {address} …"))],
        LinkState::Lost { error, obstacle, .. } => lost(model, theme, error, *obstacle, area.width),
    };
    screen.centred(area, lines);
}

/// What keeps the console from the registry, and what to do about it.
fn lost(
    model: &Model,
    theme: Theme,
    error: &str,
    obstacle: Obstacle,
    width: u16,
) -> Vec<Line<'static>> {
    let address = text::printable(model.link.address()).into_owned();
    let width = usize::from(width).max(1);
    let wrapped = |text: &str, style: Style| {
        let pieces = text::wrap_words(&text::printable(text), width).into_iter();
        pieces.map(move |piece| Line::from(Span::styled(piece, style))).collect::<Vec<_>>()
    };
    let what = match obstacle {
        Obstacle::Unreachable => format!("registry at {address} unreachable"),
        Obstacle::Insecure => format!("no TLS with the registry at {address}"),
        Obstacle::Refused => format!("the registry at {address} does not let the console in"),
    };
    let mut lines = wrapped(&what, Style::new());
    lines.extend(wrapped(error, theme.bad()));
    lines.push(Line::default());
    match model.registries.remedy(obstacle) {
        Some(remedy) => {
            lines.extend(wrapped(&remedy, theme.accent()));
            let next = match model.registries.withheld() {
                Some(_) => "then start the console again",
                None => "files are read again; the console connects automatically",
            };
            lines.extend(wrapped(next, theme.dim()));
        }
        None => {
            lines.extend(wrapped("start it; the console connects automatically:", theme.dim()));
            lines.extend(wrapped(&model.link.start_command(), theme.accent()));
            lines.extend(wrapped("or try: rpc-console --demo", theme.dim()));
        }
    }
    lines
}

/// Glyph and style of a state.
pub(super) fn glyph_and_style(screen: &Screen<'_, '_>, state: State) -> (&'static str, Style) {
    let theme = screen.theme;
    let style = match state {
        State::Up => theme.good(),
        State::Late | State::Suspect | State::Draining | State::Maintenance => theme.warning(),
        State::Unknown => theme.unknown(),
        State::Gone => theme.bad(),
    };
    (glyph(state), style)
}

fn glyph(state: State) -> &'static str {
    match state {
        State::Up => "●",
        State::Late | State::Suspect => "◐",
        State::Draining | State::Maintenance => "○",
        State::Unknown => "?",
        State::Gone => "✗",
    }
}
