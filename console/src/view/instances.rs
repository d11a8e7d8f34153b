//! The table of instances and the detail of the selected one.

mod columns;
mod detail;
mod layout;

pub(super) use detail::detail;
pub(super) use layout::view;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use self::columns::Columns;
use super::screen::Screen;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::message::Hit;
use rpc_console_core::model::instances::{FLASH, Probe, Row, State};
use rpc_console_core::model::link::LinkState;
use rpc_console_core::model::{Model, Pane, scroll};
use rpc_console_core::text;

pub(super) fn table(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let (now, live) = (model.shown_at(screen.now).at, model.link.is_live());
    let table = &model.instances;
    let visible = table.visible(now, live);

    let mut title = format!(" Instances {} ", visible.len());
    if let (false, Some(known)) = (live, table.known_at) {
        let ago = text::seconds(now.saturating_duration_since(known));
        title.push_str(&format!("· last known {ago} ago "));
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
        _ => format!("{} of {}", visible.len(), table.len()),
    };
    let inner = screen.filter_row(model, inner, Pane::Instances, &table.filter, note);
    if visible.is_empty() {
        return empty(model, screen, inner);
    }

    let columns = Columns::for_width(&visible, inner.width, live);
    columns.heading(screen, inner);
    let notes = notes(model, now, live);
    let notes = text::wrap_words(&notes.join(" · "), usize::from(inner.width).saturating_sub(2));
    let free = usize::from(inner.height).saturating_sub(visible.len() + 1).clamp(1, MAX_NOTE_ROWS);
    let is_noted = inner.height > 4 && !notes.concat().is_empty();
    let note_rows = if is_noted { u16::try_from(notes.len().min(free)).unwrap_or(1) } else { 0 };
    let height = inner.height.saturating_sub(1 + note_rows);
    let rows = Rect { y: inner.y + 1.min(inner.height), height, ..inner };
    screen.record_height(Pane::Instances, height);
    let selected = table.selected_index(&visible);
    let top = scroll::keep_visible(table.top, selected.unwrap_or(0), height.into(), visible.len());
    let focused = model.focus() == Pane::Instances;
    for (row, (index, instance)) in
        (0..).zip(visible.iter().enumerate().skip(top).take(height.into()))
    {
        screen.line(rows, row, columns.row(screen, instance, Some(index) == selected, now, live));
        screen.hit_row(rows, row, Hit::Row(Pane::Instances, index));
        if instance.changed_at.is_some_and(|at| now.saturating_duration_since(at) < FLASH) {
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

/// No screen has room for more.
const MAX_NOTES: usize = 20;
/// Rows of notes, where the table leaves them.
const MAX_NOTE_ROWS: usize = 3;

/// Texts on instances that need attention, and on those that are not probed.
fn notes(model: &Model, now: std::time::Instant, live: bool) -> Vec<String> {
    let listed = model.instances.all().filter(|row| row.gone.is_none()).count();
    let mut notes = Vec::new();
    let probed = model.instances.max_probed;
    if listed > probed {
        notes.push(format!("probing {probed} of {listed} ([console] max_probed)"));
    }
    let is_notable = |row: &&Row| {
        needs_attention(row.state(now, live))
            || matches!(row.probe, Probe::Failed(_))
            || !model.methods.missing(&row.key).is_empty()
            || !model.methods.differing(&row.key).is_empty()
    };
    let is_less_urgent = |row: &Row| !needs_attention(row.state(now, live));
    let mut rows: Vec<&Row> = model.instances.all().filter(is_notable).collect();
    rows.sort_by(|a, b| (is_less_urgent(a), &a.key).cmp(&(is_less_urgent(b), &b.key)));
    for row in rows.into_iter().take(MAX_NOTES) {
        let state = row.state(now, live);
        if needs_attention(state) {
            let (glyph, word) = (glyph(state), row.state_text(now, live));
            notes.push(format!("{glyph} {} is {word}", text::printable(&row.key.to_string())));
        }
        let lacking = model.methods.missing(&row.key);
        if row.gone.is_none() && !lacking.is_empty() {
            let names = text::printable(&lacking.join(", ")).into_owned();
            notes.push(format!("≠ {} lacks {names}", text::printable(&row.key.to_string())));
        }
        if let Some(method) = model.methods.differing(&row.key).first() {
            let (key, method) = (row.key.to_string(), text::printable(method));
            notes.push(format!("≠ {} has {method}", text::printable(&key)));
        }
        if let Probe::Failed(why) = &row.probe
            && state == State::Up
        {
            let (key, why) = (row.key.to_string(), text::printable(why));
            notes.push(format!("✗ {} is up, but its probe failed: {why}", text::printable(&key)));
        }
    }
    notes
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
        LinkState::Connecting => vec![plain(format!("connecting to the registry at {address} …"))],
        LinkState::Lost { error, .. } => vec![
            plain(format!("registry at {address} unreachable")),
            Line::from(Span::styled(text::printable(error).into_owned(), theme.bad())),
            Line::default(),
            Line::from(Span::styled("start it; the console connects automatically:", theme.dim())),
            Line::from(Span::styled(
                format!(
                    "rpcd registry -p {}",
                    model.link.address().rsplit(':').next().unwrap_or("9999")
                ),
                theme.accent(),
            )),
            Line::from(Span::styled("or try: rpc-console --demo", theme.dim())),
        ],
    };
    screen.centred(area, lines);
}

fn needs_attention(state: State) -> bool {
    matches!(state, State::Late | State::Suspect | State::Draining | State::Maintenance)
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
