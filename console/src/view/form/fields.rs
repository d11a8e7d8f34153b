//! The fields of a form: name, type and value in a row, an error in a row of its own.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::view::screen::Screen;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::message::Hit;
use rpc_console_core::model::form::{Field, Form};
use rpc_console_core::model::{Model, Pane};
use rpc_console_core::text;

/// Maximum rows of an error.
const ERROR_ROWS: usize = 3;
/// Width of the type.
const KIND: usize = 7;

/// Rows that all fields need.
pub(super) fn rows(form: &Form, width: u16) -> u16 {
    let rows: usize = (0..form.fields.len()).map(|index| 1 + error(form, index, width).len()).sum();
    u16::try_from(rows.max(1)).unwrap_or(u16::MAX)
}

/// Cells before the value.
fn left(form: &Form) -> usize {
    3 + name_width(form) + 2 + KIND
}

fn name_width(form: &Form) -> usize {
    let names = form.fields.iter().map(|field| text::printable(&field.parameter.name));
    names.map(|name| text::width(&name)).max().unwrap_or(0).clamp(3, 14)
}

/// The lines of a field's error, as wide as its value.
fn error(form: &Form, index: usize, width: u16) -> Vec<String> {
    let left = left(form);
    let room = usize::from(width).saturating_sub(left + 1).max(12);
    let lines = form
        .shown_error(index)
        .map(|error| text::wrap_words(&format!("✗ {}", text::printable(&error)), room));
    let mut lines = lines.unwrap_or_default();
    lines.truncate(ERROR_ROWS);
    lines
}

/// Draws the fields, scrolled to the focused one; returns the number of rows used.
pub(super) fn draw(model: &Model, screen: &mut Screen<'_, '_>, form: &Form, area: Rect) -> u16 {
    let theme = screen.theme;
    if form.fields.is_empty() {
        screen.line(area, 0, Line::from(Span::styled(" takes no arguments", theme.dim())));
        return 1.min(area.height);
    }
    let left = left(form);
    let height = |index: usize| 1 + error(form, index, area.width).len();
    let mut before: usize = (0..=form.focus.min(form.fields.len() - 1)).map(height).sum();
    let mut top = 0;
    while before > usize::from(area.height) && top < form.focus {
        before -= height(top);
        top += 1;
    }
    let mut row = 0;
    for index in top..form.fields.len() {
        if row >= area.height {
            break;
        }
        draw_field(model, screen, form, index, area, row);
        row += 1;
        for line in error(form, index, area.width) {
            let line = format!("{:1$}{line}", "", left.min(usize::from(area.width) / 2));
            screen.line(area, row, Line::from(Span::styled(line, theme.bad())));
            row += 1;
        }
    }
    row.min(area.height)
}

fn draw_field(
    model: &Model,
    screen: &mut Screen<'_, '_>,
    form: &Form,
    index: usize,
    area: Rect,
    row: u16,
) {
    let theme = screen.theme;
    let Some(field) = form.fields.get(index) else { return };
    let here = model.focus() == Pane::Form && model.overlay.is_none() && index == form.focus;
    let star = if field.parameter.is_required() { "*" } else { " " };
    let name = text::printable(&field.parameter.name).into_owned();
    let line = Line::from(vec![
        Span::styled(format!(" {star} "), theme.warning()),
        Span::styled(
            text::left(&name, name_width(form)),
            if here { theme.strong() } else { Style::new() },
        ),
        Span::raw("  "),
        Span::styled(text::left(field.kind.label(), KIND), theme.dim()),
    ]);
    screen.line(area, row, line);
    screen.hit_row(area, row, Hit::Field(index));
    let x = area.x + u16::try_from(left(form)).unwrap_or(0).min(area.width);
    let input = Rect { x, width: area.right().saturating_sub(x + 1), ..area };
    if field.input.value().is_empty() {
        let hint = placeholder(model, field, here, form.editing);
        let hint = text::printable(&hint);
        let hint = text::cut(&hint, usize::from(input.width)).into_owned();
        screen.line(input, row, Line::from(Span::styled(hint, theme.dim())));
    }
    screen.input(input, row, &field.input, here && form.editing);
    if here {
        // Some terminals draw no cursor, so the style marks the field too.
        let style = if form.editing { Modifier::UNDERLINED } else { Modifier::REVERSED };
        screen.style_row(input, row, Style::new().add_modifier(style));
    }
}

/// What stands in an empty field: the value that is used, and how to choose another.
fn placeholder(model: &Model, field: &Field, here: bool, editing: bool) -> String {
    if field.is_empty_text() {
        return "\"\" (backspace omits it)".to_owned();
    }
    let value = match &field.parameter.default {
        Some(default) => Some(format!("default {default}")),
        None if field.parameter.is_required() => None,
        None => Some("optional".to_owned()),
    };
    let help = match field.kind.choices() {
        _ if !here => None,
        Some(_) if field.kind.is_bool() => Some("space toggles".to_owned()),
        Some(_) => Some("space: list".to_owned()),
        None if editing && field.has_properties() => {
            Some(format!("{}: fill in as JSON", model.keys.shown(Context::Form, Action::EditJson)))
        }
        None => None,
    };
    [value, help].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}
