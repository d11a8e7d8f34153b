//! Checks a value against a schema: types, choices, required and unknown properties. Bounds and
//! patterns are left to the server, which knows them best.

use serde_json::Value;

use super::{Limit, MAX_STEPS, MAX_VISITS, Schema};

impl Schema<'_> {
    /// Checks a value.
    ///
    /// # Errors
    /// The first part that does not fit, and what it must be: `customer.name must be text`.
    pub fn check(self, value: &Value) -> Result<(), String> {
        let mut limit = Limit { steps: MAX_STEPS, visits: &mut { MAX_VISITS } };
        self.check_at(value, "", &mut limit)
    }

    fn check_at(self, value: &Value, path: &str, limit: &mut Limit<'_>) -> Result<(), String> {
        let Some(mut limit) = limit.deeper() else { return Ok(()) };
        let limit = &mut limit;
        let schema = self.resolved();
        let wanted = || Err(sentence(path, &format!("must be {}", expected(&schema.type_name()))));
        let choices = schema.list("enum");
        if !choices.is_empty() && !choices.contains(value)
            || schema.part.get("const").is_some_and(|only| only != value)
        {
            return wanted();
        }
        for part in schema.list("allOf") {
            schema.part(part).check_at(value, path, limit)?;
        }
        schema.check_alternatives(value, path, limit)?;
        let types = schema.types();
        if !types.is_empty() && !types.iter().any(|name| is_of_type(value, name)) {
            return wanted();
        }
        match value {
            Value::Object(_) => schema.check_properties(value, path, limit),
            Value::Array(elements) => {
                let Some(items) = schema.items() else { return Ok(()) };
                elements.iter().enumerate().try_for_each(|(at, element)| {
                    items.check_at(element, &format!("{path}[{at}]"), limit)
                })
            }
            _ => Ok(()),
        }
    }

    /// Any alternative may fit; the error of the only one that is not `null` is the most helpful.
    fn check_alternatives(
        self,
        value: &Value,
        path: &str,
        limit: &mut Limit<'_>,
    ) -> Result<(), String> {
        let all = self.alternatives();
        let mut errors = Vec::new();
        for one in all.clone() {
            match one.check_at(value, path, limit) {
                Ok(()) => return Ok(()),
                Err(_) if one.types() == ["null"] => {}
                Err(error) => errors.push(error),
            }
        }
        match &errors[..] {
            [] if all.count() == 0 => Ok(()),
            [only] => Err(only.clone()),
            _ => Err(sentence(path, &format!("must be {}", expected(&self.type_name())))),
        }
    }

    fn check_properties(
        self,
        value: &Value,
        path: &str,
        limit: &mut Limit<'_>,
    ) -> Result<(), String> {
        let inner = |name: &str| {
            if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
        };
        let missing = self.list("required").iter().filter_map(Value::as_str);
        if let Some(name) = missing.into_iter().find(|name| value.get(name).is_none()) {
            return Err(format!("{} is missing", inner(name)));
        }
        let known = self.properties();
        for (name, part) in value.as_object().into_iter().flatten() {
            match known.iter().find(|property| property.name == name) {
                Some(property) => property.schema.check_at(part, &inner(name), limit)?,
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
    use serde_json::json;

    fn error(schema: &Value, value: Value) -> String {
        Schema::new(schema).check(&value).err().unwrap_or_default()
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
