//! Below the fields: the button, where the call goes and how long it may take, and the request.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::below;
use crate::view::screen::Screen;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::model::form::Form;
use rpc_console_core::model::{Model, Pane};
use rpc_console_core::selectors::request_text;
use rpc_console_core::selectors::{candidates, not_allowed};
use rpc_console_core::text;
use rpc_wire::instance::InstanceKey;

/// Maximum rows of the request.
const REQUEST_ROWS: usize = 4;

/// Rows that the footer needs.
pub(super) fn rows(model: &Model, screen: &Screen<'_, '_>, form: &Form, width: u16) -> u16 {
    let request = request(model, form, usize::from(width).saturating_sub(2), REQUEST_ROWS).0.len();
    let target = target(model, screen, form, width, 2).len();
    u16::try_from(target + 1 + request).unwrap_or(u16::MAX)
}

/// Draws it and returns the number of rows used.
pub(super) fn draw(model: &Model, screen: &mut Screen<'_, '_>, form: &Form, area: Rect) -> u16 {
    let lines = target(model, screen, form, area.width, area.height);
    let used = u16::try_from(lines.len()).unwrap_or(0);
    for (row, line) in (0..).zip(lines) {
        screen.line(area, row, line);
    }
    let blank = u16::from(area.height > used + 1);
    let area = below(area, used + blank, area.height);
    let width = usize::from(area.width).saturating_sub(2).max(1);
    let (pieces, is_invalid) = request(model, form, width, REQUEST_ROWS.min(area.height.into()));
    let style = if is_invalid { screen.theme.warning() } else { screen.theme.dim() };
    let rows = u16::try_from(pieces.len()).unwrap_or(0);
    for (row, piece) in (0..).zip(pieces) {
        screen.line(area, row, Line::from(Span::styled(format!(" {piece}"), style)));
    }
    used + blank + rows
}

/// The request in lines, or what must be corrected first, and whether it is that.
fn request(model: &Model, form: &Form, width: usize, rows: usize) -> (Vec<String>, bool) {
    let (request, is_invalid) = match form.preview() {
        Ok(args) => {
            let wire = request_text(model, form.target.as_ref(), &form.id(), &args);
            (format!("{}  {}", text::bytes(wire.len()), text::printable(&wire)), false)
        }
        Err(names) => {
            let wrong = form.fields.iter().filter(|field| field.visible_error().is_some());
            let wrong: Vec<_> = wrong.map(|field| field.parameter.name.as_str()).collect();
            let is_invalid = !wrong.is_empty();
            let what = if is_invalid {
                text::fix(&wrong)
            } else {
                format!("fill in {}", text::printable(&names.join(", ")))
            };
            (format!("no request yet: {what}"), is_invalid)
        }
    };
    let mut pieces = text::wrap_anywhere(&request, width.max(1));
    if pieces.len() > rows {
        pieces.truncate(rows);
        if let Some(last) = pieces.last_mut() {
            *last = text::cut(&format!("{last}……"), width).into_owned();
        }
    }
    (pieces, is_invalid)
}

/// The button, the target and the timeout: in one row if they fit, else in two, else shortened. A
/// time is never cut, it would be another time.
fn target(
    model: &Model,
    screen: &Screen<'_, '_>,
    form: &Form,
    width: u16,
    rows: u16,
) -> Vec<Line<'static>> {
    let theme = screen.theme;
    let (long, short) = target_texts(model, screen, form);
    let timeout = text::flag_duration(form.timeout);
    let (timeout_long, timeout) = if form.signature.stream {
        ("  no deadline".to_owned(), "  no deadline".to_owned())
    } else {
        (format!("  timeout {timeout}"), format!("  {timeout}"))
    };
    let button = button(model, screen, form);
    let line = |parts: &[&str]| {
        let mut line = Line::from(vec![Span::raw(" "), button.clone()]);
        line.extend(parts.iter().map(|part| Span::raw((*part).to_owned())));
        line
    };
    let to = |target: &str| format!("  to {target}");
    let room = usize::from(width);
    let in_one_row = [
        line(&[&to(&long), &timeout_long]),
        line(&[&to(&short), &timeout_long]),
        line(&[&to(&short), &timeout]),
    ];
    // That the target is not listed matters more than a second row.
    let is_listed = form.target.as_ref().is_none_or(|key| model.is_listed(key));
    let wanted = if is_listed { in_one_row.len() } else { 1 };
    let fits = |line: &&Line<'static>| line.width() <= room;
    if let Some(fitting) = in_one_row[..wanted].iter().find(fits) {
        return vec![fitting.clone()];
    }
    let shown = if is_listed { &short } else { &long };
    let target = format!(" to {}", text::suffix(shown, room.saturating_sub(5)));
    let (first, second) = (line(&[&timeout_long]), Span::styled(target, theme.dim()));
    if rows > 2 && first.width() <= room {
        return vec![first, Line::from(second)];
    }
    let last = in_one_row.iter().find(fits).cloned();
    vec![last.unwrap_or_else(|| line(&[&timeout]))]
}

fn button(model: &Model, screen: &Screen<'_, '_>, form: &Form) -> Span<'static> {
    let theme = screen.theme;
    let running = model.calls.running().filter(|call| call.request.method_id() == form.id());
    if running.is_some() {
        let key = screen.key_of(model, Context::Everywhere, Action::CancelCall);
        return Span::styled(format!(" {key} Cancel "), theme.warning());
    }
    let context = if form.json.is_some() { Context::Json } else { Context::Form };
    let focused = model.focus() == Pane::Form && model.overlay.is_none();
    let style = if focused { theme.selected() } else { theme.dim() };
    Span::styled(format!(" {} Send ", screen.key_of(model, context, Action::Send)), style)
}

/// Where the call goes, in a long and a short form.
fn target_texts(model: &Model, screen: &Screen<'_, '_>, form: &Form) -> (String, String) {
    let address = |key: &InstanceKey| text::printable(&key.to_string()).into_owned();
    let not_allowed = not_allowed(model, Action::Send, screen.now)
        .map(|why| move |to: String| (format!("{to} ({why})"), format!("{to} (not allowed)")));
    if let Some(key) = &form.target {
        let long = match (model.is_listed(key), not_allowed) {
            (true, Some(not_allowed)) => return not_allowed(address(key)),
            (true, None) => address(key),
            (false, _) => format!("{} (not listed)", address(key)),
        };
        return (long, address(key));
    }
    match (&candidates(model, &form.id(), screen.now)[..], not_allowed) {
        ([], _) => ("no instance".to_owned(), "no instance".to_owned()),
        ([only], Some(not_allowed)) => not_allowed(address(only)),
        (several, Some(not_allowed)) => not_allowed(format!("any of {}", several.len())),
        ([only], None) => (format!("{} (only one)", address(only)), address(only)),
        (several, None) => {
            let short = format!("any of {}", several.len());
            (format!("{short}, {}", model.forms.balance), short)
        }
    }
}
