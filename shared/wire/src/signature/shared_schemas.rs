//! Schemas as parts of one document: what they refer to within themselves is at one place of it, for all of them.

use std::cell::Cell;
use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::reference::{referred, referred_name};

/// Where a schema has its definitions: as today, and before 2019.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];
/// Sets of other schemas of the same names that are compared.
const COMPARED: usize = 16;
/// Parts of a schema that are looked at for what leads back to itself: some have as many ways as their square.
const VISITS: usize = 100_000;

/// Schemas that those of a document refer to, at one place of it.
#[derive(Debug)]
pub struct SharedSchemas {
    /// What references to them begin with.
    place: &'static str,
    schemas: Map<String, Value>,
    /// The same with the references that they had.
    originals: Map<String, Value>,
    /// How many sets of the same names there are.
    sets: usize,
}

/// The references of one schema, and what they are in the document.
struct References<'a> {
    root: &'a Value,
    place: &'static str,
    /// Where its definitions are.
    key: &'static str,
    /// The shared schema that the whole schema is.
    whole: &'a str,
    /// Which shared ones of their names the schema's own are.
    number: usize,
    /// How many parts of it may still be looked at.
    visits: Cell<usize>,
}

impl SharedSchemas {
    /// Such ones whose references begin with `place`, such as `#/$defs/`.
    pub fn at(place: &'static str) -> Self {
        Self { place, schemas: Map::new(), originals: Map::new(), sets: 0 }
    }

    /// One that the document has of its own.
    pub fn insert(&mut self, name: &str, schema: Value) {
        self.originals.insert(name.to_owned(), schema.clone());
        self.schemas.insert(name.to_owned(), schema);
    }

    /// All of them.
    pub fn into_schemas(self) -> Map<String, Value> {
        self.schemas
    }

    /// The schema as it is at any place of the document. Its definitions are shared, and so is it itself, by
    /// that name, where it refers to another part of itself.
    pub fn embed(&mut self, name: &str, schema: &Value) -> Value {
        let definitions = |key: &'static str| Some((key, schema.get(key)?.as_object()?));
        let (key, definitions) = DEFINITIONS.into_iter().find_map(definitions).unzip();
        let key = key.unwrap_or_default();
        let is_whole = refers_to_itself(schema, key);
        let mut parts: Vec<_> =
            definitions.into_iter().flatten().map(|(name, part)| (name.as_str(), part)).collect();
        let mut whole = shared_name(name, 1);
        while parts.iter().any(|(name, _)| shared_name(name, 1) == whole) {
            whole.push('_');
        }
        parts.extend(is_whole.then_some((&*whole, schema)));
        // Other schemas of these names may be those of another service.
        let is_free = |number: &usize| {
            let known = |name| self.originals.get(&shared_name(name, *number));
            parts.iter().all(|(name, part)| known(name).is_none_or(|known| known == *part))
        };
        let mut numbers = (1..=self.sets.min(COMPARED)).chain(self.sets + 1..);
        let number = numbers.find(is_free).unwrap_or_default();
        self.sets = self.sets.max(number);
        let (root, place, visits) = (schema, self.place, VISITS.into());
        let references = References { root, place, key, whole: &whole, number, visits };
        for (name, part) in parts {
            let name = shared_name(name, number);
            if !self.originals.contains_key(&name) {
                self.originals.insert(name.clone(), part.clone());
                self.schemas.insert(name, references.resolved(part));
            }
        }
        match is_whole {
            true => json!({ "$ref": references.to_shared(&whole, "") }),
            false => references.resolved(schema),
        }
    }
}

impl References<'_> {
    /// That part of the schema, with references that mean the same in the document. What refers to nothing, or to
    /// nothing but itself, may be anything.
    fn resolved(&self, part: &Value) -> Value {
        match part {
            Value::Array(values) => values.iter().map(|value| self.resolved(value)).collect(),
            Value::Object(object) => {
                let is_root = std::ptr::eq(part, self.root);
                let entries = object.iter().filter(|(key, _)| !(is_root && *key == self.key));
                let entry = |(key, value): (&String, &Value)| {
                    let value = match local(key, value) {
                        Some(reference) => self.in_document(part, reference)?.into(),
                        None => self.resolved(value),
                    };
                    Some((key.clone(), value))
                };
                Value::Object(entries.filter_map(entry).collect())
            }
            other => other.clone(),
        }
    }

    fn in_document(&self, part: &Value, reference: &str) -> Option<String> {
        let is_schema = |it: &&Value| it.is_object() || it.is_boolean();
        let is_definitions = is_to_definitions(reference, self.key);
        let to = referred(self.root, reference).filter(|it| is_schema(it) && !is_definitions)?;
        if self.leads_to(part, to) {
            return None;
        }
        Some(match definition(reference, self.key) {
            Some((name, rest)) => self.to_shared(&name, rest),
            None => self.to_shared(self.whole, reference.strip_prefix('#')?),
        })
    }

    /// Whether who follows references from there comes to that part, all of which a value must fit: there is no end
    /// to it. That is also said of what leads too far.
    fn leads_to(&self, part: &Value, from: &Value) -> bool {
        let (mut next, mut seen) = (vec![from], HashSet::new());
        while let Some(at) = next.pop() {
            if std::ptr::eq(at, part) {
                return true;
            }
            if !seen.insert(std::ptr::from_ref(at)) {
                continue;
            }
            let all = at.get("allOf").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let Some(left) = self.visits.get().checked_sub(all.len() + 1) else { return true };
            self.visits.set(left);
            next.extend(all);
            let reference = at.get("$ref").and_then(Value::as_str);
            next.extend(reference.and_then(|reference| referred(self.root, reference)));
        }
        false
    }

    fn to_shared(&self, name: &str, rest: &str) -> String {
        format!("{}{}{rest}", self.place, shared_name(name, self.number))
    }
}

/// The reference to a part of the same schema that an entry is.
fn local<'a>(key: &str, value: &'a Value) -> Option<&'a str> {
    value.as_str().filter(|to| key == "$ref" && to.starts_with('#'))
}

/// The definition that a reference leads to, and the rest of its path.
fn definition<'a>(reference: &'a str, key: &str) -> Option<(String, &'a str)> {
    let at = reference.get(2..)?.find('/')? + 2;
    let (definitions, path) = (reference.get(..at)?, reference.get(at + 1..)?);
    if !is_to_definitions(definitions, key) {
        return None;
    }
    let (name, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    Some((referred_name(name)?, rest))
}

/// Whether it is a reference to all definitions, which are under this key; none are under an empty one.
fn is_to_definitions(reference: &str, key: &str) -> bool {
    let name = reference.strip_prefix("#/").and_then(referred_name);
    !key.is_empty() && name.as_deref() == Some(key)
}

/// Whether a schema refers to a part of itself that is no definition.
fn refers_to_itself(schema: &Value, definitions: &str) -> bool {
    match schema {
        Value::Array(values) => values.iter().any(|value| refers_to_itself(value, definitions)),
        Value::Object(object) => object.iter().any(|(key, value)| match local(key, value) {
            Some(reference) => definition(reference, definitions).is_none(),
            None => refers_to_itself(value, definitions),
        }),
        _ => false,
    }
}

/// The name of a shared schema: OpenAPI documents allow few characters.
fn shared_name(name: &str, number: usize) -> String {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = name.chars().map(|c| if is_usual(c) { c } else { '_' }).collect();
    if number < 2 { name } else { format!("{name}_{number}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "#/components/schemas/";

    #[test]
    fn definitions_are_shared() {
        let money = json!({"$ref": "#/$defs/Mo~1ney", "$defs": {
            "Mo/ney": {"properties": {"currency": {"$ref": "#/$defs/Currency"}}},
            "Currency": {"enum": ["EUR"]},
        }});
        let list = json!({"items": {"$ref": "#/$defs/Currency/x"}, "not": {"$ref": "#/$defs/Currency/enum"}, "$defs": {
            "Currency": {"enum": ["EUR"]},
        }});
        let mut shared = SharedSchemas::at(PLACE);
        assert_eq!(shared.embed("a", &money), json!({"$ref": "#/components/schemas/Mo_ney"}));
        assert_eq!(shared.embed("a", &list), json!({"items": {}, "not": {}}), "no schema is there");
        assert_eq!(
            Value::Object(shared.into_schemas()),
            json!({
                "Mo_ney": {"properties": {"currency": {"$ref": "#/components/schemas/Currency"}}},
                "Currency": {"enum": ["EUR"]},
            })
        );
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_shared() {
        let tree = json!({"properties": {
            "child": {"$ref": "#"},
            "other": {"$ref": "#/properties/child"},
            "elsewhere": {"$ref": "https://example.com/schema"},
            "leaf": {"$ref": "#/$defs/Leaf"},
        }, "$defs": {"Leaf": {"type": "string"}}});
        let mut shared = SharedSchemas::at(PLACE);
        let place = "#/components/schemas/plant.tree";
        assert_eq!(shared.embed("plant.tree", &tree), json!({ "$ref": place }));
        let schemas = shared.into_schemas();
        assert_eq!(
            schemas["plant.tree"],
            json!({"properties": {
                "child": {"$ref": place},
                "other": {"$ref": format!("{place}/properties/child")},
                "elsewhere": {"$ref": "https://example.com/schema"},
                "leaf": {"$ref": "#/components/schemas/Leaf"},
            }})
        );
        assert_eq!(schemas["Leaf"], json!({"type": "string"}));
    }

    #[test]
    fn definitions_of_older_schemas_are_shared_too() {
        let older =
            json!({"items": {"$ref": "#/definitions/A"}, "definitions": {"A": {"type": "null"}}});
        let mut shared = SharedSchemas::at("#/$defs/");
        assert_eq!(shared.embed("a", &older), json!({"items": {"$ref": "#/$defs/A"}}));
        assert_eq!(Value::Object(shared.into_schemas()), json!({"A": {"type": "null"}}));
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_none_of_its_definitions() {
        let tree = json!({"properties": {"child": {"$ref": "#"}, "of": {"$ref": "#/$defs/tree"}},
            "$defs": {"tree": {"type": "string"}}});
        let mut shared = SharedSchemas::at("#/$defs/");
        let place = shared.embed("tree", &tree)["$ref"].clone();
        let schemas = shared.into_schemas();
        assert_eq!(schemas["tree"], json!({"type": "string"}));
        let (_, whole) = schemas.iter().find(|(name, _)| *name != "tree").unwrap();
        assert_eq!(
            whole["properties"],
            json!({"child": {"$ref": place}, "of": {"$ref": "#/$defs/tree"}})
        );
    }

    #[test]
    fn references_are_parts_of_uris() {
        let schema = json!({"items": {"$ref": "#/%24defs/My%20Type/properties/a%20b"}, "$defs": {
            "My Type": {"properties": {"a b": {"type": "string"}}},
        }});
        let mut shared = SharedSchemas::at(PLACE);
        let place = "#/components/schemas/My_Type/properties/a%20b";
        assert_eq!(shared.embed("a", &schema), json!({"items": {"$ref": place}}));
        assert_eq!(shared.into_schemas()["My_Type"], schema["$defs"]["My Type"]);
    }

    #[test]
    fn what_refers_to_nothing_but_itself_may_be_anything() {
        let place = |name: &str| json!({"$ref": format!("{PLACE}{name}")});
        for (schema, name) in [
            (json!({"$ref": "#"}), "x"),
            (
                json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
                "a",
            ),
            (json!({"allOf": [{"$ref": "#"}]}), "x"),
            (json!({"allOf": [{"allOf": [{"$ref": "#/allOf/0"}]}, {"type": "object"}]}), "x"),
            (
                json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "allOf": [{"$ref": "#/$defs/a"}]}}}),
                "a",
            ),
        ] {
            let mut shared = SharedSchemas::at(PLACE);
            assert_eq!(shared.embed("x", &schema), place(name), "{schema}");
            let schemas = Value::Object(shared.into_schemas());
            assert!(!schemas.to_string().contains(PLACE), "{schema}: {schemas}");
        }
        // A value that is no object ends it.
        let tree = json!({"anyOf": [{"$ref": "#"}, {"type": "null"}]});
        let mut shared = SharedSchemas::at(PLACE);
        shared.embed("x", &tree);
        assert_eq!(shared.into_schemas()["x"]["anyOf"][0], place("x"));
    }

    #[test]
    fn a_schema_of_many_references_takes_no_longer_than_it_is_large() {
        let many = json!({"allOf": vec![json!({"$ref": "#"}); 30_000]});
        let reference = |to: usize| json!({"$ref": format!("#/$defs/{to}")});
        let chain = (0..30_000).map(|at| (at.to_string(), reference(at + 1)));
        let chain = json!({"$ref": "#/$defs/0", "$defs": Value::Object(chain.collect())});
        let began = std::time::Instant::now();
        for schema in [many, chain] {
            SharedSchemas::at(PLACE).embed("x", &schema);
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    }

    #[test]
    fn schemas_of_one_name_that_differ_are_told_apart() {
        let mut shared = SharedSchemas::at(PLACE);
        shared.insert("Problem", json!({"type": "object"}));
        let problem =
            |kind: &str| json!({"$ref": "#/$defs/Problem", "$defs": {"Problem": {"type": kind}}});
        let mut place = |kind| shared.embed("a", &problem(kind))["$ref"].clone();
        assert_eq!(place("object"), "#/components/schemas/Problem");
        assert_eq!(place("string"), "#/components/schemas/Problem_2");
        assert_eq!(place("number"), "#/components/schemas/Problem_3");
        assert_eq!(place("string"), "#/components/schemas/Problem_2");
        let schemas = shared.into_schemas();
        assert_eq!((schemas.len(), &schemas["Problem_3"]), (3, &json!({"type": "number"})));
    }
}
