//! The values of `{{env:NAME}}`: read when a call is sent, and hidden in what comes back of it.

use rpc_console_core::model::template;
use rpc_wire::call::Args;
use serde_json::Value;

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

    /// The same for the text of a JSON value: only its strings change, so that it stays one.
    pub(super) fn hide_in_json(&self, json: &str) -> Option<String> {
        if !self.0.iter().any(|(value, _)| json.contains(value)) {
            return None;
        }
        template::map_strings(json, |text| Ok(self.hide(text.to_owned()))).ok()
    }
}

/// A value as it is, and as it stands in JSON.
fn spellings(value: String) -> Vec<String> {
    let quoted = Value::from(value.as_str()).to_string();
    let inner = quoted[1..quoted.len() - 1].to_owned();
    if inner == value { vec![value] } else { vec![value, inner] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    fn of(args: &[Value]) -> (Args, Secrets) {
        let get = |name: &str| match name {
            "TOKEN" => Some("a\"b".to_owned()),
            "LONG" => Some("xa\"bx".to_owned()),
            _ => None,
        };
        Secrets::resolve_with(&Args::from_values(args, &Map::new()), get).unwrap()
    }

    #[test]
    fn a_value_is_sent_and_hidden_in_everything_else() {
        let (sent, secrets) = of(&[json!("{{env:TOKEN}} {{env:LONG}}")]);
        assert_eq!(sent.positional(), r#"["a\"b xa\"bx"]"#);
        let wire = format!("{{\"args\":{}}}", sent.positional());
        assert_eq!(secrets.hide(wire), r#"{"args":["{{env:TOKEN}} {{env:LONG}}"]}"#);
        assert_eq!(secrets.hide("no such user: a\"b".to_owned()), "no such user: {{env:TOKEN}}");
        let hidden = secrets.hide_in_json(r#"{"you": "a\"b", "n": 1.50}"#).unwrap();
        assert_eq!(hidden, r#"{"you": "{{env:TOKEN}}", "n": 1.50}"#);
        assert_eq!(secrets.hide_in_json("[1]"), None);
    }

    #[test]
    fn without_a_reference_nothing_changes() {
        let (sent, secrets) = of(&[json!("{{user}} a\"b")]);
        assert_eq!(sent.positional(), r#"["{{user}} a\"b"]"#);
        assert_eq!(secrets.hide("a\"b".to_owned()), "a\"b");
    }
}
