//! Matches of a search stand out.

use ratatui::text::Span;

use crate::view::screen::Screen;
use rpc_console_core::text::Needle;

/// The span with matches highlighted.
pub(in crate::view) fn highlight(
    screen: &Screen<'_, '_>,
    span: Span<'static>,
    needle: &Needle,
) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut rest: &str = &span.content;
    while let Some(found) = needle.find(rest) {
        let (before, from) = rest.split_at(found.start);
        let (hit, after) = from.split_at(found.len());
        if !before.is_empty() {
            spans.push(Span::styled(before.to_owned(), span.style));
        }
        spans.push(Span::styled(hit.to_owned(), screen.theme.found()));
        rest = after;
    }
    if spans.is_empty() {
        return vec![span];
    }
    spans.push(Span::styled(rest.to_owned(), span.style));
    spans
}
