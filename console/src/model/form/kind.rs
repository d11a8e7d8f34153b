//! What a field takes, from the JSON Schema of its parameter, and how text becomes that.

use serde_json::Value;

/// What a field takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// JSON where it parses as JSON, else a text: nothing is known of the type.
    Auto,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A text, exactly as typed.
    Text,
    /// `true` or `false`.
    Bool,
    /// A JSON array.
    List,
    /// A JSON object.
    Object,
    /// One of these values.
    Choice(Vec<Value>),
    /// The same, or `null`.
    Nullable(Box<Kind>),
}

impl Kind {
    /// What a schema asks for; what it does not say plainly is [`Kind::Auto`].
    pub fn of(schema: &Value) -> Self {
        if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
            return Self::Choice(choices.clone());
        }
        match schema.get("type") {
            Some(Value::String(name)) => Self::named(name),
            Some(Value::Array(names)) => {
                let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
                let nullable = names.contains(&"null");
                let others: Vec<&&str> = names.iter().filter(|name| **name != "null").collect();
                let kind = match others[..] {
                    [one] => Self::named(one),
                    [a, b] if [*a, *b].iter().all(|n| ["integer", "number"].contains(n)) => {
                        Self::Number
                    }
                    _ => return Self::Auto,
                };
                if nullable { Self::Nullable(Box::new(kind)) } else { kind }
            }
            _ => Self::Auto,
        }
    }

    fn named(name: &str) -> Self {
        match name {
            "integer" => Self::Integer,
            "number" => Self::Number,
            "string" => Self::Text,
            "boolean" => Self::Bool,
            "array" => Self::List,
            "object" => Self::Object,
            _ => Self::Auto,
        }
    }

    /// A word for the form.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Integer => "int",
            Self::Number => "number",
            Self::Text => "text",
            Self::Bool => "bool",
            Self::List => "list",
            Self::Object => "object",
            Self::Choice(_) => "choice",
            Self::Nullable(inner) => inner.word(),
        }
    }

    /// The value that the text stands for.
    ///
    /// # Errors
    /// What is wanted instead, in a few words.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let trimmed = text.trim();
        let json = || serde_json::from_str::<Value>(trimmed);
        let wanted = |wanted: &str| Err(format!("must be {wanted}"));
        match self {
            Self::Auto => Ok(json().unwrap_or_else(|_| Value::from(text))),
            Self::Integer => match json() {
                Ok(value) if value.is_i64() || value.is_u64() => Ok(value),
                Ok(value) if value.is_number() => wanted("a whole number in the 64-bit range"),
                _ => wanted("a whole number"),
            },
            Self::Number => match json() {
                Ok(value) if value.is_number() && is_exact(trimmed, &value) => Ok(value),
                Ok(value) if value.is_number() => wanted("in the 64-bit range"),
                _ => wanted("a number"),
            },
            Self::Text => Ok(Value::from(text)),
            Self::Bool => match trimmed {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => wanted("true or false"),
            },
            Self::List => match json() {
                Ok(value) if value.is_array() => Ok(value),
                _ => wanted("a JSON list: [1, 2]"),
            },
            Self::Object => match json() {
                Ok(value) if value.is_object() => Ok(value),
                _ => wanted("a JSON object: {\"a\": 1}"),
            },
            Self::Choice(choices) => {
                let typed = json().ok();
                let is_it = |choice: &&Value| {
                    choice.as_str() == Some(trimmed) || typed.as_ref() == Some(*choice)
                };
                choices.iter().find(is_it).cloned().ok_or_else(|| {
                    let names: Vec<_> = choices.iter().map(ToString::to_string).collect();
                    format!("must be one of {}", names.join(", "))
                })
            }
            Self::Nullable(_) if trimmed == "null" => Ok(Value::Null),
            Self::Nullable(inner) => inner.parse(text),
        }
    }

    /// Whether a text stands in the field without quotes and is still that text when parsed.
    pub(super) fn takes_bare_text(&self, text: &str) -> bool {
        self.parse(text).is_ok_and(|value| value.as_str() == Some(text))
    }
}

/// Integers beyond 64 bits would silently become floats.
fn is_exact(text: &str, value: &Value) -> bool {
    !value.is_f64() || text.contains(['.', 'e', 'E']) || text == "-0"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(schema: Value, text: &str, expected: Option<Value>) {
        assert_eq!(Kind::of(&schema).parse(text).ok(), expected, "{schema} {text}");
    }

    #[test]
    fn each_type_takes_its_own_and_refuses_the_rest() {
        let typed = |name: &str| json!({"type": name});
        check(typed("integer"), "42", Some(json!(42)));
        check(typed("integer"), "1.5", None);
        check(typed("number"), " -1.5 ", Some(json!(-1.5)));
        check(typed("number"), "18446744073709551616", None);
        check(typed("number"), "one", None);
        check(typed("string"), "42", Some(json!("42")));
        check(typed("string"), "\"a\"", Some(json!("\"a\"")));
        check(typed("boolean"), "true", Some(json!(true)));
        check(typed("boolean"), "1", None);
        check(typed("array"), "[1]", Some(json!([1])));
        check(typed("array"), "1", None);
        check(typed("object"), "{}", Some(json!({})));
        check(json!({"enum": ["a", 1]}), "1", Some(json!(1)));
        check(json!({"enum": ["a", 1]}), "b", None);
        check(json!({"type": ["integer", "null"]}), "null", Some(Value::Null));
        check(json!({"type": ["integer", "number"]}), "1.5", Some(json!(1.5)));
    }

    #[test]
    fn an_unknown_type_is_json_where_it_parses_else_text() {
        check(json!(true), "[1]", Some(json!([1])));
        check(json!(true), "hello", Some(json!("hello")));
        check(json!({"anyOf": []}), "5", Some(json!(5)));
    }
}
