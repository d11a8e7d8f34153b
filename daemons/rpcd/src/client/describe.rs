//! `rpcd describe`: everything about one method.

use rpc_client::Code;
use rpc_wire::signature::{Parameter, Signature, to_openrpc};
use serde_json::{Value, json};

use super::{reserved, signature};
use crate::arguments::schema::type_name;
use crate::failure::{Exit, Failure};
use crate::output::{self, table::Table};
use crate::plan::Ask;

/// Describes the method of that name.
///
/// # Errors
/// The call failed, or there is no such method.
pub async fn describe(ask: Ask, name: &str) -> Result<(), Failure> {
    if let Some(method) = reserved::find(name) {
        return show(&ask, method);
    }
    let methods = super::methods::listed(&ask).await?;
    let Some(method) = methods.iter().find(|method| method.name == name) else {
        let near = reserved::nearest(name, &methods);
        let hint = match near {
            Some(near) => format!("did you mean {near}?"),
            None => "rpcd methods lists them".to_owned(),
        };
        let message = format!("{} has no method {name}; {hint}", ask.target);
        let failure = Failure::new(Exit::Failed, message).with_code(Code::MethodNotFound);
        return Err(match near {
            Some(near) => failure.with_nearest(near),
            None => failure,
        });
    };
    show(&ask, method)
}

fn show(ask: &Ask, method: &Signature) -> Result<(), Failure> {
    if ask.json {
        let document = to_openrpc("", "", [method]);
        return output::value(&document["methods"][0].to_string(), true);
    }
    text(method, &ask.typed).iter().try_for_each(|line| output::text(line))
}

/// The description, line by line.
fn text(method: &Signature, typed: &str) -> Vec<String> {
    let mut lines = vec![signature::of(method)];
    if !method.doc.is_empty() {
        lines.push(String::new());
        lines.extend(method.doc.lines().map(|line| format!("  {line}").trim_end().to_owned()));
    }
    if !method.parameters.is_empty() {
        lines.extend([String::new(), "Parameters".to_owned()]);
        let mut table = Table::new(&[], &[]);
        for parameter in &method.parameters {
            let needed = match &parameter.default {
                Some(default) => format!("default {default}"),
                None if parameter.is_required() => "required".to_owned(),
                None => "optional".to_owned(),
            };
            let doc = parameter.description().replace('\n', " ");
            table.push(vec![parameter.name.clone(), type_name(&parameter.schema), needed, doc]);
        }
        lines.extend(table.lines().iter().skip(1).map(|line| format!("  {line}")));
        for parameter in method.parameters.iter().filter(|it| is_nested(&it.schema)) {
            lines.extend([String::new(), format!("Schema of {}", parameter.name)]);
            lines.extend(schema(&parameter.schema));
        }
    }
    if let Some(result) = &method.result {
        let what = if method.stream { "Each item of the stream" } else { "Result" };
        lines.extend([String::new(), what.to_owned()]);
        lines.extend(schema(result));
    }
    lines.extend([String::new(), "Call it".to_owned()]);
    lines.extend(examples(method, typed).into_iter().map(|example| format!("  {example}")));
    lines
}

/// A schema that its name alone does not tell.
fn is_nested(schema: &Value) -> bool {
    ["properties", "$ref", "$defs", "items", "anyOf", "oneOf"]
        .iter()
        .any(|key| schema.get(*key).is_some())
        || schema["enum"].is_array()
}

fn schema(schema: &Value) -> Vec<String> {
    if !is_nested(schema) {
        let doc = signature::doc(schema);
        return vec![format!("  {}  {doc}", type_name(schema)).trim_end().to_owned()];
    }
    let text = output::pretty::indented(&schema.to_string(), false);
    text.lines().map(|line| format!("  {line}")).collect()
}

/// Commands that call it, with the target as it was typed: required arguments by position, all by
/// name, and as one document.
fn examples(method: &Signature, typed: &str) -> Vec<String> {
    let call = |arguments: &str| {
        let words = ["rpcd call", &method.name, arguments, typed];
        words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ")
    };
    let required = method.parameters.iter().filter(|parameter| parameter.is_required());
    let words: Vec<String> = required.map(|it| word(&sample(it))).collect();
    let mut examples = vec![call(&words.join(" "))];
    if !method.parameters.is_empty() {
        let named = |it: &Parameter| format!("{}={}", it.name, word(&sample(it)));
        let named: Vec<String> = method.parameters.iter().map(named).collect();
        examples.push(call(&named.join(" ")));
        let pairs = method.parameters.iter().map(|it| (it.name.clone(), sample(it)));
        let document = Value::Object(pairs.collect());
        examples.push(call(&format!("-d {}", quoted(&document.to_string()))));
    }
    examples
}

/// A value of the parameter's type: its default, an example of the schema, or an invented one.
fn sample(parameter: &Parameter) -> Value {
    if let Some(default) = &parameter.default {
        return default.clone();
    }
    of_schema(&parameter.schema, &parameter.schema, 4)
}

fn of_schema(schema: &Value, root: &Value, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else { return Value::Null };
    let first = |key: &str| schema.get(key).and_then(Value::as_array).and_then(|all| all.first());
    if let Some(value) = schema.get("const").or_else(|| first("examples")).or_else(|| first("enum"))
    {
        return value.clone();
    }
    if let Some(pointer) = schema["$ref"].as_str().and_then(|to| to.strip_prefix('#')) {
        return root.pointer(pointer).map_or(Value::Null, |to| of_schema(to, root, depth));
    }
    if let Some(either) = first("anyOf").or_else(|| first("oneOf")) {
        return of_schema(either, root, depth);
    }
    let name = schema["type"].as_str().or_else(|| first("type").and_then(Value::as_str));
    match name {
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => match schema.get("items") {
            Some(items) => json!([of_schema(items, root, depth)]),
            None => json!([]),
        },
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let pair =
                |(name, schema): (&String, &Value)| (name.clone(), of_schema(schema, root, depth));
            Value::Object(properties.map(pair).collect())
        }
        Some("null") => Value::Null,
        _ => json!("text"),
    }
}

/// A value as a word of a shell.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        other => quoted(&other.to_string()),
    }
}

fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-+./:@%".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_has_everything_that_discovery_says() {
        let order = json!({"type": "object", "properties": {"id": {"type": "integer"}}});
        let method = Signature {
            name: "order".to_owned(),
            doc: "Orders.\n\nAt once.".to_owned(),
            parameters: vec![
                Parameter::required("what", order),
                Parameter::required("note", json!({"type": "string", "description": "For whom."})),
                Parameter::optional("c", json!({"type": "number"}), json!(10)),
            ],
            result: Some(json!({"type": "string"})),
            ..Signature::default()
        };
        let expected = "\
order(what: object, note: string, c: number = 10) -> string

  Orders.

  At once.

Parameters
  what  object  required
  note  string  required    For whom.
  c     number  default 10

Schema of what
  {
    \"properties\": {
      \"id\": {\"type\": \"integer\"}
    },
    \"type\": \"object\"
  }

Result
  string

Call it
  rpcd call order '{\"id\":1}' text -p 7
  rpcd call order what='{\"id\":1}' note=text c=10 -p 7
  rpcd call order -d '{\"c\":10,\"note\":\"text\",\"what\":{\"id\":1}}' -p 7";
        assert_eq!(text(&method, "-p 7").join("\n"), expected);
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (text, shown) in
            [("a", "a"), ("", "''"), ("it's", r"'it'\''s'"), ("-x", "'-x'"), ("[1]", "'[1]'")]
        {
            assert_eq!(quoted(text), shown);
        }
    }
}
