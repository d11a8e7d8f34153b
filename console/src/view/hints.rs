//! The last rows: the keys of the focused pane, from the key table, and messages.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use rpc_console_core::selectors;

use super::screen::Screen;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::model::Model;
use rpc_console_core::text;

/// Says that keys are text now, not commands.
const TYPING: &str = " TYPING ";

pub(super) fn hints(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let context = selectors::context(model);
    let typing = rpc_console_core::selectors::is_typing(model);
    let all = model.keys.rows();
    let rows = all.iter().filter(|row| {
        let is_local = row.context == context;
        let is_global = row.context == Context::Everywhere && !context.is_modal();
        (is_local || is_global)
            && !row.hint.is_empty()
            && !all.iter().any(|other| {
                // A local binding of the same key takes precedence.
                is_global
                    && other.context == context
                    && other.keys.iter().any(|key| row.keys.contains(key))
            })
            && selectors::is_useful(model, row.action)
    });
    let mut hints = Vec::new();
    for row in rows {
        let usable = row.keys.iter().find(|key| !typing || key.types().is_none());
        if let Some(key) = usable {
            let hint = match row.action {
                Action::Pause if model.paused.is_some() => "resume",
                _ => row.hint,
            };
            hints.push((row.action, screen.key(*key), hint));
        }
    }
    let width = |(_, key, hint): &(Action, String, &str)| text::width(key) + hint.len() + 3;
    let is_kept = |action: Action| matches!(action, Action::Help | Action::Palette);
    // Help and palette always fit: the other keys can be found with them.
    let kept: usize = hints.iter().filter(|hint| is_kept(hint.0)).map(width).sum();
    let mode = if typing { TYPING } else { "" };
    let mut room = usize::from(area.width).saturating_sub(kept + 1 + mode.len());
    let mut line = Line::from(vec![Span::styled(mode, theme.selected()), Span::raw(" ")]);
    for hint in &hints {
        if !is_kept(hint.0) {
            if width(hint) > room {
                continue;
            }
            room -= width(hint);
        }
        line.push_span(Span::styled(hint.1.clone(), theme.accent()));
        line.push_span(Span::raw(format!(" {}  ", hint.2)));
    }
    screen.line(area, 0, line);
}

/// The message, in its own row or, where there is none, over the hints beside the mode word.
pub(super) fn toast(model: &Model, screen: &mut Screen<'_, '_>, own: Rect, hints: Rect) {
    let Some(toast) = model.shown_toast() else { return };
    let mode = if selectors::is_typing(model) { text::width(TYPING) } else { 0 };
    let mode = u16::try_from(mode).unwrap_or(0).min(hints.width);
    let area = match own.height {
        0 => Rect { x: hints.x + mode, width: hints.width - mode, ..hints },
        _ => own,
    };
    let style = if toast.is_error { screen.theme.bad() } else { screen.theme.good() };
    let text = text::left(&format!(" {}", text::printable(&toast.text)), usize::from(area.width));
    screen.line(area, 0, Line::from(Span::styled(text, style)));
}
