//! The key table with the user's `[keys]`, and the text of that section for `config.ini`.

use std::borrow::Cow;
use std::fmt::Write as _;

use rpc_wire::nearest;

use super::{Action, BINDINGS, Binding, Context};
use crate::key::Key;

/// A line of `[keys]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLine {
    /// The name of the action: `help`, or with a context `logs.wrap`.
    pub action: String,
    /// The keys, separated by spaces; empty or `none`: unbound.
    pub keys: String,
    /// The line number, for error messages.
    pub line: usize,
}

/// An invalid line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyError {
    /// Its index in the given lines.
    pub index: usize,
    /// The reason, with a suggestion.
    pub message: String,
}

/// The key table in effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Keymap(Vec<Binding>);

impl Default for Keymap {
    fn default() -> Self {
        Self(BINDINGS.to_vec())
    }
}

impl Keymap {
    /// The default table, changed by the lines of `[keys]`.
    ///
    /// # Errors
    /// An unknown action or key, or a key bound twice in one context.
    pub fn new(lines: &[KeyLine]) -> Result<Self, KeyError> {
        let mut keymap = Self::default();
        for (index, line) in lines.iter().enumerate() {
            let invalid = |message| KeyError { index, message };
            let found = keymap.0.iter_mut().find(|row| row.name() == line.action);
            let Some(row) = found else {
                return Err(invalid(unknown_action(&line.action)));
            };
            row.keys =
                Cow::Owned(parse_keys(&line.keys, row.context).map_err(|text| {
                    invalid(format!("invalid keys for {}: {text}", line.action))
                })?);
        }
        for index in 0..lines.len() {
            keymap.check(index, lines)?;
        }
        Ok(keymap)
    }

    /// Every row, in the order of hint bar and help.
    pub fn rows(&self) -> &[Binding] {
        &self.0
    }

    /// The action of `key` in `context`; `None` for a character key while text is typed (`typing`).
    pub fn lookup(&self, context: Context, typing: bool, key: Key) -> Option<Action> {
        if typing && key.types().is_some() {
            return None;
        }
        let bound_in = |context: Context| {
            self.0.iter().find(|row| row.context == context && row.keys.contains(&key))
        };
        let everywhere = || {
            let row = bound_in(Context::Everywhere);
            row.filter(|row| !context.is_modal() || works_in_modal(row.action))
        };
        bound_in(context).or_else(everywhere).map(|row| row.action)
    }

    /// The key shown for an action: its first.
    pub fn shown(&self, context: Context, action: Action) -> String {
        let row = self.0.iter().find(|row| row.context == context && row.action == action);
        match row.and_then(|row| row.keys.first()) {
            Some(key) => key.to_string(),
            None => "unbound".to_owned(),
        }
    }

    /// Checks that no key of this line is bound to another action in the same context.
    fn check(&self, index: usize, lines: &[KeyLine]) -> Result<(), KeyError> {
        let Some(line) = lines.get(index) else { return Ok(()) };
        let Some(row) = self.0.iter().find(|row| row.name() == line.action) else { return Ok(()) };
        let others = self
            .0
            .iter()
            .filter(|other| other.context == row.context && other.action != row.action);
        for other in others {
            let Some(key) = other.keys.iter().find(|key| row.keys.contains(key)) else { continue };
            let (key, name) = (key.name(), other.name());
            let place = match lines.iter().enumerate().find(|(_, line)| line.action == name) {
                Some((at, _)) if at > index => continue,
                Some((_, set)) => format!("line {}", set.line),
                None => "its default".to_owned(),
            };
            let text = format!("{key} is already bound to {name} ({place}); change one of the two");
            return Err(KeyError { index, message: text });
        }
        Ok(())
    }
}

/// Whether the action works in modal contexts too.
fn works_in_modal(action: Action) -> bool {
    matches!(action, Action::QuitNow | Action::Suspend | Action::Repaint)
}

fn parse_keys(text: &str, context: Context) -> Result<Vec<Key>, String> {
    let mut keys = Vec::new();
    if text.trim().eq_ignore_ascii_case("none") {
        return Ok(keys);
    }
    for word in text.split_whitespace() {
        let key = Key::parse(word)?;
        if keys.contains(&key) {
            return Err(format!("{word} is listed twice"));
        }
        if context.is_text() && crate::editing::edits(key) {
            return Err(format!("{word} edits the text there; use another key"));
        }
        keys.push(key);
    }
    Ok(keys)
}

fn unknown_action(name: &str) -> String {
    let names: Vec<String> = BINDINGS.iter().map(Binding::name).collect();
    let unknown = format!("unknown action {name:?} in [keys]");
    if let Some(near) = nearest(name, names.iter().map(String::as_str)) {
        return format!("{unknown}; did you mean {near:?}?");
    }
    // `wrap` for `logs.wrap`, and `logs.bogus` for one of `logs.…`.
    let named = |wanted: &str| -> Vec<&str> {
        let of = |name: &&String| name.rsplit('.').next() == Some(wanted);
        names.iter().filter(of).map(String::as_str).collect()
    };
    let action = name.rsplit('.').next().unwrap_or(name);
    let actions = names.iter().filter_map(|name| name.rsplit('.').next());
    let mut near = nearest(action, actions).map(named).unwrap_or_default();
    if let (true, Some((context, _))) = (near.is_empty(), name.split_once('.')) {
        let prefix = format!("{context}.");
        near = names.iter().filter(|name| name.starts_with(&prefix)).map(String::as_str).collect();
    }
    match &near[..] {
        [] => format!("{unknown}; expected for example help or logs.wrap: config.ini lists all"),
        [one] => format!("{unknown}; did you mean {one:?}?"),
        several => format!("{unknown}; expected one of {}", several.join(", ")),
    }
}

/// The lines below `[keys]` in the documented `config.ini`: every action, its help and its keys.
pub fn document() -> String {
    let mut out = String::new();
    for row in BINDINGS {
        let keys: Vec<String> = row.keys.iter().map(|key| key.name()).collect();
        let _ = write!(
            out,
            "# {}: {}.\n{} = {}\n",
            row.context.title(),
            row.help,
            row.name(),
            keys.join(" ")
        );
    }
    out
}
