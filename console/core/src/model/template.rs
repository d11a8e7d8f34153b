//! References in the texts of a form, `{{user}}` and `{{env:TOKEN}}`, and what they are replaced by.
//!
//! A call goes through two steps. [`Variables::fill`] puts in the variables of the current environment,
//! which screen and history show. [`resolve`] puts in the process environment when the call is sent;
//! only the connection sees its result, so that secrets are neither shown nor stored.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use rpc_wire::call::Args;
use serde_json::Value;
use serde_json::value::RawValue;

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    /// `{{user}}`: its name, and the whole as written.
    Variable(&'a str, &'a str),
    /// `{{env:TOKEN}}`: its name, and the whole as written.
    Process(&'a str, &'a str),
    /// `{{=user}}`, which stands for the text `{{user}}`: the parts before and after one `=`.
    Literal(&'a str, &'a str),
}

/// Splits a text. What is no reference, such as `{{#each}}`, is text.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let (mut kept, mut from) = (0, 0);
    while let Some(at) = text.get(from..).and_then(|rest| rest.find("{{")).map(|at| from + at) {
        let Some((piece, end)) = reference(text, at) else {
            from = at + 1;
            continue;
        };
        if kept < at {
            found.push(Piece::Text(&text[kept..at]));
        }
        found.push(piece);
        (kept, from) = (end, end);
    }
    if kept < text.len() {
        found.push(Piece::Text(&text[kept..]));
    }
    found
}

/// The reference that starts at `at`, and its end.
fn reference(text: &str, at: usize) -> Option<(Piece<'_>, usize)> {
    let inner = at + 2;
    let length = text[inner..].find("}}")?;
    let end = inner + length + 2;
    let whole = &text[at..end];
    let written = text[inner..inner + length].trim();
    let name = written.trim_start_matches('=').trim_start();
    let piece = match name.strip_prefix("env:") {
        _ if written.starts_with('=') => {
            let mark = whole.find('=')?;
            let bare = name.strip_prefix("env:").unwrap_or(name);
            is_name(bare).then(|| Piece::Literal(&whole[..mark], &whole[mark + 1..]))?
        }
        Some(variable) => is_name(variable).then_some(Piece::Process(variable, whole))?,
        None => is_name(name).then_some(Piece::Variable(name, whole))?,
    };
    Some((piece, end))
}

/// Whether a text can be the name of a variable: `[A-Za-z_][A-Za-z0-9_-]*`.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
}

/// Whether a text has a reference.
pub fn has_reference(text: &str) -> bool {
    pieces(text).iter().any(|piece| !matches!(piece, Piece::Text(_)))
}

/// Whether a text has a reference to the process environment.
pub fn has_secret(text: &str) -> bool {
    pieces(text).iter().any(|piece| matches!(piece, Piece::Process(..)))
}

/// The variables of the current environment, and the names of the process environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    /// The name of the environment, if there is one.
    pub environment: Option<String>,
    /// Its variables.
    pub values: BTreeMap<String, String>,
    /// The names that are set in the process environment.
    pub process: BTreeSet<String>,
}

impl Variables {
    /// The text with the values of its variables. References to the process environment are checked
    /// and stay, for [`resolve`].
    ///
    /// # Errors
    /// A name is unknown.
    pub fn fill<'a>(&self, text: &'a str) -> Result<Cow<'a, str>, String> {
        if !text.contains("{{") {
            return Ok(Cow::Borrowed(text));
        }
        let mut out = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable(name, _) => {
                    let value = self.values.get(name).ok_or_else(|| self.unknown(name))?;
                    self.insert(value, &mut out)?;
                }
                Piece::Process(..) | Piece::Literal(..) => self.keep(piece, &mut out)?,
            }
        }
        Ok(Cow::Owned(out))
    }

    /// Adds the value of a variable: it may refer to the process environment, not to variables.
    fn insert(&self, value: &str, out: &mut String) -> Result<(), String> {
        for piece in pieces(value) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable(_, whole) => {
                    out.push_str("{{=");
                    out.push_str(&whole[2..]);
                }
                Piece::Process(..) | Piece::Literal(..) => self.keep(piece, out)?,
            }
        }
        Ok(())
    }

    fn keep(&self, piece: Piece<'_>, out: &mut String) -> Result<(), String> {
        match piece {
            Piece::Process(name, _) if !self.process.contains(name) => {
                return Err(not_set(name));
            }
            Piece::Process(_, whole) => out.push_str(whole),
            Piece::Literal(before, after) => {
                out.push_str(before);
                out.push('=');
                out.push_str(after);
            }
            Piece::Text(_) | Piece::Variable(..) => {}
        }
        Ok(())
    }

    /// The value with the variables in its strings, at any depth; keys of objects stay.
    ///
    /// # Errors
    /// A name is unknown.
    pub fn fill_value(&self, value: Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => Value::String(self.fill(&text)?.into_owned()),
            Value::Array(values) => {
                let values = values.into_iter().map(|value| self.fill_value(value));
                Value::Array(values.collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let members =
                    members.into_iter().map(|(key, value)| Ok((key, self.fill_value(value)?)));
                Value::Object(members.collect::<Result<_, String>>()?)
            }
            other => other,
        })
    }

    /// The same for the arguments of a call.
    ///
    /// # Errors
    /// A name is unknown.
    pub fn fill_args(&self, args: &Args) -> Result<Args, String> {
        replace_strings(args, |text| Ok(self.fill(text)?.into_owned()))
    }

    fn unknown(&self, name: &str) -> String {
        let place = match &self.environment {
            Some(environment) => format!("no variable {name} in [environments.{environment}]"),
            None => format!("no variable {name}: no environment is defined"),
        };
        match rpc_wire::nearest(name, self.values.keys().map(String::as_str)) {
            Some(near) => format!("{place}; did you mean {near}?"),
            None => format!("{place}; {{{{={name}}}}} sends it as text"),
        }
    }
}

fn not_set(name: &str) -> String {
    format!("{name} is not set in the process environment")
}

/// The arguments as they are sent: with the values of the process environment. `get` reads one.
///
/// # Errors
/// A variable is not set.
pub fn resolve(args: &Args, get: impl Fn(&str) -> Option<String>) -> Result<Args, String> {
    replace_strings(args, |text| {
        let mut out = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) | Piece::Variable(_, text) => out.push_str(text),
                Piece::Process(name, _) => out.push_str(&get(name).ok_or_else(|| not_set(name))?),
                Piece::Literal(before, after) => {
                    out.push_str(before);
                    out.push_str(after);
                }
            }
        }
        Ok(out)
    })
}

/// The arguments with every string that has braces replaced, except the keys of objects.
fn replace_strings(
    args: &Args,
    mut replace: impl FnMut(&str) -> Result<String, String>,
) -> Result<Args, String> {
    if !args.positional().contains("{{") && !args.keyword().contains("{{") {
        return Ok(args.clone());
    }
    let positional = map_strings(args.positional(), &mut replace)?;
    let keyword = map_strings(args.keyword(), &mut replace)?;
    let invalid = |error: serde_json::Error| error.to_string();
    let positional: Vec<Box<RawValue>> = serde_json::from_str(&positional).map_err(invalid)?;
    let keyword: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(&keyword).map_err(invalid)?;
    let keyword: Vec<_> = keyword.iter().map(|(name, raw)| (name.as_str(), raw.clone())).collect();
    Ok(Args::from_raw(&positional, &keyword))
}

/// Names of the process environment that the arguments refer to.
pub fn secrets(args: &Args) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut collect = |text: &str| {
        for piece in pieces(text) {
            if let Piece::Process(name, _) = piece {
                names.insert(name.to_owned());
            }
        }
        Ok(text.to_owned())
    };
    for json in [args.positional(), args.keyword()] {
        let _ = map_strings(json, &mut collect);
    }
    names
}

/// JSON with every string replaced, except the keys of objects. All else stays as written, so that
/// numbers keep every digit.
///
/// # Errors
/// That of `replace`.
pub fn map_strings(
    json: &str,
    mut replace: impl FnMut(&str) -> Result<String, String>,
) -> Result<String, String> {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = end_of_string(rest);
        let (string, after) = rest.split_at(end);
        let is_key = after.trim_start().starts_with(':');
        match serde_json::from_str::<String>(string) {
            Ok(text) if !is_key => match replace(&text)? {
                // It may be spelt in another way.
                same if same == text => out.push_str(string),
                other => out.push_str(&Value::from(other).to_string()),
            },
            _ => out.push_str(string),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The end of the JSON string that `text` starts with.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !escaped => return at + 1,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn variables() -> Variables {
        let values = [
            ("user", "Ann"),
            ("count", "3"),
            ("odd", "{{user}} {{=x}}"),
            ("token", "{{env:TOKEN}}"),
        ];
        Variables {
            environment: Some("local".to_owned()),
            values: values.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            process: ["TOKEN".to_owned()].into(),
        }
    }

    fn sent(text: &str) -> String {
        let filled = variables().fill(text).unwrap().into_owned();
        let args = Args::from_values(&[json!(filled)], &serde_json::Map::new());
        let get = |name: &str| (name == "TOKEN").then(|| "s3cret\"".to_owned());
        let resolved = resolve(&args, get).unwrap();
        let [text] = serde_json::from_str::<[String; 1]>(resolved.positional()).unwrap();
        text
    }

    #[test]
    fn variables_are_replaced_and_other_braces_are_text() {
        for (text, expected) in [
            ("Hello {{user}}!", "Hello Ann!"),
            ("{{ user }}{{count}}", "Ann3"),
            ("{{{user}}}", "{Ann}"),
            ("{{#each}} {{a b}} {{ {{}} }}", "{{#each}} {{a b}} {{ {{}} }}"),
            ("{{=user}} {{==user}} {{= env:X }}", "{{user}} {{=user}} {{ env:X }}"),
            ("{{odd}}", "{{user}} {{x}}"),
            ("Bearer {{env:TOKEN}}", "Bearer s3cret\""),
            ("{{token}}", "s3cret\""),
        ] {
            assert_eq!(sent(text), expected, "{text}");
        }
    }

    #[test]
    fn an_unknown_name_is_an_error_with_a_suggestion() {
        let error = |text: &str| variables().fill(text).unwrap_err();
        assert_eq!(error("{{usr}}"), "no variable usr in [environments.local]; did you mean user?");
        assert_eq!(
            error("{{zebra}}"),
            "no variable zebra in [environments.local]; {{=zebra}} sends it as text"
        );
        assert_eq!(error("{{env:HOME}}"), "HOME is not set in the process environment");
        let none = Variables::default().fill("{{a}}").unwrap_err();
        assert!(none.contains("no environment is defined"), "{none}");
    }

    #[test]
    fn the_process_environment_is_read_only_when_a_call_is_sent() {
        let filled = variables().fill("{{user}} {{token}}").unwrap().into_owned();
        assert_eq!(filled, "Ann {{env:TOKEN}}");
        let args = Args::from_values(&[json!([{"a": filled}])], &serde_json::Map::new());
        assert_eq!(secrets(&args), ["TOKEN".to_owned()].into());
        assert_eq!(resolve(&args, |_| None).unwrap_err(), not_set("TOKEN"));
    }

    #[test]
    fn only_strings_change_and_numbers_keep_every_digit() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let args = Args::from_raw(
            &[
                raw("1.000000000000000000000001"),
                raw(r#"{"{{env:K}}": "{{env:K}}\\\"", "b": [1]}"#),
            ],
            &[("key", raw(r#""{{env:K}}""#))],
        );
        let sent = resolve(&args, |_| Some("v".to_owned())).unwrap();
        let expected = r#"[1.000000000000000000000001,{"{{env:K}}": "v\\\"", "b": [1]}]"#;
        assert_eq!((sent.positional(), sent.keyword()), (expected, r#"{"key":"v"}"#));
    }

    #[test]
    fn strings_at_any_depth_are_filled() {
        let value = json!({"{{user}}": ["{{user}}", 1, {"a": "x{{count}}"}]});
        let filled = variables().fill_value(value).unwrap();
        assert_eq!(filled, json!({"{{user}}": ["Ann", 1, {"a": "x3"}]}));
    }
}
