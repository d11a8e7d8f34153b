//! Where table, detail and events are drawn: side by side, stacked, or stacked where rows are free.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::view::pane;
use crate::view::screen::Screen;
use rpc_console_core::model::{Model, Pane};

/// From this size on the three panes are shown together.
const MIN_WIDE: (u16, u16) = (100, 24);
/// The widths of the detail.
const DETAIL: (u16, u16) = (38, 64);
/// Fewest rows of the pane below the table.
const MIN_LOWER: u16 = 5;
/// Rows of the table that show no instance: frame, heading, two rows of notes.
const TABLE_FRAME: u16 = 5;

pub(in crate::view) fn view(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    if area.width >= MIN_WIDE.0 && area.height >= MIN_WIDE.1 {
        return side_by_side(model, screen, area);
    }
    let focus = model.focus();
    // The events, unless the detail is what was asked for.
    let lower = if focus == Pane::Detail { Pane::Detail } else { Pane::Events };
    let rows = match focus == Pane::Instances {
        true => free_rows(model, area),
        false => free_rows(model, area).max(area.height / 2).max(MIN_LOWER),
    };
    let [top, bottom] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(rows)]).areas(area);
    pane(model, screen, top, Pane::Instances);
    if rows > 0 {
        pane(model, screen, bottom, lower);
    }
}

fn side_by_side(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let events = (area.height * 3 / 10).max(9);
    let detail = (area.width / 3).clamp(DETAIL.0, DETAIL.1);
    let [top, events] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(events)]).areas(area);
    let [table, detail] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(detail)]).areas(top);
    pane(model, screen, table, Pane::Instances);
    pane(model, screen, detail, Pane::Detail);
    pane(model, screen, events, Pane::Events);
}

/// Rows that the table leaves for a pane below it; 0 if they are too few.
fn free_rows(model: &Model, area: Rect) -> u16 {
    let listed =
        u16::try_from(model.instances.line_count().max(MIN_LOWER.into())).unwrap_or(u16::MAX);
    let free = area.height.saturating_sub(listed.saturating_add(TABLE_FRAME));
    if free < MIN_LOWER { 0 } else { free }
}
