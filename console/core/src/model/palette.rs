//! The command palette: every command, method and instance by name, or a call as typed on a shell.

use rpc_wire::call::{Args, Words};
use rpc_wire::instance::{Instance, InstanceKey};
use rpc_wire::signature::Signature;
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
    /// Corrects the typed name of a method: that method, and the whole corrected text.
    Correct(String, String),
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
    /// Whether `typed` is its whole name.
    pub(crate) fn is_named(&self, typed: &str) -> bool {
        match self {
            Self::Method(method, _) => {
                [&method.id.name, &method.label].contains(&&typed.to_owned())
            }
            Self::Action(_, _, help) => help.eq_ignore_ascii_case(typed),
            _ => false,
        }
    }

    /// The text that is shown and matched.
    pub fn label(&self) -> String {
        match self {
            Self::Call(method, Err(why)) => format!("call {}: {why}", method.label),
            Self::Call(method, Ok(args)) => {
                let text = format!("call {} {}", method.label, args.positional());
                if args.keyword() == "{}" { text } else { format!("{text} {}", args.keyword()) }
            }
            Self::Correct(method, _) => format!("did you mean {method}?"),
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

/// Reads the arguments of a call of `method` as `rpcd call` does.
///
/// # Errors
/// What is wrong, with the name of the parameter.
pub fn arguments(text: &str, method: &Signature) -> Result<Args, String> {
    let words = Words::new(words(text)).map_err(|error| error.to_string())?;
    words.read(Some(method)).map_err(|error| error.to_string())
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
    use rpc_wire::signature::Parameter;
    use serde_json::json;

    fn check(text: &str, positional: &str, keyword: &str) {
        let args = arguments(text, &Signature::default()).unwrap();
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
        check(r#""a\" b" "[1""#, r#"["a\" b","[1"]"#, "{}");
        check("a:=1 b:='\"2\"' c:={\"d\": 3}", "[]", r#"{"a":1,"b":"2","c":{"d": 3}}"#);
        check("", "[]", "{}");
        let wrong = |text| arguments(text, &Signature::default()).unwrap_err();
        assert_eq!(wrong("a=1 a=2"), "the argument a is given twice");
        assert!(wrong("[1").starts_with("the argument '[1' begins like JSON and is not"));
        assert!(wrong("a:=x").starts_with("a:= takes JSON, not 'x'"));
    }

    #[test]
    fn the_schema_decides_how_a_word_is_read() {
        let method = |name: &str, schema: serde_json::Value| Signature {
            name: "m".to_owned(),
            parameters: vec![Parameter::required(name, schema)],
            ..Signature::default()
        };
        let read = |text, method: &Signature| arguments(text, method);
        let text = method("string", json!({"type": "string"}));
        assert_eq!(read("12", &text).unwrap().positional(), r#"["12"]"#);
        assert_eq!(read("string:=5", &text).unwrap().keyword(), r#"{"string":5}"#);
        assert_eq!(read("string=5", &text).unwrap().keyword(), r#"{"string":"5"}"#);
        let number = method("b", json!({"type": "number"}));
        let error = read("two", &number).unwrap_err();
        assert_eq!(error, "the argument b of m must be a number, not 'two'");
        let order = method("order", json!({"type": "object"}));
        let error = read(r#"{"id":1"#, &order).unwrap_err();
        assert_eq!(error, r#"the argument order of m must be a JSON object, not '{"id":1'"#);
    }
}
