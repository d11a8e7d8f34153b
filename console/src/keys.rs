//! Key bindings: the defaults, changed by `[keys]` of the settings.

use rpc_console_core::action::{KeyLine, Keymap};
use rpc_settings::{Settings, SettingsError};

/// The default bindings with the changes of `[keys]`.
///
/// # Errors
/// An unknown action or key, or a key bound twice in one context.
pub fn keymap(settings: &Settings) -> Result<Keymap, SettingsError> {
    let line = |line: &rpc_settings::KeyLine| KeyLine {
        action: line.action.clone(),
        keys: line.keys.clone(),
        line: line.line,
    };
    let lines: Vec<KeyLine> = settings.keys.iter().map(line).collect();
    Keymap::new(&lines).map_err(|error| match settings.keys.get(error.index) {
        Some(line) => line.wrong(error.message),
        None => SettingsError::Line { file: "[keys]".to_owned(), line: 0, message: error.message },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_console_core::action::{Action, BINDINGS, Binding, Context, document};
    use rpc_console_core::key::{Code, Key};
    use rpc_settings::KEYS_HEAD;
    use std::collections::HashSet;
    use std::fmt::Write as _;
    use std::path::Path;

    /// The tables of docs/console.md, one for each context.
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

    /// `RPCD_UPDATE=1 cargo test -p rpc-console --lib keys` rewrites the tables.
    #[test]
    fn the_documentation_lists_every_key() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/console.md");
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
        super::keymap(&Settings::parse(&format!("[keys]\n{text}"), "config.ini", []).unwrap())
    }

    fn error(text: &str) -> String {
        keymap(text).unwrap_err().to_string()
    }

    /// `RPCD_UPDATE=1 cargo test -p rpc-console --lib keys` rewrites the section.
    #[test]
    fn config_ini_lists_every_action_with_its_keys() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config.ini");
        let text = std::fs::read_to_string(&path).unwrap();
        let settings = &text[..text.find(KEYS_HEAD).unwrap_or(text.len())];
        if std::env::var_os("RPCD_UPDATE").is_some() {
            std::fs::write(&path, format!("{settings}{KEYS_HEAD}{}", document())).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let section = format!("{KEYS_HEAD}{}", document());
        assert_eq!(text.strip_prefix(settings), Some(section.as_str()), "see the comment");
        let config = Settings::load(Some(&path), rpc_settings::Sources::default()).unwrap();
        assert_eq!(super::keymap(&config).unwrap(), Keymap::default());
        assert_eq!(config.keys.len(), BINDINGS.len(), "every action can be rebound");
    }

    #[test]
    fn every_row_has_a_unique_name() {
        let names: HashSet<String> = BINDINGS.iter().map(Binding::name).collect();
        assert_eq!(names.len(), BINDINGS.len());
        assert!(names.contains("palette") && names.contains("logs.show_time"), "{names:?}");
    }

    #[test]
    fn an_action_can_be_rebound_or_unbound() {
        let keymap = keymap("logs.wrap = Z F5\npause =\nhelp = ctrl-h").unwrap();
        let logs = |key| keymap.lookup(Context::Logs, false, key);
        assert_eq!(logs(Key::char('Z')), Some(Action::Wrap));
        assert_eq!(logs(Key::plain(Code::F(5))), Some(Action::Wrap));
        assert_eq!((logs(Key::char('w')), logs(Key::char('?'))), (None, None));
        assert_eq!(logs(Key::ctrl('h')), Some(Action::Help));
        assert_eq!(keymap.shown(Context::Everywhere, Action::Pause), "unbound");
        assert_eq!(keymap.lookup(Context::Events, false, Key::char(' ')), None);
    }

    #[test]
    fn none_unbinds_as_no_key_does() {
        let keymap = keymap("back = none\npause =").unwrap();
        assert_eq!(keymap.lookup(Context::Logs, false, Key::char('q')), None);
        assert_eq!(keymap.lookup(Context::Logs, false, Key::char(' ')), None);
    }

    #[test]
    fn keys_that_terminals_send_as_others_are_refused() {
        assert_eq!(
            error("help = ctrl-i"),
            "config.ini:2: invalid keys for help: terminals send ctrl-i as tab; use tab or another"
        );
    }

    #[test]
    fn an_unknown_action_gets_a_suggestion() {
        let unknown = |name: &str| error(&format!("{name} = w"));
        assert!(unknown("mark").ends_with(r#"did you mean "logs.mark"?"#), "{}", unknown("mark"));
        assert!(unknown("wrap").ends_with("expected one of events.wrap, response.wrap, logs.wrap"));
        assert!(
            unknown("events.zzzzzzzzzz").ends_with("expected one of events.wrap, events.copy"),
            "{}",
            unknown("events.zzzzzzzzzz")
        );
        assert!(unknown("bogus").contains("help or logs.wrap"));
    }

    #[test]
    fn two_actions_can_swap_their_keys() {
        let keymap = keymap("logs.wrap = m\nlogs.mark = w").unwrap();
        assert_eq!(keymap.lookup(Context::Logs, false, Key::char('w')), Some(Action::Mark));
    }

    #[test]
    fn quit_works_in_modal_contexts_with_its_new_key() {
        let keymap = keymap("quit_now = F10").unwrap();
        let quit = keymap.lookup(Context::Palette, true, Key::plain(Code::F(10)));
        assert_eq!(quit, Some(Action::QuitNow));
        assert_eq!(keymap.lookup(Context::Palette, true, Key::ctrl('c')), None);
    }

    #[test]
    fn mistakes_are_reported_with_their_line_and_a_suggestion() {
        assert_eq!(
            error("logs.warp = w"),
            r#"config.ini:2: unknown action "logs.warp" in [keys]; did you mean "logs.wrap"?"#
        );
        assert_eq!(
            error("\nlogs.wrap = entre"),
            r#"config.ini:3: invalid keys for logs.wrap: unknown key "entre"; did you mean enter?"#
        );
        assert_eq!(
            error("logs.wrap = m"),
            "config.ini:2: m is already bound to logs.mark (its default); change one of the two"
        );
        assert_eq!(
            error("logs.wrap = x\nlogs.mark = x"),
            "config.ini:3: x is already bound to logs.wrap (line 2); change one of the two"
        );
        assert!(error("logs.wrap = x x").contains("x is listed twice"));
        assert!(error("palette.close = x").contains("edits the text there"));
    }
}
