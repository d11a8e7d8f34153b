//! Help, from the key table: the focused pane first, then what its symbols mean, then the rest.

mod legend;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use tui_input::Input;

use super::picker;
use super::screen::Screen;
use rpc_console_core::action::{Action, Binding, Context};
use rpc_console_core::model::Model;
use rpc_console_core::selectors;
use rpc_console_core::text;

/// Width of the keys of a row.
const KEYS: usize = 13;
/// Width of one column, with its frame.
const COLUMN: u16 = 84;
/// From this width on there are two columns.
const TWO_COLUMNS: u16 = 110;

pub(super) fn help(
    model: &Model,
    filter: &Input,
    top: usize,
    screen: &mut Screen<'_, '_>,
    area: Rect,
) {
    let theme = screen.theme;
    let columns = if area.width >= TWO_COLUMNS { 2 } else { 1 };
    let width = area.width.min(COLUMN * columns);
    let popup = Rect { x: area.x + (area.width - width) / 2, width, ..area };
    screen.clear(popup);
    let title = Line::from(" Help ");
    let close = model.keys.shown(Context::Help, Action::Close);
    let note = format!(" type to filter · {close} close ");
    let right = Line::from(Span::styled(note, theme.dim()));
    let inner = screen.bordered(popup, true, title, right);
    let body = picker::filter_line(screen, inner, filter);
    let column = Rect { width: body.width / columns, ..body };
    let mut lines = lines(model, filter.value(), screen, column.width);
    let (room, columns) = (usize::from(body.height), usize::from(columns));
    // As on pages of a newspaper: the second column continues the first.
    let top = top.min(lines.len().saturating_sub(room * columns));
    let mut shown = lines.split_off(top).into_iter();
    for at in 0..columns {
        let x = column.x + column.width * u16::try_from(at).unwrap_or(0);
        for (row, line) in (0..body.height).zip(shown.by_ref().take(room)) {
            screen.line(Rect { x, ..column }, row, line);
        }
    }
    let below = shown.count();
    if below > 0 {
        let more = Line::from(Span::styled(format!(" ▼ {below} more "), theme.warning()));
        let edge = Rect { x: popup.x, width: popup.width.saturating_sub(2), ..popup };
        screen.line_right(edge, popup.height - 1, more);
    }
}

fn lines(model: &Model, filter: &str, screen: &Screen<'_, '_>, width: u16) -> Vec<Line<'static>> {
    let theme = screen.theme;
    let here = pane_context(model);
    let filter = filter.trim().to_lowercase();
    let others = Context::ALL.into_iter().filter(|c| *c != here && *c != Context::Everywhere);
    let mut lines = keys(model, here, &filter, screen, width);
    let symbols = legend::lines(theme, here, &filter, width);
    for section in [symbols, keys(model, Context::Everywhere, &filter, screen, width)]
        .into_iter()
        .chain(others.map(|context| keys(model, context, &filter, screen, width)))
    {
        if !lines.is_empty() && !section.is_empty() {
            lines.push(Line::default());
        }
        lines.extend(section);
    }
    if lines.is_empty() {
        lines.push(Line::from(Span::styled(" no match", theme.dim())));
    }
    lines
}

/// The context below the help.
fn pane_context(model: &Model) -> Context {
    match model.forms.get() {
        Some(form) if Context::of(model.focus()) == Context::Form && form.json.is_some() => {
            Context::Json
        }
        _ => Context::of(model.focus()),
    }
}

/// The keys of a context that exist in this session.
fn keys(
    model: &Model,
    context: Context,
    filter: &str,
    screen: &Screen<'_, '_>,
    width: u16,
) -> Vec<Line<'static>> {
    let theme = screen.theme;
    let is_listed = |row: &&Binding| {
        row.context == context
            && selectors::exists(model, row.action)
            && !row.keys.is_empty()
            && matches(row, filter)
    };
    let rows: Vec<&Binding> = model.keys.rows().iter().filter(is_listed).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    // Reasons are known for the pane in view only.
    let is_here = context == pane_context(model) || context == Context::Everywhere;
    let mut lines = vec![Line::from(Span::styled(format!(" {}", context.title()), theme.strong()))];
    for row in rows {
        let keys: Vec<_> = row.keys.iter().map(|key| screen.key(*key)).collect();
        let why = selectors::unavailable(model, row.action).filter(|_| is_here);
        let why = why.map_or_else(String::new, |why| format!(" ({why})"));
        // Unavailable actions are dim.
        let style = if why.is_empty() { Style::new() } else { theme.dim() };
        let keys = Span::styled(keys.join(" "), theme.accent());
        lines.extend(entry(keys, &format!("{}{why}", row.help), style, width));
    }
    lines
}

/// A key or symbol and its text, wrapped.
fn entry(name: Span<'static>, text: &str, style: Style, width: u16) -> Vec<Line<'static>> {
    let room = usize::from(width).saturating_sub(KEYS + 5).max(1);
    let first = format!("   {} ", text::left(&name.content, KEYS));
    let names = [first].into_iter().chain(std::iter::repeat(" ".repeat(KEYS + 4)));
    let line = |(first, text): (String, String)| {
        Line::from(vec![Span::styled(first, name.style), Span::styled(text, style)])
    };
    names.zip(text::wrap_words(text, room)).map(line).collect()
}

fn matches(row: &Binding, filter: &str) -> bool {
    filter.is_empty()
        || row.help.to_lowercase().contains(filter)
        || row.context.title().to_lowercase().contains(filter)
        || row.keys.iter().any(|key| key.to_string().to_lowercase() == *filter)
}
