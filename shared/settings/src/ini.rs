//! The file's lines: `[section]`, `key = value`, and comments on lines of their own.

/// A section's head (`pair` is `None`) or a key in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) section: Head<'a>,
    pub(super) pair: Option<Pair<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    pub(super) line: usize,
}

/// The entries of `text`, or a line number and what is wrong there.
pub(super) fn entries(text: &str) -> impl Iterator<Item = Result<Entry<'_>, (usize, String)>> {
    // Some editors put a byte order mark first.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut section = None;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let number = index + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            return None;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let Some(name) = rest.strip_suffix(']') else {
                return Some(Err((number, format!("a section is written [name], not {line:?}"))));
            };
            let head = Head { text: name.trim(), line: number };
            section = Some(head);
            return Some(Ok(Entry { section: head, pair: None }));
        }
        let Some((key, value)) = line.split_once('=') else {
            return Some(Err((number, format!("expected key = value, found {line:?}"))));
        };
        let Some(section) = section else {
            let key = key.trim();
            return Some(Err((number, format!("{key:?} is before the first [section]"))));
        };
        let pair = Pair { key: key.trim(), value: value.trim(), line: number };
        Some(Ok(Entry { section, pair: Some(pair) }))
    })
}

/// The names of the sections in `text`, valid or not.
pub(super) fn section_names(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().filter_map(|line| Some(line.trim().strip_prefix('[')?.strip_suffix(']')?.trim()))
}
