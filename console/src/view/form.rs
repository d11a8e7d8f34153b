//! The form of a call: a row per parameter, the request, and its target.

use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::screen::Screen;
use rpc_console_core::message::Hit;
use rpc_console_core::model::form::{Field, FieldValue, Form, JsonText};
use rpc_console_core::model::{Model, Pane};
use rpc_console_core::selectors::candidates;
use rpc_console_core::text;

/// Rows that the form of the current method needs.
pub(super) fn rows_needed(model: &Model) -> u16 {
    let fields = model.forms.get().map_or(0, |form| match &form.json {
        Some(json) => json.area.lines().len().max(form.fields.len()),
        None => form.fields.len(),
    });
    u16::try_from(fields).unwrap_or(u16::MAX).saturating_add(6)
}

pub(super) fn form(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let Some(form) = model.forms.get() else {
        let inner = screen.pane(model, area, Pane::Form, Line::from(" Call "), Line::default());
        let line = Line::from(Span::styled("no method selected", theme.dim()));
        return screen.centred(inner, vec![line]);
    };
    let name = text::printable(&form.signature.name).into_owned();
    let title =
        Line::from(vec![Span::raw(" Call "), Span::styled(format!("{name} "), theme.strong())]);
    let right = if form.signature.stream { " stream " } else { "" };
    let right = Line::from(Span::styled(right, theme.accent()));
    let inner = screen.pane(model, area, Pane::Form, title, right);

    if let Some(json) = &form.json {
        return draw_json(model, screen, form, json, inner);
    }
    let mut at = 0;
    if let Some(summary) = form.signature.doc.lines().next().filter(|_| inner.height > 6) {
        let summary = text::printable(summary).into_owned();
        let summary = text::cut(&summary, usize::from(inner.width).saturating_sub(2)).into_owned();
        screen.line(inner, 0, Line::from(Span::styled(format!(" {summary}"), theme.dim())));
        at = 1;
    }
    let footer = 3.min(inner.height);
    let room = inner.height.saturating_sub(at + footer);
    let fields = Rect { y: inner.y + at, height: room, ..inner };
    draw_fields(model, screen, form, fields);
    let used = u16::try_from(form.fields.len().max(1)).unwrap_or(u16::MAX).min(room);
    let blank = u16::from(room > used);
    let top = at + used + blank;
    let footer = Rect {
        y: inner.y + top.min(inner.height),
        height: inner.height.saturating_sub(top),
        ..inner
    };
    draw_footer(model, screen, form, footer);
}

fn draw_fields(model: &Model, screen: &mut Screen<'_, '_>, form: &Form, area: Rect) {
    let theme = screen.theme;
    if form.fields.is_empty() {
        let line = Span::styled(" takes no arguments", theme.dim());
        return screen.line(area, 0, Line::from(line));
    }
    let focused = model.focus() == Pane::Form && model.overlay.is_none();
    let longest =
        form.fields.iter().map(|f| text::width(&text::printable(&f.parameter.name))).max();
    let name_width = longest.unwrap_or(0).clamp(3, 14);
    let left = 3 + name_width + 2 + 7;
    let rest = usize::from(area.width).saturating_sub(left);
    let sent_width = (rest / 2).clamp(0, 34);
    let input_width = rest.saturating_sub(sent_width + 1);
    let top = (form.focus + 1).saturating_sub(area.height.into());
    for (row, (index, field)) in (0..area.height).zip(form.fields.iter().enumerate().skip(top)) {
        let here = focused && index == form.focus;
        let star = if field.parameter.is_required() { "*" } else { " " };
        let name = text::printable(&field.parameter.name).into_owned();
        let name_style = if here { theme.strong() } else { ratatui::style::Style::new() };
        let line = Line::from(vec![
            Span::styled(format!(" {star} "), theme.warning()),
            Span::styled(text::left(&name, name_width), name_style),
            Span::raw("  "),
            Span::styled(text::left(field.kind.label(), 7), theme.dim()),
        ]);
        screen.line(area, row, line);
        screen.hit_row(area, row, Hit::Field(index));
        let x = area.x + u16::try_from(left).unwrap_or(0).min(area.width);
        let width = u16::try_from(input_width).unwrap_or(0).min(area.right().saturating_sub(x));
        let input = Rect { x, width, ..area };
        draw_input(screen, field, input, row, here, form.editing);
        let x = input.right().saturating_add(1).min(area.right());
        let sent = Rect { x, width: area.right().saturating_sub(x), ..area };
        draw_sent(screen, field, sent, row);
    }
}

fn draw_input(
    screen: &mut Screen<'_, '_>,
    field: &Field,
    area: Rect,
    row: u16,
    here: bool,
    editing: bool,
) {
    let theme = screen.theme;
    if field.input.value().is_empty() {
        // An empty text that was typed is sent: the default does not apply.
        let default = field.parameter.default.as_ref().filter(|_| !field.touched);
        let default = default.map(|default| format!("default {default}"));
        let values = match field.kind.choices() {
            Some(_) if !here => None,
            Some(_) if field.kind.is_bool() => Some("space toggles".to_owned()),
            Some(_) => Some("space: list".to_owned()),
            None => None,
        };
        let placeholders = [default, values].into_iter().flatten();
        let placeholder = placeholders.collect::<Vec<_>>().join(" · ");
        let placeholder = text::printable(&placeholder);
        let placeholder = text::cut(&placeholder, usize::from(area.width)).into_owned();
        screen.line(area, row, Line::from(Span::styled(placeholder, theme.dim())));
    }
    screen.input(area, row, &field.input, here && editing);
    if here {
        // Some terminals draw no cursor, so the style marks the field too.
        let style = if editing { Modifier::UNDERLINED } else { Modifier::REVERSED };
        screen.style_row(area, row, ratatui::style::Style::new().add_modifier(style));
    }
}

fn draw_sent(screen: &mut Screen<'_, '_>, field: &Field, area: Rect, row: u16) {
    let theme = screen.theme;
    let width = usize::from(area.width);
    let (text, style) = match (field.visible_error(), field.value()) {
        (Some(error), _) => (format!("✗ {error}"), theme.bad()),
        (None, FieldValue::Value(value)) => (format!("→ {value}"), theme.good()),
        (None, FieldValue::Omitted) => ("omitted".to_owned(), theme.dim()),
        (None, FieldValue::Missing | FieldValue::Invalid(_)) => {
            ("required".to_owned(), theme.dim())
        }
    };
    let text = text::cut(&text::printable(&text), width).into_owned();
    screen.line(area, row, Line::from(Span::styled(text, style)));
}

/// The arguments as JSON: the text, its error, and the target.
fn draw_json(model: &Model, screen: &mut Screen<'_, '_>, form: &Form, json: &JsonText, area: Rect) {
    let theme = screen.theme;
    let focused = model.focus() == Pane::Form && model.overlay.is_none();
    let footer = 3.min(area.height);
    let text = Rect { height: area.height - footer, ..area };
    let (row, column) = json.area.cursor();
    let top = (row + 1).saturating_sub(text.height.into());
    let digits = json.area.lines().len().to_string().len().max(2);
    for (at, (number, line)) in (0..text.height).zip(json.area.lines().iter().enumerate().skip(top))
    {
        let here = focused && number == row;
        let label = format!(" {} ", text::right(&(number + 1).to_string(), digits));
        screen.line(text, at, Line::from(Span::styled(label, theme.dim())));
        let used = u16::try_from(digits + 2).unwrap_or(0).min(text.width);
        let field = Rect { x: text.x + used, width: text.width - used, ..text };
        let input = tui_input::Input::new(line.clone()).with_cursor(column);
        screen.input(field, at, &input, here && form.editing);
        if here && !form.editing {
            screen.style_row(text, at, theme.selected());
        }
    }
    let rest = Rect { y: area.y + text.height, height: footer, ..area };
    let width = usize::from(area.width).saturating_sub(2);
    if let Some(error) = &json.error {
        let error = text::cut(&text::printable(&format!("✗ {error}")), width).into_owned();
        screen.line(rest, 0, Line::from(Span::styled(format!(" {error}"), theme.bad())));
    }
    let below = Rect { y: rest.y + 1.min(footer), height: footer.saturating_sub(1).min(1), ..rest };
    draw_footer(model, screen, form, below);
}

fn draw_footer(model: &Model, screen: &mut Screen<'_, '_>, form: &Form, area: Rect) {
    let theme = screen.theme;
    let focused = model.focus() == Pane::Form && model.overlay.is_none();
    let (target, only) = match &form.target {
        Some(key) => (text::printable(&key.to_string()).into_owned(), false),
        None => match &candidates(model, &form.signature.name, screen.now)[..] {
            [] => ("no instance".to_owned(), false),
            [only] => (text::printable(&only.to_string()).into_owned(), true),
            several => (format!("any of {}, random", several.len()), false),
        },
    };
    let send = if focused { theme.selected() } else { theme.dim() };
    let running = model.calls.running().filter(|call| call.request.method == form.signature.name);
    let button = if running.is_some() { " esc Cancel " } else { " ⏎ Send " };
    let button = if form.json.is_some() && running.is_none() { " ^s Send " } else { button };
    let mut line = Line::from(vec![
        Span::raw(" "),
        Span::styled(button, if running.is_some() { theme.warning() } else { send }),
        Span::styled("  to ", theme.dim()),
        Span::raw(target),
        Span::styled("  timeout ", theme.dim()),
        Span::raw(text::flag_duration(form.timeout)),
    ]);
    let note = " (only one)";
    if only && line.width() + note.len() <= usize::from(area.width) {
        line.spans.insert(4, Span::styled(note, theme.dim()));
    }
    screen.line(area, 0, line);
    let wire = match form.preview() {
        Ok(args) => {
            let wire = rpc_console_core::model::snippet::wire(&form.signature.name, &args);
            format!("{}  {}", text::bytes(wire.len()), text::printable(&wire))
        }
        Err(why) => format!("no request yet: {why}"),
    };
    let width = usize::from(area.width).saturating_sub(2);
    let mut pieces = text::wrap_anywhere(&wire, width.max(1));
    let rows = usize::from(area.height.saturating_sub(2)).min(4);
    if pieces.len() > rows && rows > 0 {
        pieces.truncate(rows);
        if let Some(last) = pieces.last_mut() {
            *last = text::cut(&format!("{last}……"), width).into_owned();
        }
    }
    let first = if area.height > 2 { 2 } else { 1 };
    for (row, piece) in (first..area.height).zip(pieces) {
        screen.line(area, row, Line::from(Span::styled(format!(" {piece}"), theme.dim())));
    }
}
