//! What a JSON Schema says about the type of a value: to read words, and to name it to people.

use std::fmt;

use serde_json::Value;

/// References that are followed; a schema may refer to itself.
const DEPTH: usize = 8;
/// Characters of the values of an `enum` that stand for its type.
const ENUM: usize = 40;

/// The types that a schema allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Types {
    /// `string`.
    pub string: bool,
    integer: bool,
    number: bool,
    boolean: bool,
    object: bool,
    array: bool,
    null: bool,
}

impl Types {
    /// The types of `schema`; `None`: any, or it cannot be told.
    pub fn of(schema: &Value) -> Option<Self> {
        let mut types = Self::default();
        types.add(schema, schema, DEPTH)?;
        (types != Self::default()).then_some(types)
    }

    /// Whether the JSON `text` is of one of them.
    pub fn include(self, text: &str) -> bool {
        match text.as_bytes().first() {
            Some(b'"') => self.string,
            Some(b'{') => self.object,
            Some(b'[') => self.array,
            Some(b't' | b'f') => self.boolean,
            Some(b'n') => self.null,
            _ => self.number || self.integer && !text.contains(['.', 'e', 'E']),
        }
    }

    /// Adds what `schema` allows; `None`: anything.
    fn add(&mut self, schema: &Value, root: &Value, depth: usize) -> Option<()> {
        let object = schema.as_object()?;
        let depth = depth.checked_sub(1)?;
        if let Some(to) = object.get("$ref") {
            return self.add(target(to, root)?, root, depth);
        }
        if let Some(either) = ["anyOf", "oneOf"].iter().find_map(|key| object.get(*key)) {
            return either.as_array()?.iter().try_for_each(|schema| self.add(schema, root, depth));
        }
        match object.get("type") {
            Some(Value::String(name)) => self.add_name(name),
            Some(Value::Array(names)) => {
                names.iter().try_for_each(|name| self.add_name(name.as_str()?))
            }
            _ => {
                let one = object.get("const").map(std::slice::from_ref);
                let values = one.or_else(|| object.get("enum")?.as_array().map(Vec::as_slice))?;
                values.iter().try_for_each(|value| self.add_name(name_of(value)))
            }
        }
    }

    fn add_name(&mut self, name: &str) -> Option<()> {
        *match name {
            "string" => &mut self.string,
            "integer" => &mut self.integer,
            "number" => &mut self.number,
            "boolean" => &mut self.boolean,
            "object" => &mut self.object,
            "array" => &mut self.array,
            "null" => &mut self.null,
            _ => return None,
        } = true;
        Some(())
    }
}

impl fmt::Display for Types {
    /// `a number`, `an integer or null`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.string, "a string"),
            (self.integer, "an integer"),
            (self.number, "a number"),
            (self.boolean, "true or false"),
            (self.object, "a JSON object"),
            (self.array, "a JSON array"),
            (self.null, "null"),
        ];
        let names: Vec<&str> = all.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
        f.write_str(&names.join(" or "))
    }
}

/// The type of a schema as a signature shows it: `number`, `string[]`, `"asc"|"desc"`, `Order`.
pub fn type_name(schema: &Value) -> String {
    named(schema, DEPTH)
}

fn named(schema: &Value, depth: usize) -> String {
    let any = || "any".to_owned();
    let (Some(object), Some(depth)) = (schema.as_object(), depth.checked_sub(1)) else {
        return any();
    };
    if let Some(name) = object.get("$ref").and_then(Value::as_str) {
        return name.rsplit('/').next().unwrap_or(name).to_owned();
    }
    let joined = |names: Vec<String>| names.join("|");
    if let Some(values) = object.get("enum").and_then(Value::as_array) {
        let names = joined(values.iter().map(Value::to_string).collect());
        if names.chars().count() <= ENUM {
            return names;
        }
    }
    if let Some(value) = object.get("const") {
        return value.to_string();
    }
    if let Some(Value::Array(either)) = ["anyOf", "oneOf"].iter().find_map(|key| object.get(*key)) {
        return joined(either.iter().map(|schema| named(schema, depth)).collect());
    }
    match object.get("type") {
        Some(Value::String(name)) if name == "array" => match object.get("items") {
            Some(items) if items.is_object() => {
                let items = named(items, depth);
                if items.contains('|') { format!("({items})[]") } else { format!("{items}[]") }
            }
            _ => "array".to_owned(),
        },
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => {
            joined(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        _ => any(),
    }
}

/// What `#/$defs/NAME` means in `root`.
fn target<'a>(to: &Value, root: &'a Value) -> Option<&'a Value> {
    root.pointer(to.as_str()?.strip_prefix('#')?)
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_has_a_short_name() {
        for (schema, name) in [
            (json!(true), "any"),
            (json!({}), "any"),
            (json!({"type": "number"}), "number"),
            (json!({"type": ["string", "null"]}), "string|null"),
            (json!({"type": "array", "items": {"type": "string"}}), "string[]"),
            (json!({"type": "array"}), "array"),
            (
                json!({"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "null"}]}}),
                "(number|null)[]",
            ),
            (json!({"type": "string", "enum": ["asc", "desc"]}), "\"asc\"|\"desc\""),
            (json!({"$ref": "#/$defs/Order", "$defs": {"Order": {}}}), "Order"),
            (json!({"const": 1}), "1"),
        ] {
            assert_eq!(type_name(&schema), name, "{schema}");
        }
        let long: Vec<String> = (0..30).map(|number| format!("value {number}")).collect();
        assert_eq!(type_name(&json!({"type": "string", "enum": long})), "string");
    }

    #[test]
    fn what_may_be_anything_has_no_types() {
        for schema in [
            json!(true),
            json!({}),
            json!({"anyOf": [{"type": "string"}, true]}),
            json!({"$ref": "http://elsewhere"}),
            json!({"$ref": "#"}),
            json!({"type": "unheard"}),
        ] {
            assert_eq!(Types::of(&schema), None, "{schema}");
        }
    }
}
