//! JSON Schemas of parameters and results: a name for each type, its properties, a check of a value.

mod check;
mod skeleton;

use serde_json::Value;

/// Maximum references followed in a row, and maximum nesting: some schemas refer to themselves.
const MAX_STEPS: usize = 16;
/// Maximum parts visited: a schema may have alternatives at every level.
const MAX_VISITS: usize = 2_000;

/// What is left of both limits.
struct Limit<'a> {
    steps: usize,
    visits: &'a mut usize,
}

impl Limit<'_> {
    /// One level deeper; `None` at a limit.
    fn deeper(&mut self) -> Option<Limit<'_>> {
        let steps = self.steps.checked_sub(1)?;
        *self.visits = self.visits.checked_sub(1)?;
        Some(Limit { steps, visits: self.visits })
    }
}

/// A JSON Schema, or a part of one.
#[derive(Debug, Clone, Copy)]
pub struct Schema<'a> {
    /// The whole schema: `#/…` refers to it.
    root: &'a Value,
    /// This part.
    part: &'a Value,
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
    /// The whole schema.
    pub fn new(root: &'a Value) -> Self {
        Self { root, part: root }
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
            let target = match (schema.text("$ref").strip_prefix('#'), schema.list("allOf")) {
                (Some(path), _) => self.root.pointer(path),
                (None, [one]) if schema.part.get("type").is_none() => Some(one),
                _ => None,
            };
            match target {
                Some(target) => schema = self.part(target),
                None => break,
            }
        }
        schema
    }

    /// The alternatives of `anyOf` or `oneOf`; empty if it has none.
    fn alternatives(self) -> impl DoubleEndedIterator<Item = Self> + Clone {
        let any = self.list("anyOf");
        let any = if any.is_empty() { self.list("oneOf") } else { any };
        any.iter().map(move |part| self.part(part))
    }

    /// The names in `type`.
    fn types(self) -> Vec<&'a str> {
        match self.part.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// The schema of the elements, if it is an array whose elements have one.
    pub fn items(self) -> Option<Self> {
        self.resolved().get("items").filter(|items| items.part.is_object())
    }

    /// The schema of what an object or a list of objects consists of: without lists and `null`.
    pub fn element(self) -> Self {
        let mut schema = self.resolved();
        for _ in 0..MAX_STEPS {
            let object = schema.alternatives().find(|one| one.types() != ["null"]);
            let inner = schema.items().or(object.filter(|_| schema.properties().is_empty()));
            match inner {
                Some(inner) => schema = inner.resolved(),
                None => break,
            }
        }
        schema
    }

    /// The properties of an object: required ones first.
    pub fn properties(self) -> Vec<Property<'a>> {
        let schema = self.resolved();
        let required = schema.list("required");
        let Some(all) = schema.part.get("properties").and_then(Value::as_object) else {
            return Vec::new();
        };
        let place = |name: &str| required.iter().position(|other| other == name);
        let mut found: Vec<_> = all
            .iter()
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
        self.type_name_within(&mut Limit { steps: MAX_STEPS, visits: &mut { MAX_VISITS } })
    }

    fn type_name_within(self, limit: &mut Limit<'_>) -> String {
        let schema = self.resolved();
        let Some(mut limit) = limit.deeper() else { return "any".to_owned() };
        let mut names: Vec<String> = match schema.list("enum") {
            [] => match schema.part.get("const") {
                Some(only) => vec![only.to_string()],
                None => schema.alternatives().map(|one| one.type_name_within(&mut limit)).collect(),
            },
            values => values.iter().map(Value::to_string).collect(),
        };
        if names.is_empty() {
            let types = schema.types();
            names = types.into_iter().map(|name| schema.name_of(name, &mut limit)).collect();
        }
        let mut unique: Vec<String> = Vec::new();
        for name in names {
            if !unique.contains(&name) {
                unique.push(name);
            }
        }
        match (unique.is_empty(), schema.part.get("properties")) {
            (true, Some(_)) => "object".to_owned(),
            (true, None) => "any".to_owned(),
            _ => unique.join(" or "),
        }
    }

    fn name_of(self, name: &str, limit: &mut Limit<'_>) -> String {
        match (name, self.items(), self.text("format")) {
            ("array", Some(items), _) => format!("list of {}", items.type_name_within(limit)),
            ("array", None, _) => "list".to_owned(),
            ("boolean", ..) => "bool".to_owned(),
            ("string", _, "") => "text".to_owned(),
            ("string", _, format) => format!("text ({format})"),
            (other, ..) => other.to_owned(),
        }
    }
}

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
            assert_eq!(Schema::new(&schema).type_name(), name);
        }
    }

    #[test]
    fn schemas_without_an_end_are_cut() {
        let list = json!({"$ref": "#/$defs/L", "$defs": {
            "L": {"type": "array", "items": {"$ref": "#/$defs/L"}}
        }});
        assert!(Schema::new(&list).type_name().ends_with("list of any"));
        let wide = vec![json!({"$ref": "#/$defs/W"}); 10];
        let wide = json!({"$ref": "#/$defs/W", "$defs": {"W": {"anyOf": wide}}});
        assert_eq!(Schema::new(&wide).type_name(), "any");
        assert!(Schema::new(&wide).check(&json!(1)).is_ok());
        assert!(Schema::new(&wide).skeleton(0).len() < 100);
    }

    #[test]
    fn properties_are_listed_required_ones_first() {
        let order = order();
        let found = Schema::new(&order).properties();
        let names: Vec<_> = found.iter().map(|one| (one.name, one.required)).collect();
        assert_eq!(names, [("id", true), ("customer", true), ("express", false), ("items", false)]);
        assert_eq!(found[0].schema.description(), "Of the order.");
        assert_eq!(found[1].schema.properties()[0].schema.examples(), [json!("Ann")]);
    }
}
