//! A value to fill in, written from a schema.

use serde_json::Value;

use super::{Property, Schema};

/// Deeper objects are written as `null`: some schemas contain themselves.
const MAX_DEPTH: usize = 7;

impl Schema<'_> {
    /// A value of the right shape as indented JSON: every property, with its default, example or an
    /// empty value. `indent` is the indentation of the line it starts on.
    pub fn skeleton(self, indent: usize) -> String {
        self.skeleton_at(indent, MAX_DEPTH)
    }

    fn skeleton_at(self, indent: usize, steps: usize) -> String {
        let null = || Value::Null.to_string();
        let Some(steps) = steps.checked_sub(1).filter(|_| self.visits.spend(1)) else {
            return null();
        };
        let schema = self.resolved();
        let given = [self.default(), schema.default(), self.examples().first()];
        let given = given.into_iter().flatten().next();
        if let Some(value) = given.or(schema.list("enum").first()).or(schema.part.get("const")) {
            return self.visits.json(value).unwrap_or_else(null);
        }
        if let Some(first) = schema.alternative() {
            return first.skeleton_at(indent, steps);
        }
        match schema.types().find(|name| *name != "null") {
            Some("string") => Value::from("").to_string(),
            Some("integer" | "number") => Value::from(0).to_string(),
            Some("boolean") => Value::from(false).to_string(),
            // A list of objects has one of them, so that their properties can be seen.
            Some("array") => match schema.items().filter(|items| items.has_properties()) {
                Some(items) => format!("[{}]", items.skeleton_at(indent, steps)),
                None => "[]".to_owned(),
            },
            Some("object") if !schema.has_properties() => "{}".to_owned(),
            None if !schema.has_properties() => null(),
            _ => {
                let line = |property: &Property<'_>| {
                    let value = property.schema.skeleton_at(indent + 2, steps);
                    format!("{:2$}{}: {value}", "", Value::from(property.name), indent + 2)
                };
                let lines: Vec<_> = schema.properties().iter().map(line).collect();
                format!("{{\n{}\n{:2$}}}", lines.join(",\n"), "", indent)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::order;
    use super::*;
    use crate::model::schema::Visits;
    use serde_json::json;

    #[test]
    fn a_skeleton_has_every_property_and_fits_its_schema() {
        let order = order();
        let visits = Visits::default();
        let schema = Schema::new(&order, &visits);
        let text = schema.skeleton(0);
        assert!(
            text.starts_with("{\n  \"id\": 0,\n  \"customer\": {\n    \"name\": \"Ann\",\n"),
            "{text}"
        );
        assert!(text.contains("\"express\": true"), "{text}");
        assert!(
            text.contains("\"items\": [{\n    \"count\": 0,\n    \"size\": \"S\"\n  }]"),
            "{text}"
        );
        let value: Value = serde_json::from_str(&text).unwrap();
        let friend = value.pointer("/customer/friend/friend").unwrap();
        assert_eq!(friend, &json!({"name": "Ann", "friend": null}), "the schema contains itself");
    }

    #[test]
    fn scalars_and_unknown_types_are_empty_values() {
        for (schema, text) in [
            (json!(true), "null"),
            (json!({"type": ["null", "integer"]}), "0"),
            (json!({"type": "array", "items": {"type": "string"}}), "[]"),
            (json!({"type": "object"}), "{}"),
        ] {
            assert_eq!(Schema::new(&schema, &Visits::default()).skeleton(0), text);
        }
    }
}
