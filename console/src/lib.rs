//! The console: see every instance, call any method, read every log, without leaving the keyboard.
//!
//! A pure core in an imperative shell. In reading order:
//!
//! - [`key`]: a key press, in our own words; [`action`]: the one table of keys, actions and help.
//! - [`model`]: everything the screen shows, as plain data; it knows no terminal.
//! - [`message`]: what can happen ([`message::Msg`]) and what shall be done ([`message::Effect`]).
//! - [`mod@update`]: a message changes the model and asks for effects. No I/O, no clock.
//! - [`wake`]: when would the picture change by time alone?
//! - [`view`]: the model becomes a frame, and the frame says where a click would land.
//! - [`terminal`]: the terminal is borrowed, and given back whatever happens.
//! - [`runtime`]: the only place with sockets, tasks and a clock; it runs the loop.
//! - [`demo`]: an embedded registry and three servers, for a look without any set-up.
//! - [`options`]: the command line, and which registries it and the settings name.
//! - [`scripts`]: `ls`, `methods`, `call` and `watch`, without a terminal.

pub mod action;
pub mod demo;
mod editing;
#[cfg(test)]
mod fixture;
pub mod key;
pub mod message;
pub mod model;
pub mod options;
pub mod runtime;
pub mod scripts;
pub mod selectors;
pub mod terminal;
pub mod text;
pub mod update;
pub mod view;
pub mod wake;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    fn sources(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(sources(&path));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
        found
    }

    /// Files under `src` that mention one of `names`, except those that may.
    fn mentioning(names: &[&str], allowed: &[&str]) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = Vec::new();
        for path in sources(&root) {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            let text = fs::read_to_string(&path).unwrap();
            let may = name == "lib.rs" || allowed.iter().any(|allowed| name.starts_with(allowed));
            if !may && names.iter().any(|name| text.contains(name)) {
                found.push(name);
            }
        }
        found
    }

    #[test]
    fn only_the_demo_knows_the_daemons() {
        let names = ["rpc_server::", "rpc_registry::"].map(|name| format!("use {name}"));
        let names = names.each_ref().map(String::as_str);
        assert_eq!(mentioning(&names, &["demo.rs"]), [""; 0]);
    }

    #[test]
    fn only_view_terminal_and_runtime_know_the_terminal_libraries() {
        let allowed = ["view", "terminal", "runtime.rs", "update/tests.rs"];
        assert_eq!(mentioning(&["ratatui::", "crossterm::"], &allowed), [""; 0]);
    }

    #[test]
    fn the_pure_parts_have_no_clock_and_no_tasks() {
        let allowed = ["runtime", "terminal", "demo", "fixture", "main.rs", "scripts"];
        let names = ["tokio::", "SystemTime::now", "thread::sleep"];
        assert_eq!(mentioning(&names, &allowed), [""; 0]);
    }
}
