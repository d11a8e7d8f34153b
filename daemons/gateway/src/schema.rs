//! The schemas of a tool: a method's parameters as one object, and its result.

use rpc_wire::signature::{Parameter, SharedSchemas, Signature};
use serde_json::{Map, Value, json};

const DEFINITIONS: &str = "$defs";
/// What references to them begin with.
const PLACE: &str = "#/$defs/";
/// What a result is called where it needs a name.
const RESULT: &str = "result";

/// The schema of all arguments.
pub(crate) fn input(parameters: &[Parameter]) -> Value {
    let mut shared = SharedSchemas::at(PLACE);
    let properties: Map<String, Value> = parameters
        .iter()
        .map(|parameter| {
            let schema = shared.embed(&parameter.name, &usable(&parameter.schema));
            let Value::Object(mut schema) = schema else { return (parameter.name.clone(), schema) };
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
    with(schema, shared)
}

/// The schema of the result, where it is known: of a stream, that of all items.
pub(crate) fn output(signature: &Signature) -> Option<Value> {
    let result = signature.result.as_ref().filter(|schema| schema.is_object());
    let mut shared = SharedSchemas::at(PLACE);
    let mut embed = |schema| shared.embed(RESULT, &usable(schema));
    if signature.stream {
        let items = result.map_or_else(|| json!({}), embed);
        return Some(with(json!({"type": "array", "items": items}), shared));
    }
    let mut schema = embed(result?);
    // Some look only there.
    if let Some(kind) =
        result?.get("type").filter(|it| it.is_string() && schema.get("$ref").is_some())
    {
        schema["type"] = kind.clone();
    }
    (schema != json!({})).then(|| with(schema, shared))
}

/// The same for versions in which each result is an object.
pub(crate) fn wrapped(output: &Value) -> Value {
    let mut shared = SharedSchemas::at(PLACE);
    let result = shared.embed(RESULT, output);
    let schema = json!({"type": "object", "properties": {RESULT: result}, "required": [RESULT]});
    with(schema, shared)
}

/// Whether every value of that schema is an object.
pub(crate) fn is_of_objects(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("object")
}

fn with(mut schema: Value, shared: SharedSchemas) -> Value {
    let definitions = shared.into_schemas();
    if !definitions.is_empty() {
        schema[DEFINITIONS] = Value::Object(definitions);
    }
    schema
}

/// What any client takes of a schema. One that says where it is, or refers to elsewhere, by which clients would
/// reject the whole list, is cut down to its type.
fn usable(schema: &Value) -> Value {
    let Value::Object(schema) = schema else { return json!({}) };
    let mut schema = schema.clone();
    schema.remove("$schema");
    if !schema.iter().all(|(key, value)| is_usable(key, value)) {
        schema.retain(|key, value| {
            ["type", "title", "description"].contains(&key.as_str()) && value.is_string()
        });
    }
    Value::Object(schema)
}

fn is_usable(key: &str, value: &Value) -> bool {
    /// Names for parts of a schema, and the headers that clients make from arguments.
    const ELSEWHERE: [&str; 5] =
        ["$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "x-mcp-header"];
    !ELSEWHERE.contains(&key)
        && (key != "$ref" || value.as_str().is_some_and(|to| to.starts_with('#')))
        && match value {
            Value::Object(object) => object.iter().all(|(key, value)| is_usable(key, value)),
            Value::Array(values) => values.iter().all(|value| is_usable("", value)),
            _ => true,
        }
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
            json!({"type": "object", "properties": {"x": {"$ref": "http://elsewhere"}}}),
            json!({"type": "object", "properties": {"x": {"$ref": 1}}}),
            json!({"type": "object", "$id": "a"}),
            json!({"type": "object", "properties": {"x": {"x-mcp-header": "X"}}}),
            json!({"type": "object", "$defs": {"A": {"items": [{"$anchor": "b"}]}}}),
        ] {
            assert_eq!(cut(schema.clone()), json!({"type": "object"}), "{schema}");
        }
    }

    #[test]
    fn what_a_schema_refers_to_within_itself_is_carried_over() {
        let tree = json!({"type": "object", "properties": {"child": {"$ref": "#"}, "x": {"$ref": "#/no"}}});
        let older = json!({"$ref": "#/definitions/A/items", "definitions": {"A": {"items": {}}}});
        let newer = json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}});
        let parameters = [("tree", &tree), ("older", &older), ("newer", &newer)];
        let schema = input(&parameters.map(|(name, it)| Parameter::required(name, it.clone())));
        assert_eq!(
            schema["properties"],
            json!({
                "tree": {"$ref": "#/$defs/tree"},
                "older": {"$ref": "#/$defs/A/items"},
                "newer": {"$ref": "#/$defs/A_2"},
            })
        );
        let whole = json!({"child": {"$ref": "#/$defs/tree"}, "x": {}});
        assert_eq!(
            schema["$defs"],
            json!({
                "A": {"items": {}},
                "A_2": {"type": "string"},
                "tree": {"type": "object", "properties": whole},
            })
        );
        let output = output(&Signature { result: Some(tree), ..Signature::default() }).unwrap();
        assert!(is_of_objects(&output) && output["$ref"] == "#/$defs/result", "{output}");
    }

    #[test]
    fn any_schema_becomes_one_whose_references_lead_to_schemas_within_it() {
        fn check(part: &Value, whole: &Value) {
            match part {
                Value::Array(values) => values.iter().for_each(|value| check(value, whole)),
                Value::Object(object) => {
                    if let Some(to) = object.get("$ref").and_then(Value::as_str) {
                        let target = whole.pointer(to.strip_prefix('#').unwrap());
                        assert!(
                            target.is_some_and(|it| it.is_object() || it.is_boolean()),
                            "{whole}"
                        );
                    }
                    object.values().for_each(|value| check(value, whole));
                }
                _ => {}
            }
        }
        rpc_fuzz::text("schema", |text| {
            let Ok(schema) = serde_json::from_str::<Value>(text) else { return };
            let twice = ["a", "A"].map(|name| Parameter::required(name, schema.clone()));
            let output = output(&Signature { result: Some(schema), ..Signature::default() });
            for schema in
                [Some(input(&twice)), output.as_ref().map(wrapped), output].iter().flatten()
            {
                check(schema, schema);
            }
        });
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
