//! The values of `{{env:NAME}}`: read when a call is sent, and hidden in what comes back of it.

use rpc_console_core::model::template;
use rpc_wire::call::Args;
use serde_json::Value;

/// A shorter value would stand in many texts by chance.
const MIN_CHARACTERS: usize = 4;

/// The values that a call was sent with.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// The arguments as they are sent, and the values in them.
    ///
    /// # Errors
    /// A variable is not set.
    pub(super) fn resolve(args: &Args) -> Result<(Args, Self), String> {
        Self::resolve_with(args, |name| std::env::var(name).ok())
    }

    fn resolve_with(
        args: &Args,
        get: impl Fn(&str) -> Option<String>,
    ) -> Result<(Args, Self), String> {
        let sent = template::resolve(args, &get)?;
        let mut values = Vec::new();
        for name in template::secrets(args) {
            let value = get(&name).filter(|value| !value.is_empty());
            if value.as_ref().is_some_and(|value| value.chars().count() < MIN_CHARACTERS) {
                return Err(format!(
                    "{name} has fewer than {MIN_CHARACTERS} characters, too few to be hidden"
                ));
            }
            let shown = format!("{{{{env:{name}}}}}");
            for value in value.into_iter().flat_map(spellings) {
                values.push((value, shown.clone()));
            }
        }
        // The longest first: one value may contain another.
        values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        values.dedup();
        Ok((sent, Self(values)))
    }

    /// The text with every value replaced by its reference.
    pub(super) fn hide(&self, text: String) -> String {
        self.0.iter().fold(text, |text, (value, shown)| text.replace(value, shown))
    }

    /// The same for the text of a JSON value: only its strings change, however they are spelt, so
    /// that it stays one. `None`: nothing is hidden.
    pub(super) fn hide_in_json(&self, json: &str) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let hidden = template::map_strings(json, |text| Ok(self.hide(text.to_owned()))).ok();
        hidden.filter(|hidden| hidden != json)
    }

    /// The same for a message, which may be cut off or no JSON at all.
    pub(super) fn hide_in_message(&self, text: String) -> String {
        match serde_json::from_str::<&serde_json::value::RawValue>(text.trim()) {
            Ok(_) => self.hide_in_json(&text).unwrap_or(text),
            Err(_) => self.hide(text),
        }
    }
}

/// A value as it is, as it stands in JSON, and as it stands in JSON of ASCII only.
fn spellings(value: String) -> Vec<String> {
    let quoted = Value::from(value.as_str()).to_string();
    let inner = quoted[1..quoted.len() - 1].to_owned();
    let ascii = |c: char| match c.is_ascii() {
        true => c.to_string(),
        false => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    let escaped: String = inner.chars().map(ascii).collect();
    let mut spellings = vec![value, inner, escaped];
    spellings.dedup();
    spellings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    fn of(args: &[Value]) -> (Args, Secrets) {
        let get = |name: &str| match name {
            "TOKEN" => Some("a\"bé".to_owned()),
            "LONG" => Some("xa\"béx".to_owned()),
            "SHORT" => Some("123".to_owned()),
            _ => None,
        };
        Secrets::resolve_with(&Args::from_values(args, &Map::new()), get).unwrap()
    }

    #[test]
    fn a_value_is_sent_and_hidden_in_everything_else() {
        let (sent, secrets) = of(&[json!("{{env:TOKEN}} {{env:LONG}}")]);
        assert_eq!(sent.positional(), r#"["a\"bé xa\"béx"]"#);
        let wire = format!("{{\"args\":{}}}", sent.positional());
        assert_eq!(secrets.hide(wire), r#"{"args":["{{env:TOKEN}} {{env:LONG}}"]}"#);
        assert_eq!(secrets.hide("no such user: a\"bé".to_owned()), "no such user: {{env:TOKEN}}");
        let hidden = secrets.hide_in_json(r#"{"you": "a\"b\u00e9", "n": 1.50}"#).unwrap();
        assert_eq!(hidden, r#"{"you": "{{env:TOKEN}}", "n": 1.50}"#);
        assert_eq!(secrets.hide_in_json("[1]"), None);
        let cut = r#"{"id":1,"res":"a\"b\u00e9 an"#.to_owned();
        assert_eq!(secrets.hide_in_message(cut), r#"{"id":1,"res":"{{env:TOKEN}} an"#);
    }

    #[test]
    fn a_value_too_short_to_be_hidden_is_refused() {
        let get = |_: &str| Some("123".to_owned());
        let args = Args::from_values(&[json!("{{env:SHORT}}")], &Map::new());
        let error = Secrets::resolve_with(&args, get).err();
        assert_eq!(
            error.as_deref(),
            Some("SHORT has fewer than 4 characters, too few to be hidden")
        );
    }

    #[test]
    fn without_a_reference_nothing_changes() {
        let (sent, secrets) = of(&[json!("{{user}} a\"b")]);
        assert_eq!(sent.positional(), r#"["{{user}} a\"b"]"#);
        assert_eq!(secrets.hide("a\"b".to_owned()), "a\"b");
    }
}
