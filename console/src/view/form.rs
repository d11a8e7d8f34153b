//! The form of a call: a row per parameter, the target, the request, and the documentation.

mod docs;
mod fields;
mod footer;

pub(super) use docs::doc_line;

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::label;
use super::screen::Screen;
use super::traffic;
use rpc_console_core::model::docs as docs_model;
use rpc_console_core::model::form::{Form, JsonText};
use rpc_console_core::model::{Model, Pane};
use rpc_console_core::selectors::{method_news, method_traffic};
use rpc_console_core::text;

/// Rows of the first line of the documentation, and of what has become of the method, at most.
const TEXT_ROWS: usize = 2;
/// Rows of the target, a blank row, and the request.
const FOOTER: u16 = 3;

/// Rows that the form of the current method needs in a pane of this width.
pub(super) fn rows_needed(model: &Model, width: u16) -> u16 {
    let width = width.saturating_sub(2);
    let rows = model.forms.get().map_or(0, |form| {
        let fields = match &form.json {
            Some(json) => json.area.lines().len().max(form.fields.len()),
            None => {
                let errors = (0..form.fields.len()).filter_map(|index| form.shown_error(index));
                let more = summary(form, width, TEXT_ROWS).len().saturating_sub(1);
                form.fields.len() + errors.count() + more
            }
        };
        news(model, form, width).len() + fields
    });
    u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(6)
}

pub(super) fn form(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let Some(form) = model.forms.get() else {
        let inner = screen.pane(model, area, Pane::Form, Line::from(" Call "), Line::default());
        let line = Line::from(Span::styled("no method selected", theme.dim()));
        return screen.centred(inner, vec![line]);
    };
    let name = text::printable(&form.signature.name).into_owned();
    let id = form.id();
    let room = usize::from(area.width).saturating_sub(11);
    let (service, name) = label::parts(model.methods.shown_service(&id), &name, room);
    let title = Line::from(vec![
        Span::raw(format!(" Call {service}")),
        Span::styled(format!("{name} "), theme.strong()),
    ]);
    let room = usize::from(area.width).saturating_sub(title.width() + 5);
    let right = Line::from(Span::styled(note(model, screen, form, room), theme.accent()));
    let inner = screen.pane(model, area, Pane::Form, title, right);
    let news = news(model, form, inner.width);
    for (row, line) in (0..inner.height).zip(&news) {
        let line = Span::styled(format!(" {line}"), screen.theme.warning());
        screen.line(inner, row, Line::from(line));
    }
    let inner = below(inner, u16::try_from(news.len()).unwrap_or(0), inner.height);
    match &form.json {
        Some(json) => draw_json(model, screen, form, json, inner),
        None => draw_form(model, screen, form, inner),
    }
}

/// At the right of the title: what the method says of itself, and its traffic.
fn note(model: &Model, screen: &Screen<'_, '_>, form: &Form, room: usize) -> String {
    let mut properties = docs_model::properties(&form.signature);
    properties.extend(form.signature.stream.then_some("stream"));
    let properties = properties.join(" · ");
    let padded = |text: &str| if text.is_empty() { String::new() } else { format!(" {text} ") };
    let now = model.shown_at(screen.now).at;
    let method = model.methods.get(&form.id());
    let trend = method.and_then(|method| method_traffic(model, method, now));
    let texts = trend.as_ref().map(traffic::variants).into_iter().flatten();
    let texts = texts.map(|text| match &*properties {
        "" => padded(&text),
        properties => padded(&format!("{properties} · {text}")),
    });
    let mut texts = texts.chain([padded(&properties)]);
    texts.find(|text| text::width(text) <= room).unwrap_or_default()
}

fn draw_form(model: &Model, screen: &mut Screen<'_, '_>, form: &Form, area: Rect) {
    let needed = fields::rows(form, area.width) + footer::rows(model, screen, form, area.width) + 1;
    let spare = area.height.saturating_sub(needed);
    // Where the documentation does not fit below, its first line stands above.
    let mut top = 0;
    if !docs::fits(spare) && area.height > 6 {
        let rows = usize::from(spare).clamp(1, TEXT_ROWS);
        for line in summary(form, area.width, rows) {
            let line = Span::styled(format!(" {line}"), screen.theme.dim());
            screen.line(area, top, Line::from(line));
            top += 1;
        }
    }
    // The field that is typed in is seen in the smallest pane, too.
    let room = area.height.saturating_sub(top + FOOTER.min(area.height)).max(1);
    let used = fields::draw(model, screen, form, below(area, top, room));
    let blank = u16::from(room > used);
    let top = top + used + blank;
    let footer = below(area, top, area.height);
    let used = footer::draw(model, screen, form, footer);
    docs::draw(model, screen, form, below(area, top + used, area.height));
}

/// What has become of the method while its form is open.
fn news(model: &Model, form: &Form, width: u16) -> Vec<String> {
    let news = method_news(model, form).map(|news| wrapped(&format!("≠ {news}"), width, TEXT_ROWS));
    news.unwrap_or_default()
}

/// The first line of the documentation.
fn summary(form: &Form, width: u16, rows: usize) -> Vec<String> {
    let first = form.signature.doc.lines().next();
    first.map(|first| wrapped(&text::printable(first), width, rows)).unwrap_or_default()
}

/// A text in at most so many rows.
fn wrapped(text: &str, width: u16, rows: usize) -> Vec<String> {
    let width = text_width(width);
    let mut lines = text::wrap_words(text, width);
    if lines.len() > rows {
        lines.truncate(rows);
        if let Some(last) = lines.last_mut() {
            *last = text::cut(&format!("{last}……"), width).into_owned();
        }
    }
    lines
}

/// Cells of a text inside of a pane.
fn text_width(width: u16) -> usize {
    usize::from(width).saturating_sub(2).max(1)
}

/// At most `height` rows of the area, from row `top` on.
fn below(area: Rect, top: u16, height: u16) -> Rect {
    let top = top.min(area.height);
    Rect { y: area.y + top, height: height.min(area.height - top), ..area }
}

/// The arguments as JSON: the text, its error, the target, and the documentation.
fn draw_json(model: &Model, screen: &mut Screen<'_, '_>, form: &Form, json: &JsonText, area: Rect) {
    let theme = screen.theme;
    let focused = model.focus() == Pane::Form && model.overlay.is_none();
    let width = usize::from(area.width).saturating_sub(2).max(1);
    let error = json.error.as_ref().map_or_else(Vec::new, |error| {
        text::wrap_words(&text::printable(&format!("✗ {error}")), width)
    });
    let errors = u16::try_from(error.len()).unwrap_or(u16::MAX).clamp(1, 3);
    let room = area.height.saturating_sub(errors + 2);
    let lines = u16::try_from(json.area.lines().len()).unwrap_or(u16::MAX);
    let spare = room.saturating_sub(lines + 1);
    let height = if docs::fits(spare) { lines + 1 } else { room };
    let text = below(area, 0, height);
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
    let rest = below(area, height, area.height);
    for (row, piece) in (0..errors).zip(error) {
        screen.line(rest, row, Line::from(Span::styled(format!(" {piece}"), theme.bad())));
    }
    let used = footer::draw(model, screen, form, below(rest, errors, 1));
    docs::draw(model, screen, form, below(rest, errors + used, area.height));
}
