//! Load: the plan of a load test, and who got which share of it; the results beside them.

mod chart;
mod results;

use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::screen::Screen;
use rpc_console_core::message::Hit;
use rpc_console_core::model::load::{LoadField, LoadForm, bench_command};
use rpc_console_core::model::{Model, Pane};
use rpc_console_core::text;

/// Rows of the plan with its frame: with all of its command, and with the beginning of it.
const PLAN_ROWS: (u16, u16) = (18, 14);

pub(super) fn view(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let width = if area.width >= 100 { 40 } else { 31 };
    let [left, right] =
        Layout::horizontal([Constraint::Length(width), Constraint::Fill(1)]).areas(area);
    let rows = if area.height >= 28 { PLAN_ROWS.0 } else { PLAN_ROWS.1 };
    let shares = area.height >= rows + 5;
    if shares {
        let [top, bottom] =
            Layout::vertical([Constraint::Length(rows), Constraint::Fill(1)]).areas(left);
        plan(model, screen, top);
        shares_box(model, screen, bottom);
    } else {
        plan(model, screen, left);
    }
    run(model, screen, right, !shares);
}

pub(super) fn plan(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let title = Line::from(" Load plan ");
    let Some(sheet) = &model.load.form else {
        let inner = screen.pane(model, area, Pane::LoadPlan, title, Line::default());
        let lines = vec![
            Line::from("no call chosen"),
            Line::default(),
            Line::from(Span::styled("press b on an instance,", theme.dim())),
            Line::from(Span::styled("on a call's form (2),", theme.dim())),
            Line::from(Span::styled("or in the history (3)", theme.dim())),
        ];
        return screen.centred(inner, lines);
    };
    let running = model.load.is_running();
    let state = if running { " running " } else { "" };
    let right = Line::from(Span::styled(state, theme.warning()));
    let inner = screen.pane(model, area, Pane::LoadPlan, title, right);
    let width = usize::from(inner.width);
    let cut = |text: &str| text::cut(&text::printable(text), width.saturating_sub(10)).into_owned();
    let target = match &sheet.target {
        Some(key) => cut(&key.to_string()),
        None => cut(&format!("any of {}", model.link.address())),
    };
    let named = |name: &str, value: Span<'static>| {
        Line::from(vec![Span::styled(format!(" {name:<8} "), theme.dim()), value])
    };
    // A small pane shows the knobs rather than what is known anyway.
    let mut row = 0;
    if inner.height >= 10 {
        let call = format!("{} {}", sheet.method, short_args(sheet));
        screen.line(inner, 0, named("call", Span::styled(cut(&call), theme.strong())));
        screen.line(inner, 1, named("target", Span::raw(target)));
        screen.line(
            inner,
            2,
            named("timeout", Span::raw(format!("{} per call", text::flag_duration(sheet.timeout)))),
        );
        row = 3;
    }
    let focused = model.focus() == Pane::LoadPlan && model.overlay.is_none() && !running;
    for (index, knob) in sheet.fields().iter().enumerate() {
        draw_knob(screen, sheet, *knob, inner, row, focused && index == sheet.focus);
        screen.hit_row(inner, row, Hit::LoadField(index));
        row += 1;
    }
    row += u16::from(inner.height > row + 2);
    let (button, style) = if running {
        (" ␣ Stop ", theme.warning())
    } else {
        (" ⏎ Start ", if focused { theme.selected() } else { theme.dim() })
    };
    screen.line(inner, row, Line::from(vec![Span::raw(" "), Span::styled(button, style)]));
    row += 1;
    let command = sheet.to_request(0, &model.link.url).map_err(|(knob, why)| {
        // Said where it was typed, once it was tried; here as soon as it is wrong.
        format!("{} {why}", knob.title())
    });
    let (text, style) = match command.and_then(|request| bench_command(&request)) {
        Ok(command) => (command, theme.dim()),
        Err(why) => (format!("✗ {why}"), theme.bad()),
    };
    let width = width.saturating_sub(2).max(1);
    let mut pieces = text::wrap_words(&text::printable(&text), width);
    let room = usize::from(inner.height.saturating_sub(row));
    if pieces.len() > room {
        pieces.truncate(room);
        if let Some(last) = pieces.last_mut() {
            *last = text::cut(&format!("{last} …"), width).into_owned();
        }
    }
    for piece in pieces {
        screen.line(inner, row, Line::from(Span::styled(format!(" {piece}"), style)));
        row = row.saturating_add(1);
    }
}

fn short_args(sheet: &LoadForm) -> String {
    let positional = sheet.args.positional().trim_start_matches('[').trim_end_matches(']');
    let keyword = sheet.args.keyword();
    if keyword == "{}" { positional.to_owned() } else { format!("{positional} {keyword}") }
}

fn draw_knob(
    screen: &mut Screen<'_, '_>,
    sheet: &LoadForm,
    knob: LoadField,
    area: Rect,
    row: u16,
    here: bool,
) {
    let theme = screen.theme;
    let name_style = if here { theme.strong() } else { theme.dim() };
    let name = Span::styled(format!(" {:<8} ", knob.title()), name_style);
    screen.line(area, row, Line::from(name));
    let x = area.x + 10.min(area.width);
    let rest = Rect { x, width: area.right().saturating_sub(x), ..area };
    if knob == LoadField::Mode {
        let (word, what) =
            if sheet.open { ("‹open›", " fixed rate") } else { ("‹closed›", " callers") };
        let line = Line::from(vec![
            Span::styled(word, if here { theme.selected() } else { theme.accent() }),
            Span::styled(what, theme.dim()),
        ]);
        return screen.line(rest, row, line);
    }
    let field = Rect { width: rest.width.min(8), ..rest };
    screen.input(field, row, sheet.value(knob), here && sheet.editing);
    if here {
        let style = if sheet.editing { Modifier::UNDERLINED } else { Modifier::REVERSED };
        screen.style_row(field, row, ratatui::style::Style::new().add_modifier(style));
    }
    let x = field.right().saturating_add(1).min(rest.right());
    let note = Rect { x, width: rest.right().saturating_sub(x), ..rest };
    let (text, style) = match &sheet.error {
        Some((wrong, why)) if *wrong == knob => (format!("✗ {why}"), theme.bad()),
        _ => (knob.unit().to_owned(), theme.dim()),
    };
    let text = text::cut(&text, usize::from(note.width)).into_owned();
    screen.line(note, row, Line::from(Span::styled(text, style)));
}

/// Who got which share, and what failed.
fn shares_box(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let inner = screen.boxed(area, false, Line::from(" Instances, errors "), Line::default());
    let Some(report) = model.load.run.as_ref().and_then(|run| run.report()) else { return };
    let mut lines = results::shares(screen.theme, report, inner.width);
    lines.extend(results::errors(screen.theme, report, inner.width));
    for (row, line) in (0..inner.height).zip(lines) {
        screen.line(inner, row, line);
    }
}

/// What the latest run measured; with shares and errors where they have no box of their own.
pub(super) fn run(model: &Model, screen: &mut Screen<'_, '_>, area: Rect, with_shares: bool) {
    let theme = screen.theme;
    let Some(run) = &model.load.run else {
        let inner =
            screen.pane(model, area, Pane::LoadRun, Line::from(" Results "), Line::default());
        let line = match &model.load.form {
            Some(_) => "⏎ in the plan starts the load test",
            None => "no results yet",
        };
        return screen.centred(inner, vec![Line::from(Span::styled(line, theme.dim()))]);
    };
    let method = text::cut(&text::printable(&run.request.method), 24).into_owned();
    let title = Line::from(vec![
        Span::raw(" Results "),
        Span::styled(format!("{method} "), theme.strong()),
    ]);
    let right = Line::from(Span::styled(format!(" {} ", results::how(run)), theme.dim()));
    let inner = screen.pane(model, area, Pane::LoadRun, title, right);
    screen.height(Pane::LoadRun, inner.height);
    let lines = results::lines(model, theme, run, (inner.width, inner.height), with_shares);
    let top = model.load.top.min(lines.len().saturating_sub(inner.height.into()));
    let below = lines.len().saturating_sub(top + usize::from(inner.height));
    for (row, line) in (0..inner.height).zip(lines.into_iter().skip(top)) {
        screen.line(inner, row, line);
    }
    if below > 0 && area.width > 20 {
        let more = Line::from(Span::styled(format!(" ▼ {below} more "), theme.warning()));
        let edge = Rect { x: area.x, width: area.width.saturating_sub(2), ..area };
        screen.line_right(edge, area.height - 1, more);
    }
}
