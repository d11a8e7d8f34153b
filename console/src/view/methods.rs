//! The list of methods.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::screen::Screen;
use rpc_console_core::message::Hit;
use rpc_console_core::model::{Model, Pane, scroll};
use rpc_console_core::text;

pub(super) fn list(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let methods = &model.methods;
    let visible = methods.visible();
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
    let selected = methods.selected_index(&visible);
    let top = scroll::keep_visible(
        methods.top,
        selected.unwrap_or(0),
        inner.height.into(),
        visible.len(),
    );
    let all = methods.known_instances();
    let room = usize::from(inner.width).saturating_sub(3);
    for (row, (index, method)) in
        (0..).zip(visible.iter().enumerate().skip(top).take(inner.height.into()))
    {
        // How many instances have the method; ≠ where signatures differ.
        let have = method.on.len();
        let (count, style) = match &methods.scope {
            Some(key) if method.differing.contains(key) => ("≠".to_owned(), theme.warning()),
            Some(_) => (String::new(), theme.dim()),
            None if !method.differing.is_empty() => (format!("{have} ≠"), theme.warning()),
            None if have < all => (format!("{have}/{all}"), theme.warning()),
            None => (have.to_string(), theme.dim()),
        };
        let name = text::printable(&method.signature.name).into_owned();
        let name = text::left(&name, room.saturating_sub(text::width(&count) + 2));
        let mark = if Some(index) == selected { " ▸ " } else { "   " };
        let line = Line::from(vec![
            Span::raw(mark),
            Span::raw(format!("{name} ")),
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
