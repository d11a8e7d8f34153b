//! What the methods of an OpenRPC document share: references to parts of it, which mean nothing outside of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::signature::reference::{referred_name, step};
use crate::signature::room::Room;

const SCHEMAS: &str = "#/components/schemas/";
const DESCRIPTORS: &str = "#/components/contentDescriptors/";
/// Where a document, a method or a schema has definitions of its own.
const DEFINITIONS: [(&str, &str); 2] = [("$defs", "#/$defs/"), ("definitions", "#/definitions/")];

type Entries<'a> = BTreeMap<String, &'a RawValue>;

/// The components of a document.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Components<'a> {
    #[serde(borrow, default)]
    schemas: Entries<'a>,
    #[serde(borrow, default)]
    content_descriptors: Entries<'a>,
    /// What the document has beside them.
    #[serde(skip)]
    pub(super) definitions: Definitions<'a>,
}

/// Schemas to which others refer by `#/$defs/NAME` and `#/definitions/NAME`.
#[derive(Default)]
pub(super) struct Definitions<'a>([Entries<'a>; 2]);

#[derive(Deserialize)]
struct Reference {
    #[serde(rename = "$ref")]
    to: String,
}

/// What a reference leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The definitions of the method; which, and the name.
    Method(usize, String),
    /// Those of the document.
    Document(usize, String),
    /// A schema among the components.
    Component(String),
}

/// The references of one schema to what it shares with others.
struct References<'a, 's> {
    components: &'s Components<'a>,
    method: &'s Definitions<'a>,
    /// Names of the schema's own definitions.
    own: [Vec<String>; 2],
    /// What it will call those that it refers to.
    names: BTreeMap<Place, String>,
    /// These names, and those of the schema's own `$defs`.
    taken: BTreeSet<String>,
    /// What is to be copied, with its name.
    wanted: Vec<(Place, String)>,
}

/// Whether an entry refers to what it would be elsewhere.
pub(super) fn is_reference(entry: &RawValue) -> bool {
    // Methods are long, and parsing each of them twice is not worth it.
    entry.get().contains("\"$ref\"") && {
        let keys = serde_json::from_str::<BTreeMap<String, &RawValue>>(entry.get());
        keys.is_ok_and(|keys| keys.contains_key("$ref") && !keys.contains_key("name"))
    }
}

impl<'a> Definitions<'a> {
    /// By those two keys. What cannot be read there is nothing that methods need to be called.
    pub(super) fn read(texts: [Option<&'a RawValue>; 2]) -> Self {
        let read = |text: &'a RawValue| serde_json::from_str(text.get()).ok();
        Self(texts.map(|text| text.and_then(read).unwrap_or_default()))
    }
}

impl<'a> Components<'a> {
    /// The parameter or result that is meant, where it is a reference.
    pub(super) fn descriptor(&self, text: &'a RawValue) -> &'a RawValue {
        let reference = serde_json::from_str::<Reference>(text.get()).ok();
        let name = reference.as_ref().and_then(|it| it.to.strip_prefix(DESCRIPTORS));
        let name = name.and_then(referred_name);
        name.and_then(|name| self.content_descriptors.get(&name).copied()).unwrap_or(text)
    }

    /// The schema of a method with a copy of each shared one that it refers to, as `$defs` of its own.
    pub(super) fn complete(
        &self,
        method: &Definitions<'a>,
        mut schema: Value,
        room: &mut Room,
    ) -> Value {
        let own: [Vec<String>; 2] = DEFINITIONS.map(|(key, _)| {
            let own = schema.get(key).and_then(Value::as_object);
            own.map(|own| own.keys().cloned().collect()).unwrap_or_default()
        });
        let taken = own[0].iter().cloned().collect();
        let (names, wanted) = (BTreeMap::new(), Vec::new());
        let mut references = References { components: self, method, own, names, taken, wanted };
        references.localise(&mut schema, None);
        let mut copies = Map::new();
        while let Some((place, name)) = references.wanted.pop() {
            let text = references.text(&place);
            let mut copy = text.and_then(|text| room.read(text)).unwrap_or(Value::Bool(true));
            references.localise(&mut copy, Some(&place));
            copies.insert(name, copy);
        }
        if let (false, Some(schema)) = (copies.is_empty(), schema.as_object_mut()) {
            let own = schema.entry("$defs").or_insert_with(|| Value::Object(Map::new()));
            if let Some(own) = own.as_object_mut() {
                own.append(&mut copies);
            }
        }
        schema
    }
}

impl<'a> References<'a, '_> {
    fn text(&self, place: &Place) -> Option<&'a RawValue> {
        let (entries, name) = match place {
            Place::Method(which, name) => (self.method.0.get(*which)?, name),
            Place::Document(which, name) => (self.components.definitions.0.get(*which)?, name),
            Place::Component(name) => (&self.components.schemas, name),
        };
        entries.get(name).copied()
    }

    /// Makes references in what is at that place, or in the schema itself, ones to `$defs`, and notes what they lead
    /// to. No deeper than a value can be.
    fn localise(&mut self, value: &mut Value, at: Option<&Place>) {
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| self.localise(value, at)),
            Value::Object(entries) => {
                for (key, value) in entries.iter_mut() {
                    match value {
                        Value::String(to) if key == "$ref" => {
                            if let Some((place, rest)) = self.lead(to, at) {
                                *to = format!("#/$defs/{}{rest}", step(self.name(place)));
                            }
                        }
                        value => self.localise(value, at),
                    }
                }
            }
            _ => {}
        }
    }

    /// What a reference leads to, and the rest of its path, unless that is within the schema itself, or nothing.
    fn lead<'t>(&self, to: &'t str, at: Option<&Place>) -> Option<(Place, &'t str)> {
        if let Some(path) = to.strip_prefix(SCHEMAS) {
            let (name, rest) = named(path);
            return Some((Place::Component(name), rest));
        }
        let prefixes = DEFINITIONS.iter().enumerate();
        let (which, path) =
            prefixes.filter_map(|(which, (_, it))| Some((which, to.strip_prefix(it)?))).next()?;
        let (name, rest) = named(path);
        let is_own = at.is_none() && self.own.get(which).is_some_and(|own| own.contains(&name));
        let of_method = Place::Method(which, name.clone());
        let of_document = Place::Document(which, name);
        let is_there = |place: &Place| self.text(place).is_some();
        let place = match at {
            _ if is_own => None,
            None | Some(Place::Method(..)) if is_there(&of_method) => Some(of_method),
            _ => Some(of_document).filter(is_there),
        };
        Some((place?, rest))
    }

    /// What it is called among the definitions of the schema.
    fn name(&mut self, place: Place) -> &str {
        let (taken, wanted) = (&mut self.taken, &mut self.wanted);
        self.names.entry(place).or_insert_with_key(|place| {
            let name = match place {
                Place::Method(_, name) | Place::Document(_, name) | Place::Component(name) => name,
            };
            let mut free = name.clone();
            let mut number = 1;
            while !taken.insert(free.clone()) {
                number += 1;
                free = format!("{name}_{number}");
            }
            wanted.push((place.clone(), free.clone()));
            free
        })
    }
}

/// The name that a path begins with, and the rest of it.
fn named(path: &str) -> (String, &str) {
    let (name, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    (referred_name(name).unwrap_or_else(|| name.to_owned()), rest)
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
                    {"$ref": "#/components/contentDescriptors/Wh%6F"},
                    {"name": "b", "schema": {"$ref": "#/components/schemas/None"}},
                    {"name": "c", "schema": {"type": "integer"}},
                    {"name": "d", "schema": {"$ref": "#/components/schemas/D~1E%20F/items"}},
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
                    "D/E F": {"items": {"type": "string"}},
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
        assert_eq!(inner.schema["$ref"], "#/$defs/D~1E%20F/items");
        assert_eq!(inner.schema["$defs"], json!({"D/E F": {"items": {"type": "string"}}}));
    }

    #[test]
    fn definitions_of_a_method_and_of_the_document_are_put_where_they_are_used_too() {
        let schema = |schema: serde_json::Value| json!({"name": "p", "schema": schema});
        let document = json!({
            "$defs": {"A": {"title": "of the document", "items": {"$ref": "#/$defs/B"}}, "B": {"title": "there"}},
            "definitions": {"Old": {"type": "null"}},
            "methods": [{
                "name": "m",
                "$defs": {"B": {"title": "of the method", "not": {"$ref": "#/$defs/A"}}},
                "params": [
                    schema(json!({"$ref": "#/$defs/B"})),
                    schema(json!({"$ref": "#/$defs/B", "$defs": {"B": {"title": "its own"}}})),
                    schema(json!({"$ref": "#/definitions/Old/type"})),
                    schema(json!({"$ref": "#/definitions/B"})),
                ],
                "result": {"schema": {"allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A_": true, "B": true}}},
            }],
        });
        let method = &from_openrpc(&document.to_string()).unwrap()[0];
        let schemas: Vec<_> = method.parameters.iter().map(|it| it.schema.clone()).collect();
        let a = json!({"title": "of the document", "items": {"$ref": "#/$defs/B_2"}});
        let b = json!({"title": "of the method", "not": {"$ref": "#/$defs/A"}});
        assert_eq!(
            schemas,
            [
                json!({"$ref": "#/$defs/B", "$defs": {"A": a, "B": b, "B_2": {"title": "there"}}}),
                json!({"$ref": "#/$defs/B", "$defs": {"B": {"title": "its own"}}}),
                json!({"$ref": "#/$defs/Old/type", "$defs": {"Old": {"type": "null"}}}),
                json!({"$ref": "#/definitions/B"}),
            ]
        );
        let definitions = json!({"A": a, "A_": true, "B": true, "B_2": {"title": "there"}});
        assert_eq!(method.result.as_ref().unwrap()["$defs"], definitions);
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
