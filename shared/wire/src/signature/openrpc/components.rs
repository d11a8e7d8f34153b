//! What the methods of an OpenRPC document share: references into its `components`, which mean nothing outside of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::signature::room::Room;

const SCHEMAS: &str = "#/components/schemas/";
const DESCRIPTORS: &str = "#/components/contentDescriptors/";

/// The components of a document.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Components<'a> {
    #[serde(borrow, default)]
    schemas: BTreeMap<String, &'a RawValue>,
    #[serde(borrow, default)]
    content_descriptors: BTreeMap<String, &'a RawValue>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(rename = "$ref")]
    to: String,
}

/// Whether an entry refers to what it would be elsewhere.
pub(super) fn is_reference(entry: &RawValue) -> bool {
    // Methods are long, and parsing each of them twice is not worth it.
    entry.get().contains("\"$ref\"") && {
        let keys = serde_json::from_str::<BTreeMap<String, &RawValue>>(entry.get());
        keys.is_ok_and(|keys| keys.contains_key("$ref") && !keys.contains_key("name"))
    }
}

impl<'a> Components<'a> {
    /// The parameter or result that is meant, where it is a reference.
    pub(super) fn descriptor(&self, text: &'a RawValue) -> &'a RawValue {
        let reference = serde_json::from_str::<Reference>(text.get()).ok();
        let name = reference.as_ref().and_then(|it| it.to.strip_prefix(DESCRIPTORS));
        name.and_then(|name| self.content_descriptors.get(name).copied()).unwrap_or(text)
    }

    /// The schema with a copy of each shared one that it refers to, as `$defs` of its own.
    pub(super) fn complete(&self, mut schema: Value, room: &mut Room) -> Value {
        let mut wanted = Vec::new();
        localise(&mut schema, &mut wanted);
        let mut defs = Map::new();
        while let Some(name) = wanted.pop() {
            if defs.contains_key(&name) {
                continue;
            }
            let shared = self.schemas.get(&name).and_then(|text| room.read::<Value>(text));
            let mut shared = shared.unwrap_or(Value::Bool(true));
            localise(&mut shared, &mut wanted);
            defs.insert(name, shared);
        }
        if let (false, Some(schema)) = (defs.is_empty(), schema.as_object_mut()) {
            let own = schema.entry("$defs").or_insert_with(|| Value::Object(Map::new()));
            if let Some(own) = own.as_object_mut() {
                defs.append(own);
                *own = defs;
            }
        }
        schema
    }
}

/// Makes references to shared schemas ones to `$defs`, and notes their names. No deeper than a value can be.
fn localise(value: &mut Value, wanted: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| localise(value, wanted)),
        Value::Object(entries) => {
            for (key, value) in entries.iter_mut() {
                match value {
                    Value::String(to) if key == "$ref" => {
                        if let Some(path) = to.strip_prefix(SCHEMAS) {
                            let name = path.split('/').next().unwrap_or_default();
                            wanted.push(name.replace("~1", "/").replace("~0", "~"));
                            *to = format!("#/$defs/{path}");
                        }
                    }
                    value => localise(value, wanted),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::signature::{MAX_MEMORY, from_openrpc};

    #[test]
    fn what_methods_share_is_put_where_it_is_used_with_all_that_it_refers_to() {
        let document = json!({
            "methods": [{
                "name": "m",
                "params": [
                    {"$ref": "#/components/contentDescriptors/Who"},
                    {"name": "b", "schema": {"$ref": "#/components/schemas/None"}},
                    {"name": "c", "schema": {"type": "integer"}},
                    {"name": "d", "schema": {"$ref": "#/components/schemas/D~1E/items"}},
                ],
                "result": {"$ref": "#/components/contentDescriptors/Who"},
            }],
            "components": {
                "contentDescriptors": {
                    "Who": {"name": "who", "required": true, "schema": {"$ref": "#/components/schemas/A"}},
                },
                "schemas": {
                    "A": {"properties": {"b": {"$ref": "#/components/schemas/B"}}},
                    "B": {"anyOf": [{"$ref": "#/components/schemas/A"}, {"type": "null"}]},
                    "C": {"type": "string"},
                    "D/E": {"items": {"type": "string"}},
                },
            },
        });
        let method = &from_openrpc(&document.to_string()).unwrap()[0];
        let [who, missing, plain, inner] = &method.parameters[..] else { panic!("{method:?}") };
        let schema = json!({
            "$ref": "#/$defs/A",
            "$defs": {
                "A": {"properties": {"b": {"$ref": "#/$defs/B"}}},
                "B": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]},
            },
        });
        assert_eq!((who.name.as_str(), who.required, &who.schema), ("who", true, &schema));
        assert_eq!(missing.schema, json!({"$ref": "#/$defs/None", "$defs": {"None": true}}));
        assert_eq!(plain.schema, json!({"type": "integer"}));
        assert_eq!(method.result, Some(schema));
        assert_eq!(inner.schema["$ref"], "#/$defs/D~1E/items");
        assert_eq!(inner.schema["$defs"], json!({"D/E": {"items": {"type": "string"}}}));
    }

    #[test]
    fn shared_schemas_take_a_bounded_amount_of_memory_however_often_they_are_used() {
        let shared = json!({"enum": vec![json!({"a": 0}); 1000]});
        let memory = crate::json::memory_of_value(&shared.to_string());
        let method = json!({"name": "m", "params": [
            {"name": "p", "schema": {"$ref": "#/components/schemas/S"}},
        ]});
        let count = 2 * MAX_MEMORY / memory;
        let document =
            json!({"methods": vec![method; count], "components": {"schemas": {"S": shared}}});
        let read = from_openrpc(&document.to_string()).unwrap();
        let with_schema = read
            .iter()
            .filter(|method| method.parameters[0].schema["$defs"]["S"] == shared)
            .count();
        assert!(read.len() == count && with_schema <= MAX_MEMORY / memory, "{with_schema}");
    }
}
