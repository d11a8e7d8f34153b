//! The schemas of a tool: a method's parameters as one object, and its result.

use rpc_wire::signature::{Parameter, Signature};
use serde_json::{Map, Value, json};

const DEFINITIONS: &str = "$defs";

/// The schema of all arguments.
pub(crate) fn input(parameters: &[Parameter]) -> Value {
    let mut definitions = Map::new();
    let properties: Map<String, Value> = parameters
        .iter()
        .map(|parameter| {
            let mut schema = embedded(&parameter.schema, &mut definitions);
            if !parameter.description().is_empty() {
                schema.insert("description".to_owned(), json!(parameter.description()));
            }
            if let Some(default) = &parameter.default {
                schema.insert("default".to_owned(), default.clone());
            }
            (parameter.name.clone(), Value::Object(schema))
        })
        .collect();
    let required: Vec<&str> =
        parameters.iter().filter(|it| it.is_required()).map(|it| it.name.as_str()).collect();
    let mut schema =
        json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    with(schema, definitions)
}

/// The schema of the result, where it is known: of a stream, that of all items.
pub(crate) fn output(signature: &Signature) -> Option<Value> {
    let result = signature.result.as_ref().filter(|schema| schema.is_object());
    if signature.stream {
        let mut definitions = Map::new();
        let items = result.map(|schema| embedded(schema, &mut definitions)).unwrap_or_default();
        return Some(with(json!({"type": "array", "items": items}), definitions));
    }
    let mut definitions = Map::new();
    let schema = embedded(result?, &mut definitions);
    (!schema.is_empty()).then(|| with(Value::Object(schema), definitions))
}

/// The same for versions in which each result is an object.
pub(crate) fn wrapped(output: &Value) -> Value {
    let mut definitions = Map::new();
    let result = embedded(output, &mut definitions);
    let schema =
        json!({"type": "object", "properties": {"result": result}, "required": ["result"]});
    with(schema, definitions)
}

/// Whether every value of that schema is an object.
pub(crate) fn is_of_objects(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("object")
}

fn with(mut schema: Value, definitions: Map<String, Value>) -> Value {
    if !definitions.is_empty() {
        schema[DEFINITIONS] = Value::Object(definitions);
    }
    schema
}

/// A schema as part of another one, with its definitions moved to that one's. One that refers to anything
/// else, by which clients would reject the whole list, is cut down to its type.
fn embedded(schema: &Value, definitions: &mut Map<String, Value>) -> Map<String, Value> {
    let Value::Object(schema) = schema else { return Map::new() };
    let mut schema = schema.clone();
    schema.remove("$schema");
    let own = match schema.remove(DEFINITIONS) {
        Some(Value::Object(own)) => own,
        _ => Map::new(),
    };
    let is_closed = own.values().all(|value| is_closed(value, &own))
        && schema.values().all(|value| is_closed(value, &own))
        && !schema.contains_key("x-mcp-header")
        && refers_well(&schema, &own);
    let differs = |(name, value): (&String, &Value)| {
        definitions.get(name).is_some_and(|known| known != value)
    };
    if !is_closed || own.iter().any(differs) {
        schema.retain(|key, value| {
            ["type", "title", "description"].contains(&key.as_str()) && value.is_string()
        });
        return schema;
    }
    definitions.extend(own);
    schema
}

/// Whether each reference in it is to one of `own`, and nothing has a meaning that depends on where it is.
fn is_closed(value: &Value, own: &Map<String, Value>) -> bool {
    match value {
        Value::Object(object) => {
            refers_well(object, own) && object.values().all(|value| is_closed(value, own))
        }
        Value::Array(values) => values.iter().all(|value| is_closed(value, own)),
        _ => true,
    }
}

fn refers_well(object: &Map<String, Value>, own: &Map<String, Value>) -> bool {
    /// Names for parts of a schema, and the headers that clients make from arguments.
    const ELSEWHERE: [&str; 6] =
        ["$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$defs", "x-mcp-header"];
    let to = |reference: &Value| {
        let name = reference.as_str().and_then(|to| to.strip_prefix("#/$defs/"));
        name.is_some_and(|name| own.contains_key(name))
    };
    object.get("$ref").is_none_or(to) && !ELSEWHERE.iter().any(|key| object.contains_key(*key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_the_properties_of_one_object() {
        let mut first = Parameter::required("a", json!({"type": "integer"}));
        first.doc = "Of a.".to_owned();
        let second = Parameter::optional("b", json!(true), json!([1]));
        assert_eq!(
            input(&[first, second]),
            json!({
                "type": "object",
                "properties": {"a": {"type": "integer", "description": "Of a."}, "b": {"default": [1]}},
                "required": ["a"],
                "additionalProperties": false,
            })
        );
        assert_eq!(
            input(&[]),
            json!({"type": "object", "properties": {}, "additionalProperties": false})
        );
    }

    #[test]
    fn definitions_move_to_the_top_and_references_still_find_them() {
        let point = json!({"$ref": "#/$defs/Point", "$defs": {"Point": {"type": "object"}}});
        let both = [Parameter::required("a", point.clone()), Parameter::required("b", point)];
        let schema = input(&both);
        assert_eq!(schema["properties"]["b"], json!({"$ref": "#/$defs/Point"}));
        assert_eq!(schema["$defs"], json!({"Point": {"type": "object"}}));
        let signature = Signature { result: Some(both[0].schema.clone()), ..Signature::default() };
        let wrapped = wrapped(&output(&signature).unwrap());
        assert_eq!(wrapped["properties"]["result"], json!({"$ref": "#/$defs/Point"}));
        assert_eq!(wrapped["$defs"], json!({"Point": {"type": "object"}}));
    }

    #[test]
    fn a_schema_that_depends_on_where_it_is_is_cut_down_to_its_type() {
        let cut =
            |schema: Value| input(&[Parameter::required("a", schema)])["properties"]["a"].clone();
        for schema in [
            json!({"type": "object", "properties": {"x": {"$ref": "#/components/X"}}}),
            json!({"type": "object", "properties": {"x": {"$ref": "http://elsewhere"}}}),
            json!({"type": "object", "properties": {"x": {"$ref": "#/$defs/Missing"}}}),
            json!({"type": "object", "$id": "a"}),
            json!({"type": "object", "properties": {"x": {"x-mcp-header": "X"}}}),
            json!({"type": "object", "$defs": {"A": {"$ref": "#"}}}),
        ] {
            assert_eq!(cut(schema.clone()), json!({"type": "object"}), "{schema}");
        }
        // Two of one name: the second is cut.
        let named = |kind: &str| json!({"type": "object", "allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"type": kind}}});
        let schema = input(&[
            Parameter::required("a", named("object")),
            Parameter::required("b", named("string")),
        ]);
        assert_eq!(schema["properties"]["b"], json!({"type": "object"}));
        assert_eq!(schema["$defs"], json!({"A": {"type": "object"}}));
    }

    #[test]
    fn a_result_of_unknown_type_has_no_schema_and_a_stream_is_a_list() {
        let output = |result: Option<Value>, stream| {
            output(&Signature { result, stream, ..Signature::default() })
        };
        assert_eq!(output(None, false), None);
        assert_eq!(output(Some(json!(true)), false), None);
        assert_eq!(output(Some(json!({"type": "string"})), false), Some(json!({"type": "string"})));
        assert_eq!(
            output(Some(json!({"type": "string"})), true),
            Some(json!({"type": "array", "items": {"type": "string"}}))
        );
    }
}
