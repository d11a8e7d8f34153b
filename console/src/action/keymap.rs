//! The table with the keys of the settings, and the section of `config.ini` that lists them.

use std::borrow::Cow;
use std::fmt::Write as _;

use rpc_settings::{KEYS_HEAD, KeyLine, SettingsError};
use rpc_wire::nearest;

use super::{Action, BINDINGS, Binding, Context};
use crate::key::Key;

/// The whole table, with the keys in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Keymap(Vec<Binding>);

impl Default for Keymap {
    fn default() -> Self {
        Self(BINDINGS.to_vec())
    }
}

impl Keymap {
    /// The table with the keys of `[keys]`.
    ///
    /// # Errors
    /// An action or a key that does not exist, or a key that would mean two things.
    pub fn new(lines: &[KeyLine]) -> Result<Self, SettingsError> {
        let mut keymap = Self::default();
        for line in lines {
            let found = keymap.0.iter_mut().find(|row| row.name() == line.action);
            let Some(row) = found else {
                return Err(line.wrong(unknown_action(&line.action)));
            };
            row.keys = Cow::Owned(
                read(&line.keys, row.context)
                    .map_err(|text| line.wrong(format!("bad keys for {}: {text}", line.action)))?,
            );
        }
        for line in lines {
            keymap.check(line, lines)?;
        }
        Ok(keymap)
    }

    /// Every row, nearest context first, in the order of hint bar and help.
    pub fn rows(&self) -> &[Binding] {
        &self.0
    }

    /// The action of `key` in `context`. While text is being typed (`typing`), keys that type
    /// something are left to the text.
    pub fn lookup(&self, context: Context, typing: bool, key: Key) -> Option<Action> {
        if typing && key.types().is_some() {
            return None;
        }
        let within = |context: Context| {
            self.0.iter().find(|row| row.context == context && row.keys.contains(&key))
        };
        let far = || {
            within(Context::Everywhere).filter(|row| !context.is_modal() || is_always(row.action))
        };
        within(context).or_else(far).map(|row| row.action)
    }

    /// The key to show for an action: its first, or what stands for it in the palette.
    pub fn shown(&self, context: Context, action: Action) -> String {
        let row = self.0.iter().find(|row| row.context == context && row.action == action);
        match row.and_then(|row| row.keys.first()) {
            Some(key) => key.to_string(),
            None => "no key".to_owned(),
        }
    }

    /// That no key of this line means something else in its context.
    fn check(&self, line: &KeyLine, lines: &[KeyLine]) -> Result<(), SettingsError> {
        let Some(row) = self.0.iter().find(|row| row.name() == line.action) else { return Ok(()) };
        let others = self
            .0
            .iter()
            .filter(|other| other.context == row.context && other.action != row.action);
        for other in others {
            let Some(key) = other.keys.iter().find(|key| row.keys.contains(key)) else { continue };
            let (key, name) = (key.name(), other.name());
            let place = match lines.iter().find(|line| line.action == name) {
                Some(set) if set.line > line.line => continue,
                Some(set) => format!("line {}", set.line),
                None => "its default".to_owned(),
            };
            let text = format!(
                "{key} is a key of {name} already ({place}); give one of the two another key"
            );
            return Err(line.wrong(text));
        }
        Ok(())
    }
}

/// Whatever is open: leaving, suspending and repainting.
fn is_always(action: Action) -> bool {
    matches!(action, Action::QuitNow | Action::Suspend | Action::Repaint)
}

fn read(text: &str, context: Context) -> Result<Vec<Key>, String> {
    let mut keys = Vec::new();
    for word in text.split_whitespace() {
        let key = Key::parse(word)?;
        if keys.contains(&key) {
            return Err(format!("{word} is there twice"));
        }
        if context.is_text() && crate::editing::edits(key) {
            return Err(format!("{word} edits the text there; choose a key that does not"));
        }
        keys.push(key);
    }
    Ok(keys)
}

fn unknown_action(name: &str) -> String {
    let names: Vec<String> = BINDINGS.iter().map(Binding::name).collect();
    match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("unknown action {name:?} in [keys]; did you mean {near:?}?"),
        None => format!("unknown action {name:?} in [keys]; config.ini lists them all"),
    }
}

/// The end of the documented `config.ini`: every action, what it does, and its keys.
pub fn document() -> String {
    let mut out = KEYS_HEAD.to_owned();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Code;
    use rpc_settings::Settings;
    use std::collections::HashSet;
    use std::path::Path;

    /// The table of the README: everything, one table for each context.
    fn tables() -> String {
        let mut out = String::new();
        for context in [Context::Everywhere].into_iter().chain(Context::ALL) {
            let first = out.is_empty();
            if context == Context::Everywhere && !first {
                continue;
            }
            if !first && !out.contains("<details>") {
                out += "\n<details>\n<summary>Keys of each pane</summary>\n";
            }
            let _ = write!(out, "\n| {} | |\n|---|---|\n", context.title());
            for row in BINDINGS.iter().filter(|row| row.context == context) {
                let key = |key: &Key| match key.to_string().as_str() {
                    "|" => "`\\|`".to_owned(),
                    other => format!("`{other}`"),
                };
                let keys: Vec<_> = row.keys.iter().map(key).collect();
                let _ = writeln!(out, "| {} | {} |", keys.join(" "), row.help);
            }
        }
        out + "\n</details>\n"
    }

    /// `RPCD_UPDATE=1 cargo test -p rpc-console --lib keymap` writes the tables anew.
    #[test]
    fn the_readme_lists_every_key() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once("<!-- keys -->\n").unwrap();
        let (_, after) = rest.split_once("<!-- /keys -->\n").unwrap();
        let wanted = format!("{before}<!-- keys -->\n{}<!-- /keys -->\n{after}", tables());
        if std::env::var_os("RPCD_UPDATE").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        assert!(std::fs::read_to_string(&path).unwrap() == wanted, "see the test's comment");
    }

    fn keymap(text: &str) -> Result<Keymap, SettingsError> {
        Keymap::new(&Settings::parse(&format!("[keys]\n{text}"), "config.ini", []).unwrap().keys)
    }

    fn error(text: &str) -> String {
        keymap(text).unwrap_err().to_string()
    }

    /// `RPCD_UPDATE=1 cargo test -p rpc-console --lib keymap` writes the section anew.
    #[test]
    fn config_ini_lists_every_action_with_its_keys() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config.ini");
        let text = std::fs::read_to_string(&path).unwrap();
        let settings = &text[..text.find(KEYS_HEAD).unwrap_or(text.len())];
        if std::env::var_os("RPCD_UPDATE").is_some() {
            std::fs::write(&path, settings.to_owned() + &document()).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.strip_prefix(settings), Some(document().as_str()), "see the comment");
        let config = Settings::load(Some(&path), rpc_settings::Sources::default()).unwrap();
        assert_eq!(Keymap::new(&config.keys).unwrap(), Keymap::default());
        assert_eq!(config.keys.len(), BINDINGS.len(), "the whole table can be bound anew");
    }

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let names: HashSet<String> = BINDINGS.iter().map(Binding::name).collect();
        assert_eq!(names.len(), BINDINGS.len());
        assert!(names.contains("palette") && names.contains("logs.show_time"), "{names:?}");
    }

    #[test]
    fn a_key_is_moved_and_an_action_can_lose_its_keys() {
        let keymap = keymap("logs.wrap = Z F5\npause =\nhelp = ctrl-h").unwrap();
        let logs = |key| keymap.lookup(Context::Logs, false, key);
        assert_eq!(logs(Key::char('Z')), Some(Action::Wrap));
        assert_eq!(logs(Key::plain(Code::F(5))), Some(Action::Wrap));
        assert_eq!((logs(Key::char('w')), logs(Key::char('?'))), (None, None));
        assert_eq!(logs(Key::ctrl('h')), Some(Action::Help));
        assert_eq!(keymap.shown(Context::Everywhere, Action::Pause), "no key");
        assert_eq!(keymap.lookup(Context::Events, false, Key::char(' ')), None);
    }

    #[test]
    fn two_actions_can_swap_their_keys() {
        let keymap = keymap("logs.wrap = m\nlogs.mark = w").unwrap();
        assert_eq!(keymap.lookup(Context::Logs, false, Key::char('w')), Some(Action::Mark));
    }

    #[test]
    fn leaving_reaches_through_whatever_is_open_with_its_new_key() {
        let keymap = keymap("quit_now = F10").unwrap();
        let quit = keymap.lookup(Context::Palette, true, Key::plain(Code::F(10)));
        assert_eq!(quit, Some(Action::QuitNow));
        assert_eq!(keymap.lookup(Context::Palette, true, Key::ctrl('c')), None);
    }

    #[test]
    fn mistakes_are_told_with_their_line_and_what_was_meant() {
        assert_eq!(
            error("logs.warp = w"),
            r#"config.ini:2: unknown action "logs.warp" in [keys]; did you mean "logs.wrap"?"#
        );
        assert_eq!(
            error("\nlogs.wrap = entre"),
            r#"config.ini:3: bad keys for logs.wrap: there is no key "entre"; did you mean enter?"#
        );
        assert_eq!(
            error("logs.wrap = m"),
            "config.ini:2: m is a key of logs.mark already (its default); give one of the two \
             another key"
        );
        assert_eq!(
            error("logs.wrap = x\nlogs.mark = x"),
            "config.ini:3: x is a key of logs.wrap already (line 2); give one of the two another \
             key"
        );
        assert!(error("logs.wrap = x x").contains("x is there twice"));
        assert!(error("palette.close = x").contains("edits the text there"));
    }
}
