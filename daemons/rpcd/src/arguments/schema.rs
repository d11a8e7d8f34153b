//! The type of a JSON Schema as it is named to people.

use rpc_wire::signature::referred_name;
use serde_json::Value;

/// Parts of a schema that are followed; one may contain itself.
const DEPTH: usize = 8;
/// Characters of the values of an `enum` that stand for its type.
const ENUM: usize = 40;

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
        let name = name.rsplit('/').next().unwrap_or(name);
        return referred_name(name).unwrap_or_else(|| name.to_owned());
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
            (json!({"$ref": "#/$defs/An%20Order~1Line"}), "An Order/Line"),
            (json!({"const": 1}), "1"),
        ] {
            assert_eq!(type_name(&schema), name, "{schema}");
        }
        let long: Vec<String> = (0..30).map(|number| format!("value {number}")).collect();
        assert_eq!(type_name(&json!({"type": "string", "enum": long})), "string");
    }
}
