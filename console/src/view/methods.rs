//! The list of methods.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::label::label;
use super::screen::Screen;
use super::theme::Theme;
use super::traffic;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::message::Hit;
use rpc_console_core::model::methods::Method;
use rpc_console_core::model::{Model, Now, Pane, scroll};
use rpc_console_core::selectors::{MethodRow, method_rows, method_traffic, selected_row};
use rpc_console_core::text;
use rpc_wire::instance::InstanceKey;

pub(super) fn list(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let methods = &model.methods;
    let visible = method_rows(model);
    let title = match &methods.scope {
        Some(key) => {
            let room = usize::from(area.width).saturating_sub(8);
            format!(" @{} ", text::cut(&text::printable(&key.to_string()), room))
        }
        None => " Methods ".to_owned(),
    };
    let right = Line::from(Span::styled(format!(" {} ", visible.len()), theme.dim()));
    let inner = screen.pane(model, area, Pane::Methods, Line::from(title), right);
    let note = visible.len().to_string();
    let inner = screen.filter_row(model, inner, Pane::Methods, &methods.filter, note);
    let inner = unreadable(model, screen, inner);
    screen.record_height(Pane::Methods, inner.height);
    if visible.is_empty() {
        let (why, style) = match methods.errors.values().next() {
            Some(error) if methods.is_empty() => (error.as_str(), theme.bad()),
            None if methods.is_empty() => ("no methods yet", theme.dim()),
            _ => ("no match · esc", theme.dim()),
        };
        let width = usize::from(inner.width).max(1);
        let lines = text::wrap_words(&text::printable(why), width).into_iter();
        let lines = lines.map(|line| Line::from(Span::styled(line, style))).collect();
        return screen.centred(inner, lines);
    }
    let selected = selected_row(model, &visible);
    let top = scroll::keep_visible(
        methods.top,
        selected.unwrap_or(0),
        inner.height.into(),
        visible.len(),
    );
    let room = usize::from(inner.width).saturating_sub(3);
    for (row, (index, line)) in
        (0..).zip(visible.iter().enumerate().skip(top).take(inner.height.into()))
    {
        let (service, name, count, style) = match line {
            MethodRow::Saved(request) => (None, &request.name, "★".to_owned(), theme.accent()),
            MethodRow::Method(method) => {
                let all = methods.possible_instances(method);
                let (count, style) = count(method, methods.scope.as_ref(), all, theme);
                (methods.shown_service(&method.id), &method.id.name, count, style)
            }
        };
        let rate = match line {
            MethodRow::Method(method) => rate(model, method, screen.now, room),
            MethodRow::Saved(_) => String::new(),
        };
        let room = room.saturating_sub(text::width(&count) + text::width(&rate) + 2);
        let name = text::left(&label(service, &text::printable(name), room), room);
        let mark = if Some(index) == selected { " ▸ " } else { "   " };
        let is_deprecated =
            matches!(line, MethodRow::Method(method) if method.signature.deprecated);
        let name_style = if is_deprecated { theme.dim() } else { Style::new() };
        let line = Line::from(vec![
            Span::raw(mark),
            Span::styled(format!("{name} "), name_style),
            Span::styled(rate, theme.accent()),
            Span::styled(count, style),
        ]);
        screen.line(inner, row, line);
        screen.hit_row(inner, row, Hit::Row(Pane::Methods, index));
        if Some(index) == selected {
            let focused = model.focus() == Pane::Methods;
            let style = if focused { theme.selected() } else { theme.selected_dim() };
            screen.style_row(inner, row, style);
        }
    }
}

/// Says at the head of the list why there are no saved requests, in at most half of it; returns the area
/// below. A toast alone would leave an empty list without a reason.
fn unreadable(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) -> Rect {
    let Some(error) = &model.saved.error else { return area };
    let theme = screen.theme;
    let width = usize::from(area.width).saturating_sub(2).max(1);
    let key = screen.key_of(model, Context::Everywhere, Action::ViewMethods);
    let what = text::wrap_words(&text::printable(&in_words(error)), width);
    let next = text::wrap_words(&format!("Fix it, then press {key}"), width);
    let room = usize::from(area.height / 2).saturating_sub(next.len());
    let what = ["✗ not read:".to_owned()].into_iter().chain(what).take(room);
    let what = what.map(|line| (line, theme.bad()));
    let lines: Vec<_> = what.chain(next.into_iter().map(|line| (line, theme.dim()))).collect();
    let mut below = area;
    for (row, (line, style)) in (0..area.height).zip(lines) {
        screen.line(area, row, Line::from(Span::styled(format!(" {line}"), style)));
        below = Rect { y: below.y + 1, height: below.height - 1, ..below };
    }
    below
}

/// Calls per second and their graph, where there is room for them and the name.
fn rate(model: &Model, method: &Method, now: Now, room: usize) -> String {
    let Some(trend) = method_traffic(model, method, model.shown_at(now).at) else {
        return String::new();
    };
    let calls = text::right(&traffic::rate(trend.now.calls), 4);
    if room < 27 {
        String::new()
    } else if room < 38 {
        format!("{calls}/s ")
    } else {
        format!("{} {calls}/s ", text::right(&traffic::graph(&trend, 8), 8))
    }
}

/// `FILE:3: why` in words, which a narrow list breaks between them.
fn in_words(error: &str) -> String {
    let parts = error.split_once(": ").and_then(|(place, why)| {
        let (file, line) = place.rsplit_once(':')?;
        line.parse::<usize>().ok().map(|line| format!("{file} line {line}: {why}"))
    });
    parts.unwrap_or_else(|| error.to_owned())
}

/// How many instances have the method; ≠ where signatures differ.
fn count(
    method: &Method,
    scope: Option<&InstanceKey>,
    all: usize,
    theme: Theme,
) -> (String, Style) {
    let have = method.on.len();
    match scope {
        Some(key) if method.differing.contains(key) => ("≠".to_owned(), theme.warning()),
        Some(_) => (String::new(), theme.dim()),
        None if !method.differing.is_empty() => (format!("{have} ≠"), theme.warning()),
        None if have < all => (format!("{have}/{all}"), theme.warning()),
        None => (have.to_string(), theme.dim()),
    }
}
