//! A method as people read it: `add(a: number, b: number, c: number = 10) -> number`.

use rpc_host::logging::escape_controls;
use rpc_wire::signature::{Parameter, Signature};
use serde_json::Value;

use crate::arguments::schema::type_name;

/// Names, types, defaults, result.
pub(super) fn of(method: &Signature) -> String {
    let parameters: Vec<String> = method.parameters.iter().map(parameter).collect();
    let result = match &method.result {
        Some(schema) if type_name(schema) != "any" => format!(" -> {}", type_name(schema)),
        _ => String::new(),
    };
    let stream = if method.stream { " (stream)" } else { "" };
    let text = format!("{}({}){result}{stream}", method.name, parameters.join(", "));
    // Here, so that columns are as wide as what is shown.
    escape_controls(&text).into_owned()
}

fn parameter(parameter: &Parameter) -> String {
    let mut text = parameter.name.clone();
    if !parameter.is_required() && parameter.default.is_none() {
        // As usual for "may be omitted": its default is known to the server only.
        text.push('?');
    }
    let name = type_name(&parameter.schema);
    let has_type = name != "any";
    if has_type {
        text = format!("{text}: {name}");
    }
    match &parameter.default {
        Some(default) if has_type => format!("{text} = {default}"),
        Some(default) => format!("{text}={default}"),
        None => text,
    }
}

/// What a schema says in words.
pub(super) fn doc(schema: &Value) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_method_is_shown_with_its_types_as_far_as_they_are_known() {
        let parameters = vec![
            Parameter::required("a", json!({"type": "number"})),
            Parameter::optional(
                "b",
                json!({"type": "array", "items": {"type": "string"}}),
                json!([]),
            ),
            Parameter::required("c", json!(true)),
            Parameter::optional("d", json!(true), json!("x")),
        ];
        let mut method =
            Signature { name: "m".to_owned(), parameters, stream: true, ..Signature::default() };
        assert_eq!(of(&method), r#"m(a: number, b: string[] = [], c, d="x") (stream)"#);
        method.parameters.clear();
        method.stream = false;
        method.result = Some(json!({"type": "string"}));
        assert_eq!(of(&method), "m() -> string");
        method.result = Some(json!(true));
        assert_eq!(of(&method), "m()");
    }
}
