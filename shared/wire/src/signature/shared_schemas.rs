//! Schemas as parts of one document: what they refer to within themselves is at one place of it, for all of them.

use serde_json::{Map, Value, json};

/// Where a schema has its definitions: as today, and before 2019.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];
/// Sets of other schemas of the same names that are compared.
const COMPARED: usize = 16;

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
        let references = References { root: schema, place: self.place, key, whole: &whole, number };
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
    /// That part of the schema, with references that mean the same in the document. What refers to nothing may be
    /// anything.
    fn resolved(&self, part: &Value) -> Value {
        match part {
            Value::Array(values) => values.iter().map(|value| self.resolved(value)).collect(),
            Value::Object(object) => {
                let is_root = std::ptr::eq(part, self.root);
                let entries = object.iter().filter(|(key, _)| !(is_root && *key == self.key));
                let entry = |(key, value): (&String, &Value)| {
                    let value = match local(key, value) {
                        Some(path) => self.in_document(path)?.into(),
                        None => self.resolved(value),
                    };
                    Some((key.clone(), value))
                };
                Value::Object(entries.filter_map(entry).collect())
            }
            other => other.clone(),
        }
    }

    fn in_document(&self, path: &str) -> Option<String> {
        let is_schema = |it: &&Value| it.is_object() || it.is_boolean();
        let is_definitions = path.strip_prefix('/') == Some(self.key);
        self.root.pointer(path).filter(|it| is_schema(it) && !is_definitions)?;
        Some(match definition(path, self.key) {
            Some((name, rest)) => self.to_shared(&name, rest),
            None => self.to_shared(self.whole, path),
        })
    }

    fn to_shared(&self, name: &str, rest: &str) -> String {
        format!("{}{}{rest}", self.place, shared_name(name, self.number))
    }
}

/// The path within a schema that an entry refers to.
fn local<'a>(key: &str, value: &'a Value) -> Option<&'a str> {
    value.as_str().filter(|_| key == "$ref")?.strip_prefix('#')
}

/// The definition that a path leads to, and the rest of the path.
fn definition<'a>(path: &'a str, key: &str) -> Option<(String, &'a str)> {
    let path = path.strip_prefix('/')?.strip_prefix(key)?.strip_prefix('/')?;
    let (name, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    Some((name.replace("~1", "/").replace("~0", "~"), rest))
}

/// Whether a schema refers to a part of itself that is no definition.
fn refers_to_itself(schema: &Value, definitions: &str) -> bool {
    match schema {
        Value::Array(values) => values.iter().any(|value| refers_to_itself(value, definitions)),
        Value::Object(object) => object.iter().any(|(key, value)| match local(key, value) {
            Some(path) => definition(path, definitions).is_none(),
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
