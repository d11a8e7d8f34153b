//! The types that a JSON Schema allows, as far as they decide how a word is read.

use std::fmt;

use serde_json::Value;

use crate::signature::referred;

/// References that are followed; a schema may refer to itself.
const DEPTH: usize = 8;

/// The types that a schema allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Types {
    /// `string`.
    pub(super) string: bool,
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
    pub(super) fn include(self, text: &str) -> bool {
        match text.as_bytes().first() {
            Some(b'"') => self.string,
            Some(b'{') => self.object,
            Some(b'[') => self.array,
            Some(b't' | b'f') => self.boolean,
            Some(b'n') => self.null,
            _ => self.number || self.integer && !text.contains(['.', 'e', 'E']),
        }
    }

    /// Whether a result is of one of them, as its JSON has it: validators take `3.0` for an integer.
    pub fn include_result(self, json: &str) -> bool {
        let is_whole = || json.parse::<f64>().is_ok_and(|number| number.fract() == 0.0);
        self.include(json) || self.integer && is_whole()
    }

    /// Adds what `schema` allows; `None`: anything.
    fn add(&mut self, schema: &Value, root: &Value, depth: usize) -> Option<()> {
        let object = schema.as_object()?;
        let depth = depth.checked_sub(1)?;
        if let Some(to) = object.get("$ref") {
            return self.add(referred(root, to.as_str()?)?, root, depth);
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
