//! Checks a value against a schema: types, choices, required and unknown properties. Bounds and
//! patterns are left to the server, which knows them best.

use serde_json::Value;

use super::{MAX_STEPS, Schema};

impl Schema<'_> {
    /// Checks a value.
    ///
    /// # Errors
    /// The first part that does not fit, and what it must be: `customer.name must be text`.
    pub fn check(self, value: &Value) -> Result<(), String> {
        let checked = self.check_at(value, "", MAX_STEPS);
        // What could not be looked at refuses nothing.
        if self.visits.are_spent() { Ok(()) } else { checked }
    }

    fn check_at(self, value: &Value, path: &str, steps: usize) -> Result<(), String> {
        let Some(steps) = steps.checked_sub(1).filter(|_| self.visits.spend(1)) else {
            return Ok(());
        };
        let schema = self.resolved();
        let wanted = || Err(sentence(path, &format!("must be {}", expected(&schema.type_name()))));
        let mut choices = schema.list("enum").iter().take_while(|_| self.visits.spend(1));
        if !schema.list("enum").is_empty() && !choices.any(|choice| choice == value)
            || schema.part.get("const").is_some_and(|only| only != value)
        {
            return wanted();
        }
        for part in schema.list("allOf") {
            schema.part(part).check_at(value, path, steps)?;
            if self.visits.are_spent() {
                return Ok(());
            }
        }
        schema.check_alternatives(value, path, steps)?;
        let mut types = schema.types().peekable();
        if types.peek().is_some() && !types.any(|name| is_of_type(value, name)) {
            return wanted();
        }
        match value {
            Value::Object(_) => schema.check_properties(value, path, steps),
            Value::Array(elements) => {
                let Some(items) = schema.items() else { return Ok(()) };
                let elements = elements.iter().enumerate().take_while(|_| self.visits.spend(1));
                elements.into_iter().try_for_each(|(at, element)| {
                    items.check_at(element, &format!("{path}[{at}]"), steps)
                })
            }
            _ => Ok(()),
        }
    }

    /// Any alternative may fit; the error of the only one that is not `null` is the most helpful.
    fn check_alternatives(self, value: &Value, path: &str, steps: usize) -> Result<(), String> {
        let (mut has_any, mut errors) = (false, Vec::new());
        for one in self.alternatives() {
            has_any = true;
            match one.check_at(value, path, steps) {
                Ok(()) => return Ok(()),
                Err(_) if one.types().eq(["null"]) => {}
                Err(error) => errors.push(error),
            }
        }
        match &errors[..] {
            [] if !has_any => Ok(()),
            [only] => Err(only.clone()),
            _ => Err(sentence(path, &format!("must be {}", expected(&self.type_name())))),
        }
    }

    fn check_properties(self, value: &Value, path: &str, steps: usize) -> Result<(), String> {
        let inner = |name: &str| {
            if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
        };
        let required = self.list("required").iter().take_while(|_| self.visits.spend(1));
        let mut required = required.filter_map(Value::as_str);
        if let Some(name) = required.find(|name| value.get(name).is_none()) {
            return Err(format!("{} is missing", inner(name)));
        }
        let known = self.resolved().part.get("properties").and_then(Value::as_object);
        let given = value.as_object().into_iter().flatten();
        for (name, part) in given.take_while(|_| self.visits.spend(1)) {
            match known.and_then(|known| known.get(name)) {
                Some(property) => self.part(property).check_at(part, &inner(name), steps)?,
                None if self.part.get("additionalProperties") == Some(&Value::Bool(false)) => {
                    return Err(format!("{} is unknown", inner(name)));
                }
                None => {}
            }
        }
        Ok(())
    }
}

fn sentence(path: &str, rest: &str) -> String {
    if path.is_empty() { rest.to_owned() } else { format!("{path} {rest}") }
}

/// `a number`, `an integer`; alternatives and lists as they are.
fn expected(name: &str) -> String {
    match name {
        "integer" | "object" => format!("an {name}"),
        "number" | "bool" | "list" => format!("a {name}"),
        other if other.starts_with("list of ") && !other.contains(" or ") => format!("a {other}"),
        other => other.to_owned(),
    }
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => {
            value.is_i64()
                || value.is_u64()
                || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        "array" => value.is_array(),
        "object" => value.is_object(),
        // An unknown name forbids nothing.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::order;
    use super::*;
    use crate::model::schema::Visits;
    use serde_json::json;

    fn error(schema: &Value, value: Value) -> String {
        Schema::new(schema, &Visits::default()).check(&value).err().unwrap_or_default()
    }

    #[test]
    fn the_first_part_that_does_not_fit_is_named() {
        let order = order();
        let named = |name: Value| json!({"id": 1, "customer": {"name": name}});
        for (value, expected) in [
            (named(json!("Ann")), ""),
            (named(json!(5)), "customer.name must be text"),
            (json!({"id": 1.5, "customer": {"name": ""}}), "id must be an integer"),
            (json!({"id": 1}), "customer is missing"),
            (
                json!({"id": 1, "customer": {"name": "", "friend": {}}}),
                "customer.friend.name is missing",
            ),
            (json!({"id": 1, "customer": {"name": "", "friend": null}, "x": 1}), ""),
            (
                json!({"id": 1, "customer": {"name": ""}, "items": [{"count": 1}, {"size": "L"}]}),
                "items[1].size must be \"S\" or \"M\"",
            ),
            (
                json!({"id": 1, "customer": {"name": ""}, "items": [{"x": 1}]}),
                "items[0].x is unknown",
            ),
            (json!([]), "must be an object"),
        ] {
            assert_eq!(error(&order, value.clone()), expected, "{value}");
        }
    }

    #[test]
    fn alternatives_and_unknown_schemas_refuse_no_valid_value() {
        let either = json!({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]});
        assert_eq!(error(&either, json!(1)), "");
        assert_eq!(error(&either, json!([1])), "");
        assert_eq!(error(&either, json!(["a"])), "must be integer or list of integer");
        for anything in [json!(true), json!({}), json!({"type": "uuid"}), json!({"$ref": "#/none"})]
        {
            assert_eq!(error(&anything, json!({"a": [1]})), "", "{anything}");
        }
        let endless =
            json!({"$ref": "#/$defs/A", "$defs": {"A": {"allOf": [{"$ref": "#/$defs/A"}, true]}}});
        assert_eq!(error(&endless, json!(1)), "");
    }
}
