//! Load: the plan of a load test, the share of each instance, and the results.

mod chart;
mod over_time;
mod results;
mod shares;

use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::label::label;
use super::screen::Screen;
use rpc_console_core::message::Hit;
use rpc_console_core::model::load::{LoadField, LoadForm, bench_command};
use rpc_console_core::model::service::MethodId;
use rpc_console_core::model::{Model, Pane};
use rpc_console_core::text;

/// Rows of the plan with its frame and the whole command.
const TALL_PLAN: u16 = 18;
/// Rows of the plan with its frame and the start of the command.
const SHORT_PLAN: u16 = 14;
/// Fewest cells of the method in the title of the results.
const MIN_TITLE: usize = 12;
/// Width of the labels of fields.
const LABEL: usize = 11;
/// Width of the values of fields.
const INPUT: u16 = 12;

pub(super) fn view(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let width = match area.width {
        100.. => 47,
        72.. => 34,
        _ => 28,
    };
    let [left, right] =
        Layout::horizontal([Constraint::Length(width), Constraint::Fill(1)]).areas(area);
    let rows = if area.height >= 28 { TALL_PLAN } else { SHORT_PLAN };
    // Before the first run there is nothing to share the column with.
    let shares = area.height >= rows + 5 && model.load.run.is_some();
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
    let Some(form) = &model.load.form else {
        let inner = screen.pane(model, area, Pane::LoadPlan, title, Line::default());
        return no_plan(screen, inner);
    };
    let running = model.load.is_running();
    let state = if running { " running " } else { "" };
    let right = Line::from(Span::styled(state, theme.warning()));
    let inner = screen.pane(model, area, Pane::LoadPlan, title, right);
    let mut row = 0;
    // A small pane shows the fields only.
    if inner.height >= 10 {
        for line in call(model, screen, form, inner.width.into()) {
            screen.line(inner, row, line);
            row += 1;
        }
    }
    let focused = model.focus() == Pane::LoadPlan && model.overlay.is_none() && !running;
    for (index, field) in form.fields().iter().enumerate() {
        draw_field(screen, form, *field, inner, row, focused && index == form.focus);
        screen.hit_row(inner, row, Hit::LoadField(index));
        row += 1;
    }
    if inner.height > row + 2 {
        let unit = form.focused().unit();
        // The hint of the focused field, where it does not fit beside the value.
        if focused && text::width(unit) > note_width(inner.width) {
            let hint = format!(" {}: {unit}", form.focused().title());
            screen.line(inner, row, Line::from(Span::styled(hint, theme.dim())));
        }
        row += 1;
    }
    let (button, style) = if running {
        (" ␣ Stop ", theme.warning())
    } else {
        (" ⏎ Start ", if focused { theme.selected() } else { theme.dim() })
    };
    let button = Span::styled(screen.naming_keys(button), style);
    screen.line(inner, row, Line::from(vec![Span::raw(" "), button]));
    row += 1;
    let height = inner.height.saturating_sub(row);
    command(model, screen, form, Rect { y: inner.y.saturating_add(row), height, ..inner });
}

fn no_plan(screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let lines = vec![
        Line::from("no call selected"),
        Line::default(),
        Line::from(Span::styled("press b on an instance,", theme.dim())),
        Line::from(Span::styled("on a call's form (2),", theme.dim())),
        Line::from(Span::styled("or in the history (3)", theme.dim())),
    ];
    screen.centred(area, lines);
}

/// The call, its target and its timeout.
fn call(
    model: &Model,
    screen: &Screen<'_, '_>,
    form: &LoadForm,
    width: usize,
) -> [Line<'static>; 3] {
    let theme = screen.theme;
    let cut = |text: &str| {
        text::cut(&text::printable(text), width.saturating_sub(LABEL + 2)).into_owned()
    };
    let target = match &form.target {
        Some(key) => cut(&key.to_string()),
        None => cut(&format!("any of {}", instances(model, &form.method_id()))),
    };
    let named = |name: &str, value: Span<'static>| {
        Line::from(vec![Span::styled(format!(" {name:<LABEL$} "), theme.dim()), value])
    };
    let call = format!("{} {}", model.methods.label(&form.method_id()), short_args(form));
    [
        named("call", Span::styled(cut(&call), theme.strong())),
        named("target", Span::raw(target)),
        named("timeout", Span::raw(format!("{} per call", text::flag_duration(form.timeout)))),
    ]
}

/// How many instances have the method; every instance has those of the protocol.
fn instances(model: &Model, method: &MethodId) -> String {
    let all = || model.instances.all().filter(|row| row.gone.is_none()).count();
    let count = model.methods.find(method).map_or_else(all, |method| method.on.len());
    text::count(count as u64, "instance", "instances")
}

/// The `rpcd bench` command for the same load test, or the error of the plan.
fn command(model: &Model, screen: &mut Screen<'_, '_>, form: &LoadForm, area: Rect) {
    let theme = screen.theme;
    // Shown at once; the field shows its own error only after Start was pressed.
    let request =
        form.to_request(0, &model.link).map_err(|(field, why)| format!("{} {why}", field.title()));
    let (text, style) =
        match request.and_then(|request| bench_command(&request, &model.registries.access())) {
            Ok(command) => (command, theme.dim()),
            Err(why) => (format!("✗ {why}"), theme.bad()),
        };
    let width = usize::from(area.width).saturating_sub(2).max(1);
    let mut pieces = text::wrap_words(&text::printable(&text), width);
    let room = usize::from(area.height);
    if pieces.len() > room {
        pieces.truncate(room);
        if let Some(last) = pieces.last_mut() {
            *last = text::cut(&format!("{last} …"), width).into_owned();
        }
    }
    for (row, piece) in (0..area.height).zip(pieces) {
        screen.line(area, row, Line::from(Span::styled(format!(" {piece}"), style)));
    }
}

fn short_args(form: &LoadForm) -> String {
    let positional = form.args.positional().trim_start_matches('[').trim_end_matches(']');
    let keyword = form.args.keyword();
    if keyword == "{}" { positional.to_owned() } else { format!("{positional} {keyword}") }
}

fn draw_field(
    screen: &mut Screen<'_, '_>,
    form: &LoadForm,
    field: LoadField,
    area: Rect,
    row: u16,
    here: bool,
) {
    let theme = screen.theme;
    let name_style = if here { theme.strong() } else { theme.dim() };
    let name = Span::styled(format!(" {:<LABEL$} ", field.title()), name_style);
    screen.line(area, row, Line::from(name));
    let x = area.x + 13.min(area.width);
    let rest = Rect { x, width: area.right().saturating_sub(x), ..area };
    if field == LoadField::Mode {
        let (word, what) =
            if form.open { ("‹open›", " fixed rate") } else { ("‹closed›", " callers") };
        let line = Line::from(vec![
            Span::styled(word, if here { theme.selected() } else { theme.accent() }),
            Span::styled(what, theme.dim()),
        ]);
        return screen.line(rest, row, line);
    }
    let input = Rect { width: rest.width.min(INPUT), ..rest };
    screen.input(input, row, form.value(field), here && form.editing);
    if here {
        let style = if form.editing { Modifier::UNDERLINED } else { Modifier::REVERSED };
        screen.style_row(input, row, ratatui::style::Style::new().add_modifier(style));
    }
    let x = input.right().saturating_add(1).min(rest.right());
    let note = Rect { x, width: rest.right().saturating_sub(x), ..rest };
    let (text, style) = match &form.error {
        Some((wrong, why)) if *wrong == field => (format!("✗ {why}"), theme.bad()),
        _ => (field.unit().to_owned(), theme.dim()),
    };
    // A cut error is whole below the fields; of a cut hint nothing is left to read.
    if form.error.is_none() && text::width(&text) > usize::from(note.width) {
        return;
    }
    let text = text::cut(&text, usize::from(note.width)).into_owned();
    screen.line(note, row, Line::from(Span::styled(text, style)));
}

/// Cells right of label and value, in a plan of this width.
fn note_width(width: u16) -> usize {
    usize::from(width.saturating_sub(INPUT + 1)).saturating_sub(LABEL + 2)
}

/// The share of each instance, and the errors.
fn shares_box(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let inner = screen.bordered(area, false, Line::from(" Instances, errors "), Line::default());
    let Some(report) = model.load.run.as_ref().and_then(|run| run.report()) else { return };
    let mut lines = shares::shares(screen.theme, report, inner.width);
    lines.extend(shares::errors(screen.theme, report, inner.width));
    for (row, line) in (0..inner.height).zip(lines) {
        screen.line(inner, row, line);
    }
}

/// Results of the latest run; with shares and errors where these have no box of their own.
pub(super) fn run(model: &Model, screen: &mut Screen<'_, '_>, area: Rect, with_shares: bool) {
    let theme = screen.theme;
    let Some(run) = &model.load.run else {
        let inner =
            screen.pane(model, area, Pane::LoadRun, Line::from(" Results "), Line::default());
        let line = match &model.load.form {
            Some(_) => "press ⏎ in the plan to start",
            None => "no results yet",
        };
        return screen
            .centred(inner, vec![Line::from(Span::styled(screen.naming_keys(line), theme.dim()))]);
    };
    let right = Line::from(Span::styled(format!(" {} ", results::mode(run)), theme.dim()));
    let room = usize::from(area.width).saturating_sub(right.width() + 15).max(MIN_TITLE);
    let id = run.request.method_id();
    let method = text::printable(&id.name);
    let method = label(model.methods.shown_service(&id), &method, room);
    let title = Line::from(vec![
        Span::raw(" Results "),
        Span::styled(format!("{method} "), theme.strong()),
    ]);
    let inner = screen.pane(model, area, Pane::LoadRun, title, right);
    let lines = results::lines(model, theme, run, (inner.width, inner.height), with_shares);
    screen.scrolled(Pane::LoadRun, (area, inner), lines, model.load.top);
}
