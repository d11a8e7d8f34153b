//! Folded lines and the cursor of a document.

use std::collections::BTreeMap;

use super::{Document, Part};

/// Maximum number of folded brackets.
const MAX_FOLDED: usize = 200_000;
/// In longer documents, folding everything folds only the outermost level.
const DEEP_LINES: usize = 100_000;

/// Folded lines and the cursor of a document.
#[derive(Debug, Clone, Default)]
pub struct Folding {
    /// Folded opening brackets, and the lines of their closing ones.
    folded: BTreeMap<usize, usize>,
    /// The outermost folded ranges.
    hidden: Vec<Hidden>,
    /// The line of the cursor, among all lines.
    pub cursor: usize,
    /// The first visible row.
    pub top: usize,
}

/// A folded range: the lines after `from` up to `to`; `before` lines are hidden above it.
#[derive(Debug, Clone, Copy)]
struct Hidden {
    from: usize,
    to: usize,
    before: usize,
}

impl Folding {
    /// Number of visible rows.
    pub fn rows(&self, document: &Document) -> usize {
        let hidden = self.hidden.last().map_or(0, |last| last.before + last.to - last.from);
        document.len().saturating_sub(hidden)
    }

    /// The line on this row.
    pub fn line_of(&self, row: usize) -> usize {
        let above = self.hidden.partition_point(|hidden| hidden.from - hidden.before < row);
        let hidden = above.checked_sub(1).and_then(|at| self.hidden.get(at));
        row + hidden.map_or(0, |hidden| hidden.before + hidden.to - hidden.from)
    }

    /// The row of a line, or of the fold that hides it.
    pub fn row_of(&self, line: usize) -> usize {
        let above = self.hidden.partition_point(|hidden| hidden.from < line);
        match above.checked_sub(1).and_then(|at| self.hidden.get(at)) {
            None => line,
            Some(hidden) if line <= hidden.to => hidden.from - hidden.before,
            Some(hidden) => line - (hidden.before + hidden.to - hidden.from),
        }
    }

    /// The visible lines from row `top` on.
    pub fn visible<'a>(
        &'a self,
        document: &Document,
        top: usize,
    ) -> impl Iterator<Item = usize> + use<'a> {
        (top..self.rows(document)).map(|row| self.line_of(row))
    }

    /// Whether the bracket on this line is folded.
    pub fn is_folded(&self, line: usize) -> bool {
        self.folded.contains_key(&line)
    }

    /// Folds the line of the cursor, or moves the cursor to its parent.
    pub fn fold(&mut self, document: &Document) {
        if !self.is_folded(self.cursor) && self.fold_at_cursor(document) {
            return;
        }
        self.cursor = document.parent(self.cursor).unwrap_or(0);
    }

    /// Unfolds the line of the cursor.
    pub fn unfold(&mut self) {
        if self.folded.remove(&self.cursor).is_some() {
            self.rebuild_hidden();
        }
    }

    /// Folds or unfolds the line of the cursor.
    pub fn toggle(&mut self, document: &Document) {
        if self.is_folded(self.cursor) {
            self.unfold();
        } else {
            self.fold_at_cursor(document);
        }
    }

    /// Folds everything below the top level, or unfolds everything. Returns whether it was
    /// complete: the number of folds is limited.
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
