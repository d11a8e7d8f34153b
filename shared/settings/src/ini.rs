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
                return Some(Err((number, bad_head(line))));
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

/// What is wrong with a line that starts with `[`.
pub(super) fn bad_head(line: &str) -> String {
    format!("a section is written [name], not {line:?}")
}

fn not_in_a_name(c: char) -> bool {
    c.is_whitespace() || "]#;".contains(c)
}

/// The name in a section's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name<'a> {
    Whole(&'a str),
    /// The line does not end with `]`.
    Unterminated(&'a str),
}

impl<'a> Name<'a> {
    pub(super) fn text(self) -> &'a str {
        match self {
            Self::Whole(name) | Self::Unterminated(name) => name,
        }
    }
}

/// The names of the sections in `text`, valid or not, with their lines.
pub(super) fn section_heads(text: &str) -> impl Iterator<Item = (usize, Name<'_>)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().enumerate().filter_map(|(index, line)| {
        let rest = line.trim().strip_prefix('[')?;
        let name = match rest.strip_suffix(']') {
            Some(name) => Name::Whole(name.trim()),
            None => Name::Unterminated(rest.split(not_in_a_name).next().unwrap_or_default()),
        };
        Some((index + 1, name))
    })
}
