//! The method list as an OpenAPI document.

use serde_json::{Map, Value, json};

use super::{Parameter, SharedSchemas, Signature};
use crate::paths;

/// The OpenAPI 3.1 document: what `POST /call/METHOD` takes and returns, method by method.
pub fn to_openapi<'a>(
    title: &str,
    version: &str,
    signatures: impl IntoIterator<Item = &'a Signature>,
) -> Value {
    let mut components = SharedSchemas::at("#/components/schemas/");
    components.insert("Problem", problem());
    let paths: Map<String, Value> = signatures
        .into_iter()
        .map(|signature| {
            let path = format!("{}{}", paths::CALL, signature.name);
            (path, json!({ "post": operation(signature, &mut components) }))
        })
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {
            "schemas": components.into_schemas(),
            "responses": {"Failed": {
                "description": "The call failed, or was not made.",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    })
}

fn operation(signature: &Signature, components: &mut SharedSchemas) -> Value {
    let name = &signature.name;
    let result = signature.result.as_ref();
    let result = result.map(|schema| components.embed(&format!("{name}.result"), schema));
    let result = result.unwrap_or(Value::Bool(true));
    let schemas: Vec<Value> = signature
        .parameters
        .iter()
        .map(|parameter| described(parameter, name, components))
        .collect();
    let (description, content) = match signature.stream {
        true => (
            "The items, one per line or event.",
            json!({"application/x-ndjson": {"schema": result}, "text/event-stream": {"schema": result}}),
        ),
        false => ("The result.", json!({"application/json": {"schema": result}})),
    };
    let required = signature.parameters.iter().any(Parameter::is_required);
    let mut operation = json!({
        "operationId": signature.name,
        "parameters": [{
            "name": "Timeout", "in": "header", "description": "Seconds until the deadline.",
            "schema": {"type": "number", "minimum": 0.001},
        }],
        "requestBody": {
            "required": required,
            "content": {"application/json": {"schema": {"anyOf": [by_name(signature, &schemas), by_position(signature, schemas)]}}},
        },
        "responses": {
            "200": {"description": description, "content": content},
            "default": {"$ref": "#/components/responses/Failed"},
        },
    });
    if let Some(summary) = signature.doc.lines().next() {
        operation["summary"] = json!(summary);
        operation["description"] = json!(signature.doc);
    }
    if signature.deprecated {
        operation["deprecated"] = json!(true);
    }
    operation
}

fn by_name(signature: &Signature, schemas: &[Value]) -> Value {
    let names = signature.parameters.iter().map(|parameter| parameter.name.clone());
    let properties: Map<String, Value> = names.zip(schemas.iter().cloned()).collect();
    let required: Vec<&str> = signature
        .parameters
        .iter()
        .filter(|parameter| parameter.is_required())
        .map(|parameter| parameter.name.as_str())
        .collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn by_position(signature: &Signature, schemas: Vec<Value>) -> Value {
    let required = signature.parameters.iter().filter(|parameter| parameter.is_required()).count();
    let mut schema = json!({"type": "array", "minItems": required, "items": false});
    // An empty list is no list of schemas.
    if !schemas.is_empty() {
        schema["prefixItems"] = Value::Array(schemas);
    }
    schema
}

/// The schema of a method's parameter, with its documentation and default.
fn described(parameter: &Parameter, method: &str, components: &mut SharedSchemas) -> Value {
    let name = format!("{method}.{}", parameter.name);
    let mut schema = match components.embed(&name, &parameter.schema) {
        Value::Object(schema) => schema,
        _ => Map::new(),
    };
    if !parameter.doc.is_empty() {
        schema.insert("description".to_owned(), json!(parameter.doc));
    }
    if let Some(default) = &parameter.default {
        schema.insert("default".to_owned(), default.clone());
    }
    Value::Object(schema)
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457).",
        "properties": {
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "integer", "description": "The code of the error in the other dialects."},
            "retryable": {"type": "boolean", "description": "Another instance may take the call."},
            "data": {},
        },
        "required": ["title", "status", "detail", "code", "retryable"],
    })
}
