//! Which lines of a document are folded away, and which one the cursor is on.

use std::collections::BTreeMap;

use super::{Document, Part};

/// How many brackets can be folded at once.
const MAX_FOLDED: usize = 200_000;
/// In documents longer than this, folding everything folds the outermost level only.
const DEEP_LINES: usize = 100_000;

/// Which lines are folded away, and which one the cursor is on.
#[derive(Debug, Clone, Default)]
pub struct Folding {
    /// Folded opening brackets, and the lines they reach to.
    folded: BTreeMap<usize, usize>,
    /// The outermost of them.
    hidden: Vec<Hidden>,
    /// The line of the cursor: a number among all lines.
    pub cursor: usize,
    /// First visible row: a number among the visible lines.
    pub top: usize,
}

/// Lines after `from` up to `to` are hidden, and `before` are hidden above `from`.
#[derive(Debug, Clone, Copy)]
struct Hidden {
    from: usize,
    to: usize,
    before: usize,
}

impl Folding {
    /// How many rows are left.
    pub fn rows(&self, document: &Document) -> usize {
        let hidden = self.hidden.last().map_or(0, |last| last.before + last.to - last.from);
        document.len().saturating_sub(hidden)
    }

    /// The line on a row.
    pub fn line_of(&self, row: usize) -> usize {
        let above = self.hidden.partition_point(|hidden| hidden.from - hidden.before < row);
        let hidden = above.checked_sub(1).and_then(|at| self.hidden.get(at));
        row + hidden.map_or(0, |hidden| hidden.before + hidden.to - hidden.from)
    }

    /// The row of a line; that of what hides it, if it is hidden.
    pub fn row_of(&self, line: usize) -> usize {
        let above = self.hidden.partition_point(|hidden| hidden.from < line);
        match above.checked_sub(1).and_then(|at| self.hidden.get(at)) {
            None => line,
            Some(hidden) if line <= hidden.to => hidden.from - hidden.before,
            Some(hidden) => line - (hidden.before + hidden.to - hidden.from),
        }
    }

    /// The lines that can be seen from row `top` on.
    pub fn visible<'a>(
        &'a self,
        document: &Document,
        top: usize,
    ) -> impl Iterator<Item = usize> + use<'a> {
        (top..self.rows(document)).map(|row| self.line_of(row))
    }

    /// Whether that line is folded.
    pub fn is_folded(&self, line: usize) -> bool {
        self.folded.contains_key(&line)
    }

    /// Folds what the cursor is on, or goes to what encloses it.
    pub fn fold(&mut self, document: &Document) {
        if !self.is_folded(self.cursor) && self.fold_at_cursor(document) {
            return;
        }
        self.cursor = document.parent(self.cursor).unwrap_or(0);
    }

    /// Unfolds what the cursor is on.
    pub fn unfold(&mut self) {
        if self.folded.remove(&self.cursor).is_some() {
            self.rebuild_hidden();
        }
    }

    /// Folds or unfolds what the cursor is on.
    pub fn toggle(&mut self, document: &Document) {
        if self.is_folded(self.cursor) {
            self.unfold();
        } else {
            self.fold_at_cursor(document);
        }
    }

    /// Folds everything below the top, or unfolds everything. Whether everything was done:
    /// there may be more brackets than can be folded.
    pub fn toggle_all(&mut self, document: &Document) -> bool {
        let mut all = true;
        if self.folded.is_empty() {
            let mut open = Vec::new();
            for (at, line) in document.lines(0) {
                let shallow = line.depth == 1 || document.len() <= DEEP_LINES;
                match line.part {
                    Part::Open(_) if line.depth > 0 && shallow => open.push((at, line.depth)),
                    Part::Close(_) if open.last().is_some_and(|last| last.1 == line.depth) => {
                        let Some((start, _)) = open.pop() else { continue };
                        if self.folded.len() == MAX_FOLDED {
                            all = false;
                            break;
                        }
                        self.folded.insert(start, at);
                    }
                    _ => {}
                }
            }
            (self.cursor, self.top) = (0, 0);
        } else {
            self.folded.clear();
        }
        self.rebuild_hidden();
        all
    }

    /// Moves the cursor to a line and unfolds whatever hides it.
    pub fn reveal(&mut self, line: usize) {
        let hiding: Vec<usize> = self
            .folded
            .range(..line)
            .filter(|(_, end)| **end >= line)
            .map(|(start, _)| *start)
            .collect();
        for start in &hiding {
            self.folded.remove(start);
        }
        if !hiding.is_empty() {
            self.rebuild_hidden();
        }
        self.cursor = line;
    }

    fn fold_at_cursor(&mut self, document: &Document) -> bool {
        let Some(extent) = document.extent(self.cursor) else { return false };
        self.folded.insert(self.cursor, extent.end);
        self.rebuild_hidden();
        true
    }

    fn rebuild_hidden(&mut self) {
        self.hidden.clear();
        let mut before = 0;
        for (&from, &to) in &self.folded {
            if self.hidden.last().is_none_or(|last| from > last.to) {
                self.hidden.push(Hidden { from, to, before });
                before += to - from;
            }
        }
    }
}
