//! The type of a form field, from the JSON Schema of its parameter, and the parsing of its text.

use rpc_wire::signature::referred;
use serde_json::Value;

use crate::model::schema::Visits;

/// Maximum references and alternatives followed in a row: some schemas refer to themselves.
const MAX_STEPS: usize = 16;
/// Parts of a schema visited at most: a hostile one has many alternatives at every level. With more,
/// or with more values to choose from, the type is unknown.
const MAX_VISITS: usize = 1_000;

/// The type of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Unknown type: JSON if the text parses as JSON, else a string.
    Auto,
    /// An integer.
    Integer,
    /// A number.
    Number,
    /// A string, exactly as typed.
    Text,
    /// `true` or `false`.
    Bool,
    /// A JSON array.
    List,
    /// A JSON object.
    Object,
    /// One of these values.
    Choice(Vec<Value>),
    /// Any of these, or `null`.
    Nullable(Box<Kind>),
}

impl Kind {
    /// The type that a schema describes; [`Kind::Auto`] if it is not a simple one.
    pub fn of(schema: &Value) -> Self {
        let visits = Visits::new(MAX_VISITS);
        let walk = Walk { root: schema, visits: &visits };
        walk.resolve(schema, MAX_STEPS)
    }

    fn or_nullable(self) -> Self {
        match self {
            // These accept null already.
            Self::Auto | Self::Nullable(_) => self,
            other => Self::Nullable(Box::new(other)),
        }
    }

    /// The values to choose from, if there are only a few.
    pub fn choices(&self) -> Option<Vec<Value>> {
        match self {
            Self::Choice(choices) => Some(choices.clone()),
            Self::Bool => Some(vec![Value::Bool(true), Value::Bool(false)]),
            Self::Nullable(inner) => {
                let mut choices = inner.choices()?;
                choices.push(Value::Null);
                Some(choices)
            }
            _ => None,
        }
    }

    /// Whether it is a plain boolean.
    pub fn is_bool(&self) -> bool {
        *self == Self::Bool
    }

    fn from_type_name(name: &str) -> Self {
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

    /// The label in the form.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Integer => "int",
            Self::Number => "number",
            Self::Text => "text",
            Self::Bool => "bool",
            Self::List => "list",
            Self::Object => "object",
            Self::Choice(_) => "choice",
            Self::Nullable(inner) => inner.label(),
        }
    }

    /// Parses a text into a value.
    ///
    /// # Errors
    /// What is expected instead, in a few words.
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

    /// Whether the text needs no quotes: without them it still parses as this string.
    pub(super) fn takes_unquoted(&self, text: &str) -> bool {
        self.parse(text).is_ok_and(|value| value.as_str() == Some(text))
    }
}

/// A walk over a schema.
struct Walk<'a> {
    /// The whole schema: `#/…` refers to it.
    root: &'a Value,
    visits: &'a Visits,
}

impl Walk<'_> {
    /// The type of a part, from which at most `steps` references and alternatives are followed.
    fn resolve(&self, schema: &Value, steps: usize) -> Kind {
        let Some(left) = steps.checked_sub(1).filter(|_| self.visits.spend(1)) else {
            return Kind::Auto;
        };
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = referred(self.root, reference);
            return target.map_or(Kind::Auto, |target| self.resolve(target, left));
        }
        let list = |name: &str| schema.get(name).and_then(Value::as_array);
        if let Some(choices) = list("enum") {
            return self.choice(choices);
        }
        if let Some(only) = schema.get("const") {
            return self.choice(std::slice::from_ref(only));
        }
        if let Some([one]) = list("allOf").map(Vec::as_slice) {
            return self.resolve(one, left);
        }
        if let Some(any) = list("anyOf").or_else(|| list("oneOf")) {
            return self.any_of(any, left);
        }
        match schema.get("type") {
            Some(Value::String(name)) => Kind::from_type_name(name),
            Some(Value::Array(names)) if self.visits.spend(names.len()) => {
                let nullable = names.iter().any(|name| name == "null");
                let others = names.iter().filter(|name| *name != "null").filter_map(Value::as_str);
                // Three are as unknown as more.
                let others: Vec<&str> = others.take(3).collect();
                let kind = match others[..] {
                    [one] => Kind::from_type_name(one),
                    ["integer", "number"] | ["number", "integer"] => Kind::Number,
                    _ => return Kind::Auto,
                };
                if nullable { kind.or_nullable() } else { kind }
            }
            _ => Kind::Auto,
        }
    }

    /// One of these values.
    fn choice(&self, values: &[Value]) -> Kind {
        if values.iter().any(|value| self.visits.json(value).is_none()) {
            return Kind::Auto;
        }
        let mut others = values.to_vec();
        // An enum of `null` alone accepts nothing else.
        others.retain(|choice| values.len() == 1 || !choice.is_null());
        let nullable = others.len() < values.len();
        let kind = Kind::Choice(others);
        if nullable { kind.or_nullable() } else { kind }
    }

    /// The type that fits any of several schemas.
    fn any_of(&self, schemas: &[Value], steps: usize) -> Kind {
        let is_null = |schema: &Value| schema.get("type").is_some_and(|name| name == "null");
        let (mut kinds, mut nullable): (Vec<Kind>, bool) = (Vec::new(), false);
        for schema in schemas {
            if !self.visits.spend(1) {
                return Kind::Auto;
            }
            if is_null(schema) {
                nullable = true;
                continue;
            }
            let kind = self.resolve(schema, steps);
            if kinds.last() != Some(&kind) {
                kinds.push(kind);
            }
        }
        let all_choices = |kind: &Kind| match kind {
            Kind::Choice(choices) => Some(choices.clone()),
            _ => None,
        };
        let kind = match &kinds[..] {
            [one] => one.clone(),
            [Kind::Integer, Kind::Number] | [Kind::Number, Kind::Integer] => Kind::Number,
            [] => Kind::Auto,
            // Documented variants of an enum: each is a `const` of its own.
            several => match several.iter().map(all_choices).collect::<Option<Vec<_>>>() {
                Some(choices) => Kind::Choice(choices.concat()),
                None => Kind::Auto,
            },
        };
        if nullable { kind.or_nullable() } else { kind }
    }
}

/// Whether the number is exact: integers beyond 64 bits would silently become floats.
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
    fn each_type_refuses_values_of_other_types() {
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
    fn references_and_alternatives_are_followed_up_to_a_limit() {
        let root = |schema: Value| {
            let mut root = json!({"$defs": {
                "Size": {"enum": ["S", "M"]},
                "Loop": {"$ref": "#/$defs/Loop"},
            }});
            root.as_object_mut().unwrap().extend(schema.as_object().unwrap().clone());
            Kind::of(&root)
        };
        let sizes = || Kind::Choice(vec![json!("S"), json!("M")]);
        assert_eq!(root(json!({"$ref": "#/$defs/Size"})), sizes());
        assert_eq!(root(json!({"allOf": [{"$ref": "#/$defs/Size"}]})), sizes());
        assert_eq!(
            root(json!({"anyOf": [{"$ref": "#/$defs/Size"}, {"type": "null"}]})),
            Kind::Nullable(Box::new(sizes()))
        );
        assert_eq!(root(json!({"oneOf": [{"const": "S"}, {"enum": ["M"]}]})), sizes());
        assert_eq!(root(json!({"anyOf": [{"type": "integer"}, {"type": "number"}]})), Kind::Number);
        assert_eq!(root(json!({"anyOf": [{"type": "integer"}, {"type": "array"}]})), Kind::Auto);
        for lost in ["#/$defs/Loop", "#/$defs/None", "https://elsewhere/schema"] {
            assert_eq!(root(json!({"$ref": lost})), Kind::Auto, "{lost}");
        }
        let nullable = Kind::of(&json!({"enum": ["a", null]}));
        assert_eq!(nullable.choices(), Some(vec![json!("a"), Value::Null]));
        assert_eq!(nullable.parse("null"), Ok(Value::Null));
    }

    #[test]
    fn a_schema_that_takes_too_many_visits_is_any_json() {
        let references = vec![json!({"$ref": "#"}); 20];
        assert_eq!(Kind::of(&json!({"anyOf": references})), Kind::Auto, "20 to the power of 8");
        let long = "x".repeat(30_000);
        let alternating: Vec<_> =
            (0..500).map(|at| json!({"$ref": format!("#/{}", at % 2)})).collect();
        let consts = json!({"anyOf": alternating, "0": {"const": long}, "1": {"const": 1}});
        assert_eq!(Kind::of(&consts), Kind::Auto, "15 MB of choices");
        for hostile in crate::model::schema::hostile() {
            let _ = Kind::of(&hostile);
        }
        let names: Vec<_> = (0..400).map(|at| json!(format!("name {at}"))).collect();
        let kind = Kind::of(&json!({"anyOf": [{"enum": names}, {"type": "null"}]}));
        assert_eq!(kind.choices().map(|choices| choices.len()), Some(401), "an honest one");
    }

    #[test]
    fn an_unknown_type_is_json_if_it_parses_else_text() {
        check(json!(true), "[1]", Some(json!([1])));
        check(json!(true), "hello", Some(json!("hello")));
        check(json!({"anyOf": []}), "5", Some(json!(5)));
    }
}
