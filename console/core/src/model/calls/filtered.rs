//! The part of a result that a JSONPath selects.

use std::sync::Arc;

use super::Call;
use crate::model::json::{Document, Folding, Selection};

/// The part of a result that a JSONPath selects, or why there is none.
#[derive(Debug)]
pub struct Filtered {
    /// The path.
    pub path: String,
    /// The part; `None` while it is computed.
    part: Option<Result<Part, String>>,
    /// Folded lines and the cursor of the whole result, meanwhile.
    whole: Folding,
}

#[derive(Debug)]
struct Part {
    document: Arc<Document>,
    lines: Vec<usize>,
    is_single: bool,
}

impl Call {
    /// What the Body tab shows: the result, or the part that the filter selects.
    pub fn body(&self) -> Option<&Arc<Document>> {
        let part = self.filtered.as_ref().and_then(Filtered::part);
        part.map(|part| &part.document).or_else(|| self.document())
    }

    /// Starts to filter the result; the whole of it is shown until then.
    pub fn filter(&mut self, path: &str) {
        self.unfilter();
        let whole = self.folding.clone();
        self.filtered = Some(Filtered { path: path.to_owned(), part: None, whole });
    }

    /// Shows what the filter selected, unless the filter was changed meanwhile.
    pub fn set_selection(&mut self, path: &str, selection: Result<Selection, String>) {
        let Some(filtered) = self.filtered.as_mut().filter(|f| f.path == path) else { return };
        if selection.is_ok() {
            self.folding = Folding::default();
        }
        filtered.part = Some(selection.map(|selection| Part {
            document: Arc::new(selection.document),
            lines: selection.lines,
            is_single: selection.is_single,
        }));
    }

    /// Shows the whole result again.
    pub fn unfilter(&mut self) {
        if let Some(filtered) = self.filtered.take()
            && filtered.part().is_some()
        {
            self.folding = filtered.whole;
        }
    }

    /// The path of the value under the cursor in the whole result.
    pub fn path_under_cursor(&self) -> Option<String> {
        let path = self.body()?.path(self.folding.cursor);
        let Some(filtered) = self.filtered.as_ref().filter(|f| f.part().is_some()) else {
            return Some(path);
        };
        let part = filtered.part()?;
        let inner = path.strip_prefix('$').unwrap_or(&path);
        let (line, rest) = if part.is_single {
            (part.lines.first(), inner)
        } else {
            let Some((index, rest)) = inner.strip_prefix('[').and_then(|t| t.split_once(']'))
            else {
                return Some(filtered.path.clone());
            };
            (index.parse().ok().and_then(|at: usize| part.lines.get(at)), rest)
        };
        Some(format!("{}{rest}", self.document()?.path(*line?)))
    }
}

impl Filtered {
    fn part(&self) -> Option<&Part> {
        self.part.as_ref()?.as_ref().ok()
    }

    /// The number of values, or why there are none, and whether it is an error.
    pub fn note(&self) -> (String, bool) {
        match &self.part {
            None => ("filtering …".to_owned(), false),
            Some(Err(why)) => (why.clone(), true),
            Some(Ok(part)) => match part.lines.len() {
                1 => ("1 value".to_owned(), false),
                count => (format!("{count} values"), false),
            },
        }
    }
}
