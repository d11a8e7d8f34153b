//! The command palette: every command, method and instance by name, or a call as typed on a shell.

use rpc_wire::call::Args;
use rpc_wire::instance::{Instance, InstanceKey};
use tui_input::Input;

use super::service::MethodId;
use crate::action::Action;

/// The palette.
#[derive(Debug, Default)]
pub struct Palette {
    /// The text field.
    pub input: Input,
    /// The index of the selected entry.
    pub selected: usize,
}

/// A method and its name on the screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// The method.
    pub id: MethodId,
    /// Its name, with its service where there are several.
    pub label: String,
}

/// An entry of the palette.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Sends a call, unless its arguments are invalid.
    Call(Labelled, Result<Args, String>),
    /// Opens a saved request: its name and its method.
    Saved(String, String),
    /// Switches to an environment, by its name.
    Environment(String),
    /// Opens the form of a method: the method and its documentation.
    Method(Labelled, String),
    /// Selects an instance.
    Instance(InstanceKey),
    /// Asks to confirm unregistering the selected instance.
    Unregister(Box<Instance>),
    /// Carries out an action: its keys and help.
    Action(Action, String, &'static str),
}

impl Entry {
    /// The text that is shown and matched.
    pub fn label(&self) -> String {
        match self {
            Self::Call(method, Err(why)) => format!("call {}: {why}", method.label),
            Self::Call(method, Ok(args)) => {
                let text = format!("call {} {}", method.label, args.positional());
                if args.keyword() == "{}" { text } else { format!("{text} {}", args.keyword()) }
            }
            Self::Saved(name, method) => format!("saved {name} · {method}"),
            Self::Environment(name) => format!("environment {name}"),
            Self::Method(method, doc) if doc.is_empty() => format!("method {}", method.label),
            Self::Method(method, doc) => format!("method {} · {doc}", method.label),
            Self::Instance(key) => format!("instance {key}"),
            Self::Unregister(instance) => format!("unregister {}…", instance.key()),
            Self::Action(_, _, help) => (*help).to_owned(),
        }
    }
}

/// Parses arguments as typed on a shell.
///
/// # Errors
/// A keyword argument is given twice.
pub fn arguments(text: &str) -> Result<Args, String> {
    Args::from_words(&words(text)).map_err(|error| error.to_string())
}

/// Splits at spaces, except inside JSON strings and brackets. Double quotes are kept, as JSON needs
/// them; single quotes are removed, as on a shell.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let (mut depth, mut quote, mut escaped, mut any) = (0usize, None, false, false);
    for c in text.chars() {
        match (quote, c) {
            (Some('\''), '\'') => quote = None,
            (Some('"'), '"') if !escaped => {
                quote = None;
                word.push(c);
            }
            (Some(_), _) => word.push(c),
            (None, '\'') if depth == 0 => (quote, any) = (Some('\''), true),
            (None, c) if c.is_whitespace() && depth == 0 => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            (None, c) => {
                match c {
                    '"' => quote = Some('"'),
                    '[' | '{' => depth += 1,
                    ']' | '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                word.push(c);
            }
        }
        escaped = c == '\\' && !escaped;
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, positional: &str, keyword: &str) {
        let args = arguments(text).unwrap();
        assert_eq!((args.positional(), args.keyword()), (positional, keyword), "{text}");
    }

    #[test]
    fn arguments_are_json_if_they_parse_else_text() {
        check("1 2 c=3", "[1,2]", r#"{"c":3}"#);
        check("-1.5 true null hello", r#"[-1.5,true,null,"hello"]"#, "{}");
        check(r#"[1, 2] {"a": "b c"}"#, r#"[[1, 2],{"a": "b c"}]"#, "{}");
        check(r#""two words" 'three more words'"#, r#"["two words","three more words"]"#, "{}");
        check("name='a b' 1=2", r#"["1=2"]"#, r#"{"name":"a b"}"#);
        check("  ''  ", r#"[""]"#, "{}");
        check(r#""a\" b" [1"#, r#"["a\" b","[1"]"#, "{}");
        check("", "[]", "{}");
        assert_eq!(arguments("a=1 a=2").unwrap_err(), "the argument a= is given twice");
    }
}
