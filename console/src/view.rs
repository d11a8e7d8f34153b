//! Draws the model as a frame, and returns a map of clickable areas and visible rows.

mod ascii;
mod ask;
mod events;
mod form;
mod header;
mod help;
mod hints;
mod history;
mod instances;
mod label;
mod load;
mod logs;
mod methods;
mod palette;
mod picker;
mod reader;
mod registries;
mod resend;
mod response;
mod screen;
mod theme;
mod traffic;

pub use screen::HitMap;
pub use theme::{Theme, has_colours, is_ascii, is_light};

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;

use rpc_console_core::model::Now;
use rpc_console_core::model::{Model, Overlay, Pane, View};
use rpc_console_core::text;
use screen::Screen;

/// In a smaller terminal a notice replaces the view.
const MIN_SIZE: (u16, u16) = (30, 8);
/// In a smaller terminal only the focused pane is shown.
const MIN_SPLIT_SIZE: (u16, u16) = (60, 15);
/// From this height on messages have a row of their own; below, they cover the hints.
const MIN_HEIGHT_FOR_TOAST_ROW: u16 = 20;

/// Draws everything. It is pure: the same model at the same `now` gives the same frame.
pub fn render(model: &Model, theme: &Theme, now: Now, frame: &mut Frame<'_>) -> HitMap {
    let area = frame.area();
    let mut screen = Screen::new(frame, theme, now);
    if area.width < MIN_SIZE.0 || area.height < MIN_SIZE.1 {
        too_small(&mut screen, area);
        return screen.finish();
    }
    let toast_row = u16::from(area.height >= MIN_HEIGHT_FOR_TOAST_ROW);
    let [top, tabs, body, toast, hints] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(toast_row),
        Constraint::Length(1),
    ])
    .areas(area);
    header::header(model, &mut screen, top);
    header::tabs(model, &mut screen, tabs);
    view(model, &mut screen, body);
    hints::hints(model, &mut screen, hints);
    hints::toast(model, &mut screen, toast, hints);
    match &model.overlay {
        Some(Overlay::Help { filter, top }) => help::help(model, filter, *top, &mut screen, body),
        Some(Overlay::Palette(palette)) => palette::palette(model, palette, &mut screen, body),
        Some(Overlay::Registries { selected }) => {
            registries::registries(model, *selected, &mut screen, body);
        }
        Some(Overlay::Menu(menu)) => ask::menu(menu, &mut screen, body),
        Some(Overlay::Prompt(prompt)) => ask::prompt(prompt, &mut screen, body),
        Some(Overlay::Resend(choice)) => {
            resend::resend(model, choice, &mut screen, body);
        }
        Some(Overlay::Sources(choice)) => logs::picker(model, choice, &mut screen, body),
        Some(Overlay::Reader(reader)) => reader::reader(model, reader, &mut screen, body),
        None => {}
    }
    screen.finish()
}

/// The longest notice that fits without cutting a word.
fn too_small(screen: &mut Screen<'_, '_>, area: Rect) {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let needs = format!("needs {}x{}", MIN_SIZE.0, MIN_SIZE.1);
    let is = format!("is {width}x{height}");
    let notices = [
        format!("terminal too small: {needs}, {is}"),
        format!("{needs}, {is}"),
        needs,
        format!("{}x{}", MIN_SIZE.0, MIN_SIZE.1),
    ];
    let fits = |notice: &&String| {
        let has_room = notice.split(' ').all(|word| word.len() <= width);
        has_room && text::wrap_words(notice, width).len() <= height
    };
    let lines = notices.iter().find(fits).map(|notice| text::wrap_words(notice, width));
    for (row, line) in (0..area.height).zip(lines.unwrap_or_default()) {
        screen.line(area, row, Line::from(line));
    }
}

fn view(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let small = area.width < MIN_SPLIT_SIZE.0 || area.height + 3 < MIN_SPLIT_SIZE.1;
    if model.full_screen || small {
        return pane(model, screen, area, model.focus());
    }
    match model.view {
        View::Instances => instances::view(model, screen, area),
        View::Methods if area.width >= 100 => {
            // The names of several services are longer.
            let share = if model.methods.has_services() { 27 } else { 20 };
            let list = area.width * share / 100;
            let [list, form, response] = Layout::horizontal([
                Constraint::Length(list.clamp(24, 52)),
                Constraint::Fill(1),
                Constraint::Fill(1),
            ])
            .areas(area);
            pane(model, screen, list, Pane::Methods);
            pane(model, screen, form, Pane::Form);
            pane(model, screen, response, Pane::Response);
        }
        View::Methods => {
            let [list, right] =
                Layout::horizontal([Constraint::Length(22), Constraint::Fill(1)]).areas(area);
            let wanted =
                form::rows_needed(model, right.width).saturating_add(2).min(area.height * 3 / 5);
            let [form, response] =
                Layout::vertical([Constraint::Length(wanted), Constraint::Fill(1)]).areas(right);
            pane(model, screen, list, Pane::Methods);
            pane(model, screen, form, Pane::Form);
            pane(model, screen, response, Pane::Response);
        }
        View::History => pane(model, screen, area, Pane::History),
        View::Logs => pane(model, screen, area, Pane::Logs),
        View::Load => load::view(model, screen, area),
    }
}

fn pane(model: &Model, screen: &mut Screen<'_, '_>, area: Rect, pane: Pane) {
    match pane {
        Pane::Instances => instances::table(model, screen, area),
        Pane::Detail => instances::detail(model, screen, area),
        Pane::Events => events::events(model, screen, area),
        Pane::Methods => methods::list(model, screen, area),
        Pane::Form => form::form(model, screen, area),
        Pane::Response => response::response(model, screen, area),
        Pane::History => history::history(model, screen, area),
        Pane::Logs => logs::logs(model, screen, area),
        Pane::LoadPlan => load::plan(model, screen, area),
        Pane::LoadRun => load::run(model, screen, area, true),
    }
}

#[cfg(test)]
mod response_tests;
#[cfg(test)]
mod tests;
