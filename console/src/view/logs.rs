//! Log lines of all sources, the newest at the bottom.

mod line;
mod sources;

pub(super) use sources::picker;

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::screen::Screen;
use line::Columns;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::model::logs::{Source, SourceState};
use rpc_console_core::model::{Model, Pane};
use rpc_console_core::text;

pub(super) fn logs(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let logs = &model.logs;
    let right = match logs.dropped {
        0 => Line::default(),
        lost => {
            let text = format!(" {} lost ", text::count(lost, "line", "lines"));
            Line::from(Span::styled(text, screen.theme.bad()))
        }
    };
    let inner = screen.pane(model, area, Pane::Logs, title(model, screen), right);
    let inner = sources::chips(model, screen, inner);
    let inner = filter_and_search(model, screen, inner);
    let inner = verbose_note(model, screen, inner);
    screen.record_height(Pane::Logs, inner.height);
    if logs.counts().0 == 0 {
        return empty(model, screen, inner);
    }
    let columns = Columns::new(model, screen, inner);
    let mut bottom = inner.height;
    for line in logs.upwards() {
        let here = logs.current_match == Some(line.seq);
        for drawn in columns.lines(screen, line).into_iter().rev() {
            if bottom == 0 {
                return;
            }
            bottom -= 1;
            screen.line(inner, bottom, drawn);
            if here {
                screen.style_row(inner, bottom, screen.theme.selected());
            }
        }
    }
}

/// Following or stopped, level, source and count.
fn title(model: &Model, screen: &Screen<'_, '_>) -> Line<'static> {
    let theme = screen.theme;
    let logs = &model.logs;
    let follow = match logs.bottom {
        None => Span::styled(" FOLLOW ", theme.good()),
        Some(_) if logs.below() > 0 => {
            let (below, new) = (logs.below(), logs.new_below());
            let what = match new {
                0 => format!("{below} more"),
                new if new == below => format!("{new} new"),
                new => format!("{below} more, {new} new"),
            };
            Span::styled(format!(" STOPPED ▼ {what} "), theme.warning())
        }
        Some(_) => Span::styled(" STOPPED ", theme.warning()),
    };
    let source = logs.source.as_ref().map_or_else(|| "all sources".to_owned(), Source::name);
    let (shown, all) = logs.counts();
    let whole = text::count(all as u64, "line", "lines");
    // "+": not all lines are filtered yet.
    let more = if logs.unfiltered() > 0 { "+" } else { "" };
    let count = match shown == all {
        true => whole,
        false => format!("{}{more} of {whole}", text::grouped(shown as u64)),
    };
    Line::from(vec![
        Span::raw(" Logs "),
        follow,
        Span::raw(format!(" level ≥ {} · {source} · {count} ", logs.level)),
    ])
}

/// The rows of filter and search, if any; returns the area below.
fn filter_and_search(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) -> Rect {
    let logs = &model.logs;
    let found = logs.counts().0 as u64;
    let note = match (logs.filter.value(), logs.unfiltered()) {
        ("", _) => "regex · !regex · ~fuzzy".to_owned(),
        _ if logs.compiled_filter().is_invalid_regex() => {
            "not a valid regex; matched literally".to_owned()
        }
        (_, 0) => text::count(found, "line", "lines"),
        _ => format!("{}+ lines, filtering …", text::grouped(found)),
    };
    let typed = ("&", !logs.searching);
    let area = screen.input_row(model, area, Pane::Logs, typed, &logs.filter, note);
    let more = if logs.is_searching() { "+" } else { "" };
    let note = match logs.match_counts() {
        _ if logs.search.value().is_empty() => "text or regex".to_owned(),
        _ if logs.searched().is_invalid_regex() => {
            "not a valid regex; searched literally".to_owned()
        }
        (Some(at), count) => format!("{at} of {count}{more} matches"),
        (None, 1) if more.is_empty() => "1 match".to_owned(),
        (None, count) => format!("{count}{more} matches"),
    };
    let typed = ("/", logs.searching);
    screen.input_row(model, area, Pane::Logs, typed, &logs.search, note)
}

/// Says why a lower level shows no more lines: sources send only what they log.
fn verbose_note(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) -> Rect {
    if !model.logs.lacks_verbose_lines() || area.height < 4 {
        return area;
    }
    let text = format!(
        " no {} lines arrived: a source sends what it logs itself; start it with --log-level {}",
        model.logs.level, model.logs.level
    );
    let text = text::cut(&text, area.width.into()).into_owned();
    screen.line(area, 0, Line::from(Span::styled(text, screen.theme.warning())));
    Rect { y: area.y + 1, height: area.height - 1, ..area }
}

fn empty(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let logs = &model.logs;
    let key = |action| model.keys.shown(Context::Logs, action);
    let state = logs.source.as_ref().and_then(|source| logs.sources.get(source));
    let why = match (logs.unfiltered(), state) {
        (0, Some(SourceState::Unsupported)) => {
            "this instance has no log stream: it runs an older server, or one in another \
             language; its log is where it was started"
                .to_owned()
        }
        (0, Some(SourceState::Lost(error))) => {
            format!("the log stream failed and is retried: {}", text::printable(error))
        }
        (0, Some(SourceState::Refused(why))) => {
            format!("its log is not for you to read: {}", text::printable(why))
        }
        (0, _) if !logs.filter.value().is_empty() => {
            let back = model.keys.shown(Context::Everywhere, Action::Escape);
            format!("no line matches the filter; {back} clears it")
        }
        (0, Some(SourceState::Gone)) => "the instance is gone; it sent no such lines".to_owned(),
        (0, _) if logs.counts().1 == 0 => {
            "no lines yet: registry, servers and this console send theirs as they log".to_owned()
        }
        (0, _) => format!(
            "no lines of this level; {} shows less severe ones, {} other sources",
            key(Action::LevelDown),
            key(Action::Sources)
        ),
        (more, _) => format!("filtering {} older lines …", text::grouped(more as u64)),
    };
    let width = usize::from(area.width).saturating_sub(4).max(1);
    let lines = text::wrap_words(&why, width).into_iter();
    let lines = lines.map(|line| Line::from(Span::styled(line, screen.theme.dim()))).collect();
    screen.centred(area, lines);
}
