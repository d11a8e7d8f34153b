//! What panes draw on: a frame with theme, clock and the map of clickable areas.

use std::borrow::Cow;

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Widget};
use tui_input::Input;

use super::theme::Theme;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::key::{Code, Key};
use rpc_console_core::message::{Heights, Hit};
use rpc_console_core::model::Now;
use rpc_console_core::model::{Model, Pane, PaneRows};
use rpc_console_core::text;
use rpc_wire::instance::InstanceKey;

/// The clickable areas of a frame, and how many rows of each pane were visible.
#[derive(Debug, Default)]
pub struct HitMap {
    hits: Vec<(Rect, Hit)>,
    /// Rows visible per pane.
    pub heights: Heights,
    /// The instances shown in their table.
    pub instances: Vec<InstanceKey>,
}

impl HitMap {
    /// What a click on that cell hits; the topmost, if areas overlap.
    pub fn at(&self, column: u16, row: u16) -> Option<&Hit> {
        let position = Position::new(column, row);
        self.hits.iter().rev().find(|(area, _)| area.contains(position)).map(|(_, hit)| hit)
    }

    /// The pane at that cell.
    pub fn pane_at(&self, column: u16, row: u16) -> Option<Pane> {
        let position = Position::new(column, row);
        self.hits.iter().rev().filter(|(area, _)| area.contains(position)).find_map(|(_, hit)| {
            match hit {
                Hit::Pane(pane) | Hit::Row(pane, _) => Some(*pane),
                _ => None,
            }
        })
    }
}

/// A frame being drawn.
pub(super) struct Screen<'a, 'b> {
    frame: &'a mut Frame<'b>,
    pub(super) theme: Theme,
    pub(super) now: Now,
    hits: HitMap,
}

impl<'a, 'b> Screen<'a, 'b> {
    pub(super) fn new(frame: &'a mut Frame<'b>, theme: &Theme, now: Now) -> Self {
        Self { frame, theme: *theme, now, hits: HitMap::default() }
    }

    pub(super) fn finish(self) -> HitMap {
        if self.theme.ascii {
            super::ascii::replace(self.frame.buffer_mut());
        }
        self.hits
    }

    /// Records that the table shows this instance.
    pub(super) fn shows(&mut self, instance: &InstanceKey) {
        self.hits.instances.push(instance.clone());
    }

    /// A key as shown: a symbol, or its name in ASCII.
    pub(super) fn key(&self, key: Key) -> String {
        if self.theme.ascii { key.name() } else { key.to_string() }
    }

    /// A text of ours that names the key to confirm: its symbol, or its name in ASCII, whose one letter would be
    /// another key.
    pub(super) fn naming_keys<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let enter = Key { code: Code::Enter, ctrl: false, alt: false };
        match self.theme.ascii {
            true => text.replace(&enter.to_string(), &enter.name()).into(),
            false => text.into(),
        }
    }

    /// The key of an action as shown; empty if it has none.
    pub(super) fn key_of(&self, model: &Model, context: Context, action: Action) -> String {
        let rows = model.keys.rows();
        let row = rows.iter().find(|row| row.context == context && row.action == action);
        row.and_then(|row| row.keys.first()).map_or_else(String::new, |key| self.key(*key))
    }

    /// Draws a line on row `row` of `area`, cut at its edge; does nothing for a row outside.
    pub(super) fn line(&mut self, area: Rect, row: u16, line: Line<'_>) {
        if row < area.height && area.width > 0 {
            let area = Rect { y: area.y + row, height: 1, ..area };
            line.render(area.intersection(self.frame.area()), self.frame.buffer_mut());
        }
    }

    /// As `line`, aligned right.
    pub(super) fn line_right(&mut self, area: Rect, row: u16, line: Line<'_>) {
        let width = u16::try_from(line.width()).unwrap_or(u16::MAX).min(area.width);
        let area = Rect { x: area.right() - width, width, ..area };
        self.line(area, row, line);
    }

    /// Adds a style to a whole row.
    pub(super) fn style_row(&mut self, area: Rect, row: u16, style: Style) {
        if row < area.height {
            let row = Rect { y: area.y + row, height: 1, ..area };
            let row = row.intersection(self.frame.area());
            self.frame.buffer_mut().set_style(row, style);
        }
    }

    /// Draws the frame of a pane, thick with the focus, and returns the area inside.
    pub(super) fn pane(
        &mut self,
        model: &Model,
        area: Rect,
        pane: Pane,
        title: Line<'_>,
        right: Line<'_>,
    ) -> Rect {
        let focused = model.focus() == pane && model.overlay.is_none();
        let inner = self.bordered(area, focused, title, right);
        self.hit(area, Hit::Pane(pane));
        inner
    }

    /// Draws a frame, thick with the focus, and returns the area inside.
    pub(super) fn bordered(
        &mut self,
        area: Rect,
        focused: bool,
        title: Line<'_>,
        right: Line<'_>,
    ) -> Rect {
        let kind = if focused { BorderType::Thick } else { BorderType::Plain };
        let block = Block::bordered().border_type(kind).border_style(self.theme.border(focused));
        let inner = block.inner(area);
        block.render(area, self.frame.buffer_mut());
        let room = area.width.saturating_sub(4);
        let edge = Rect { x: area.x + 2.min(area.width), width: room, ..area };
        let used = u16::try_from(title.width()).unwrap_or(u16::MAX);
        let right_width = u16::try_from(right.width()).unwrap_or(u16::MAX);
        self.line(edge, 0, fitted(title, room.into()));
        if right_width > 0 && used.saturating_add(right_width).saturating_add(1) <= room {
            self.line_right(edge, 0, right);
        }
        inner
    }

    /// Clears an area for a popup.
    pub(super) fn clear(&mut self, area: Rect) {
        Clear.render(area, self.frame.buffer_mut());
    }

    /// Records what a click on this area hits.
    pub(super) fn hit(&mut self, area: Rect, hit: Hit) {
        self.hits.hits.push((area, hit));
    }

    /// Records what a click on a row hits.
    pub(super) fn hit_row(&mut self, area: Rect, row: u16, hit: Hit) {
        if row < area.height {
            self.hit(Rect { y: area.y + row, height: 1, ..area }, hit);
        }
    }

    /// Records how many rows of a pane are visible.
    pub(super) fn record_height(&mut self, pane: Pane, rows: u16) {
        self.hits.heights.retain(|other| other.pane != pane);
        self.hits.heights.push(PaneRows { pane, visible: rows, all: None });
    }

    /// Remembers the rows of a pane whose text is wrapped: only drawing knows how many there are.
    pub(super) fn record_rows(&mut self, pane: Pane, visible: u16, all: usize) {
        self.record_height(pane, visible);
        if let Some(rows) = self.hits.heights.last_mut() {
            rows.all = Some(all);
        }
    }

    /// Draws an input line on row `row` of `area`. With `cursor` it is scrolled to the cursor, and
    /// the terminal's cursor is placed there.
    pub(super) fn input(&mut self, area: Rect, row: u16, input: &Input, cursor: bool) {
        if row >= area.height || area.width == 0 {
            return;
        }
        let width = usize::from(area.width);
        let before: String = input.value().chars().take(input.cursor()).collect();
        let column = text::width(&text::one_line(&before));
        let scroll = if cursor { (column + 1).saturating_sub(width) } else { 0 };
        let shown = skip(&text::one_line(input.value()), scroll);
        let shown = if cursor { shown } else { text::cut(&shown, width).into_owned() };
        self.line(area, row, Line::from(shown));
        if scroll > 0 {
            self.line(Rect { width: 1, ..area }, row, Line::from("…"));
        }
        if cursor {
            let at = column.saturating_sub(scroll).min(width.saturating_sub(1));
            let x = area.x + u16::try_from(at).unwrap_or(0);
            self.frame.set_cursor_position(Position::new(x, area.y + row));
        }
    }

    /// Draws the filter of a pane on its first row, if it has one or one is typed; returns the area
    /// below.
    pub(super) fn filter_row(
        &mut self,
        model: &Model,
        area: Rect,
        pane: Pane,
        filter: &Input,
        note: String,
    ) -> Rect {
        self.input_row(model, area, pane, ("/", true), filter, note)
    }

    /// As `filter_row` with another prompt. `(prompt, typed)`: of several inputs of a pane only one
    /// is typed at a time.
    pub(super) fn input_row(
        &mut self,
        model: &Model,
        area: Rect,
        pane: Pane,
        (prompt, typed): (&str, bool),
        filter: &Input,
        note: String,
    ) -> Rect {
        let typing = typed && model.filtering && model.focus() == pane && model.overlay.is_none();
        if (!typing && filter.value().is_empty()) || area.height < 2 {
            return area;
        }
        let note = Line::from(Span::styled(note, self.theme.dim()));
        let note_width = u16::try_from(note.width()).unwrap_or(0) + 1;
        let field = Rect {
            x: area.x + 3.min(area.width),
            width: area.width.saturating_sub(3 + note_width),
            ..area
        };
        self.line(area, 0, Line::from(Span::styled(format!(" {prompt} "), self.theme.accent())));
        self.input(field, 0, filter, typing);
        if area.width > 20 {
            self.line_right(area, 0, note);
        }
        Rect { y: area.y + 1, height: area.height - 1, ..area }
    }

    /// Draws lines from `top` on inside the frame of a pane, and on the frame how many are below.
    pub(super) fn scrolled(
        &mut self,
        pane: Pane,
        (frame, inner): (Rect, Rect),
        lines: Vec<Line<'_>>,
        top: usize,
    ) {
        let last = lines.len().saturating_sub(inner.height.into());
        self.record_rows(pane, inner.height, lines.len());
        let top = top.min(last);
        let below = lines.len().saturating_sub(top + usize::from(inner.height));
        for (row, line) in (0..inner.height).zip(lines.into_iter().skip(top)) {
            self.line(inner, row, line);
        }
        if below > 0 && frame.width > 20 {
            let more = Line::from(Span::styled(format!(" ▼ {below} more "), self.theme.warning()));
            let edge = Rect { width: frame.width.saturating_sub(2), ..frame };
            self.line_right(edge, frame.height.saturating_sub(1), more);
        }
    }

    /// Draws a few lines centred in an empty pane.
    pub(super) fn centred(&mut self, area: Rect, lines: Vec<Line<'_>>) {
        let count = u16::try_from(lines.len()).unwrap_or(0);
        let first = area.height.saturating_sub(count) / 3;
        for (row, line) in (first..).zip(lines) {
            let fits = line.width() <= usize::from(area.width);
            self.line(area, row, if fits { line.centered() } else { line });
        }
    }
}

/// The line, marked where it is cut: the beginning of an address is another address.
pub(super) fn fitted(line: Line<'_>, width: usize) -> Line<'_> {
    if line.width() <= width {
        return line;
    }
    let mut room = width;
    let mut spans = Vec::new();
    for span in line.spans {
        if span.width() > room {
            // A blank at its end may be missing.
            let cut = text::cut(span.content.trim_end(), room).into_owned();
            spans.push(Span::styled(cut, span.style));
            break;
        }
        room -= span.width();
        spans.push(span);
    }
    Line::from(spans)
}

/// The text without its first `cells` cells.
fn skip(text: &str, cells: usize) -> String {
    let mut skipped = 0;
    text.chars()
        .skip_while(|c| {
            let width = unicode_width::UnicodeWidthChar::width(*c).unwrap_or(0);
            let skip = skipped < cells;
            skipped += width;
            skip
        })
        .collect()
}
