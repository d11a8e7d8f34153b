//! JSON Schemas of parameters and results: a name for each type, its properties, a check of a value.
//!
//! They are a stranger's: each walk over them has a number of [`Visits`], and what is beyond it counts
//! as any JSON.

mod check;
mod skeleton;
mod visits;

use std::collections::{HashMap, HashSet};

use rpc_wire::signature::referred;
use serde_json::Value;

pub use visits::Visits;

/// Maximum references followed in a row, and maximum nesting: some schemas refer to themselves.
const MAX_STEPS: usize = 16;

/// A JSON Schema, or a part of one.
#[derive(Debug, Clone, Copy)]
pub struct Schema<'a> {
    /// The whole schema: `#/…` refers to it.
    root: &'a Value,
    /// This part.
    part: &'a Value,
    visits: &'a Visits,
}

/// A property of an object.
#[derive(Debug, Clone, Copy)]
pub struct Property<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its schema.
    pub schema: Schema<'a>,
    /// Whether it must be given.
    pub required: bool,
}

impl<'a> Schema<'a> {
    /// The whole schema, of which all walks together have these visits.
    pub fn new(root: &'a Value, visits: &'a Visits) -> Self {
        Self { root, part: root, visits }
    }

    fn part(self, part: &'a Value) -> Self {
        Self { part, ..self }
    }

    fn get(self, name: &str) -> Option<Self> {
        self.part.get(name).map(|part| self.part(part))
    }

    fn text(self, name: &str) -> &'a str {
        self.part.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn list(self, name: &str) -> &'a [Value] {
        self.part.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The schema that references, and an `allOf` of one, lead to.
    fn resolved(self) -> Self {
        let mut schema = self;
        for _ in 0..MAX_STEPS {
            let target = match (schema.text("$ref"), schema.list("allOf")) {
                (reference, _) if reference.starts_with('#') => referred(self.root, reference),
                (_, [one]) if schema.part.get("type").is_none() => Some(one),
                _ => None,
            };
            match target {
                Some(target) if self.visits.spend(1) => schema = self.part(target),
                _ => break,
            }
        }
        schema
    }

    /// The alternatives of `anyOf` or `oneOf`; empty if it has none.
    fn alternatives(self) -> impl Iterator<Item = Self> {
        let any = self.list("anyOf");
        let any = if any.is_empty() { self.list("oneOf") } else { any };
        any.iter().take_while(move |_| self.visits.spend(1)).map(move |part| self.part(part))
    }

    /// The first alternative that is not `null`.
    fn alternative(self) -> Option<Self> {
        self.alternatives().find(|one| one.types().ne(["null"]))
    }

    /// The names in `type`.
    fn types(self) -> impl Iterator<Item = &'a str> {
        let names = match self.part.get("type") {
            Some(Value::Array(names)) => names,
            Some(name) => std::slice::from_ref(name),
            None => &[],
        };
        names.iter().take_while(move |_| self.visits.spend(1)).filter_map(Value::as_str)
    }

    /// The schema of the elements, if it is an array whose elements have one.
    pub fn items(self) -> Option<Self> {
        self.resolved().get("items").filter(|items| items.part.is_object())
    }

    /// The schema of what an object or a list of objects consists of: without lists and `null`.
    pub fn element(self) -> Self {
        let mut schema = self.resolved();
        for _ in 0..MAX_STEPS {
            let object = || schema.alternative().filter(|_| !schema.has_properties());
            let inner = schema.items().or_else(object);
            match inner {
                Some(inner) => schema = inner.resolved(),
                None => break,
            }
        }
        schema
    }

    /// Whether it is an object with properties.
    pub fn has_properties(self) -> bool {
        let all = self.resolved().part.get("properties").and_then(Value::as_object);
        all.is_some_and(|all| !all.is_empty())
    }

    /// The properties of an object: required ones first.
    pub fn properties(self) -> Vec<Property<'a>> {
        let schema = self.resolved();
        let Some(all) = schema.part.get("properties").and_then(Value::as_object) else {
            return Vec::new();
        };
        let required = schema.list("required").iter().filter_map(Value::as_str).enumerate();
        let required = required.take_while(|_| self.visits.spend(1));
        let places: HashMap<&str, usize> = required.map(|(place, name)| (name, place)).collect();
        let place = |name: &str| places.get(name).copied();
        let all = all.iter().take_while(|_| self.visits.spend(1));
        let mut found: Vec<_> = all
            .map(|(name, part)| Property {
                name,
                schema: schema.part(part),
                required: place(name).is_some(),
            })
            .collect();
        // The order of `required` is the author's; that of `properties` was lost in parsing.
        found.sort_by_key(|property| place(property.name).unwrap_or(usize::MAX));
        found
    }

    /// Its description; empty if it has none.
    pub fn description(self) -> &'a str {
        let own = self.text("description");
        if own.is_empty() { self.resolved().text("description") } else { own }
    }

    /// Its example values.
    pub fn examples(self) -> &'a [Value] {
        let own = self.list("examples");
        if own.is_empty() { self.resolved().list("examples") } else { own }
    }

    /// Its default, if it names one.
    pub fn default(self) -> Option<&'a Value> {
        self.part.get("default")
    }

    /// The type in a few words: `text`, `list of integer`, `"a" or "b"`; `any` if it is unknown.
    pub fn type_name(self) -> String {
        self.type_name_within(MAX_STEPS)
    }

    fn type_name_within(self, steps: usize) -> String {
        let any = || "any".to_owned();
        let schema = self.resolved();
        let Some(steps) = steps.checked_sub(1).filter(|_| self.visits.spend(1)) else {
            return any();
        };
        let mut names: Vec<String> = match (schema.list("enum"), schema.part.get("const")) {
            ([], None) => schema.alternatives().map(|one| one.type_name_within(steps)).collect(),
            ([], Some(only)) => vec![self.visits.json(only).unwrap_or_else(any)],
            (values, _) => schema.choices(values),
        };
        if names.is_empty() {
            names = schema.types().map(|name| schema.name_of(name, steps)).collect();
        }
        let mut known = HashSet::new();
        let is_new: Vec<bool> = names.iter().map(|name| known.insert(name.as_str())).collect();
        let mut is_new = is_new.into_iter();
        names.retain(|_| is_new.next().unwrap_or_default());
        match (names.is_empty(), schema.part.get("properties")) {
            (true, Some(_)) => "object".to_owned(),
            (true, None) => any(),
            _ => names.join(" or "),
        }
    }

    /// The values of an `enum`, as many as may be visited.
    fn choices(self, values: &[Value]) -> Vec<String> {
        let mut names: Vec<_> = values.iter().map_while(|value| self.visits.json(value)).collect();
        if names.len() < values.len() {
            names.push("…".to_owned());
        }
        names
    }

    fn name_of(self, name: &str, steps: usize) -> String {
        match (name, self.items(), self.text("format")) {
            ("array", Some(items), _) => format!("list of {}", items.type_name_within(steps)),
            ("array", None, _) => "list".to_owned(),
            ("boolean", ..) => "bool".to_owned(),
            ("string", _, format) if !format.is_empty() && self.visits.read(format) => {
                format!("text ({format})")
            }
            ("string", ..) => "text".to_owned(),
            (other, ..) if self.visits.read(other) => other.to_owned(),
            _ => "any".to_owned(),
        }
    }
}

#[cfg(test)]
pub(crate) use tests::hostile;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    pub(super) fn order() -> Value {
        json!({
            "type": "object",
            "required": ["id", "customer"],
            "properties": {
                "customer": {"$ref": "#/$defs/Customer"},
                "express": {"type": "boolean", "default": true},
                "id": {"type": "integer", "description": "Of the order."},
                "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
            },
            "$defs": {
                "Customer": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string", "examples": ["Ann"]},
                        "friend": {"anyOf": [{"$ref": "#/$defs/Customer"}, {"type": "null"}]},
                    },
                },
                "Item": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {"count": {"type": "integer"}, "size": {"enum": ["S", "M"]}},
                },
            },
        })
    }

    #[test]
    fn types_have_short_names() {
        for (schema, name) in [
            (json!(true), "any"),
            (json!({"type": "string", "format": "date"}), "text (date)"),
            (
                json!({"type": "array", "items": {"type": ["integer", "null"]}}),
                "list of integer or null",
            ),
            (json!({"enum": ["a", 1]}), "\"a\" or 1"),
            (json!({"anyOf": [{"type": "number"}, {"type": "null"}]}), "number or null"),
            (json!({"oneOf": [{"const": "a"}, {"const": "b"}]}), "\"a\" or \"b\""),
        ] {
            assert_eq!(Schema::new(&schema, &Visits::default()).type_name(), name);
        }
    }

    #[test]
    fn schemas_without_an_end_are_cut() {
        let list = json!({"$ref": "#/$defs/L", "$defs": {
            "L": {"type": "array", "items": {"$ref": "#/$defs/L"}}
        }});
        let visits = Visits::default();
        assert!(Schema::new(&list, &visits).type_name().ends_with("list of any"));
        let wide = vec![json!({"$ref": "#/$defs/W"}); 10];
        let wide = json!({"$ref": "#/$defs/W", "$defs": {"W": {"anyOf": wide}}});
        assert_eq!(Schema::new(&wide, &Visits::default()).type_name(), "any");
        assert!(Schema::new(&wide, &Visits::default()).check(&json!(1)).is_ok());
        assert!(Schema::new(&wide, &Visits::default()).skeleton(0).len() < 100);
    }

    /// Schemas of the size that is accepted, each of which makes one kind of walk do much.
    pub(crate) fn hostile() -> Vec<Value> {
        let references = vec![json!({"$ref": "#"}); 3_000];
        let values: Vec<_> = (0..8_000).map(|number| json!(number)).collect();
        let long = "x".repeat(60_000);
        let named = |name: usize| (format!("p{name}"), json!({"$ref": "#"}));
        let properties: serde_json::Map<_, _> = (0..2_000).map(named).collect();
        let required: Vec<_> = (0..2_000).rev().map(|name| json!(format!("p{name}"))).collect();
        vec![
            json!({"anyOf": references.clone()}),
            json!({"anyOf": vec![json!({"$ref": "#/e"}); 2_000], "e": {"enum": values}}),
            json!({"anyOf": vec![json!({"$ref": "#/l"}); 200], "l": {"const": long.clone()}}),
            json!({"anyOf": vec![json!({"$ref": "#/f"}); 200],
                "f": {"type": "string", "format": long.clone()}}),
            json!({"type": vec![json!("null"); 9_000], "anyOf": references.clone()}),
            json!({"type": "object", "properties": properties, "required": required}),
            json!({"type": "array", "items": {"$ref": "#"}, "oneOf": references}),
            json!({"type": "array", "items": {"anyOf": vec![json!({"type": ["null"]}); 4_000]}}),
        ]
    }

    #[test]
    fn walks_over_hostile_schemas_end_with_their_visits() {
        for schema in hostile() {
            let name = Schema::new(&schema, &Visits::default()).type_name();
            assert!(name.len() < 300_000, "{} of {schema:.60}", name.len());
            let found = Schema::new(&schema, &Visits::default()).element().properties().len();
            assert!(found <= 2_000, "{found} of {schema:.60}");
            let skeleton = Schema::new(&schema, &Visits::default()).skeleton(0);
            assert!(skeleton.len() < 300_000, "{} of {schema:.60}", skeleton.len());
            for value in [json!({"p0": {"p1": [[[1]]]}}), json!([[[[1]]]]), json!("x")] {
                let _ = Schema::new(&schema, &Visits::default()).check(&value);
            }
        }
    }

    #[test]
    fn properties_are_listed_required_ones_first() {
        let order = order();
        let visits = Visits::default();
        let found = Schema::new(&order, &visits).properties();
        let names: Vec<_> = found.iter().map(|one| (one.name, one.required)).collect();
        assert_eq!(names, [("id", true), ("customer", true), ("express", false), ("items", false)]);
        assert_eq!(found[0].schema.description(), "Of the order.");
        assert_eq!(found[1].schema.properties()[0].schema.examples(), [json!("Ann")]);
    }
}
