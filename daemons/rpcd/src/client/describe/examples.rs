//! Commands that call a method, to be pasted into a shell.

use rpc_wire::call::is_name;
use rpc_wire::is_hidden;
use rpc_wire::signature::{Example, Parameter, Signature};
use serde_json::{Map, Value, json};

use crate::shell;

/// Commands that call the method, with the target as it was typed: required arguments by position, all by
/// name, and as one document.
pub(super) fn commands(method: &Signature, typed: &str) -> Vec<String> {
    let invented = invented(method);
    let shown = |parameter: &Parameter| match sample(parameter, invented.as_ref()) {
        Some(value) => word(&value),
        None => shell::quoted(&parameter.name.to_uppercase()),
    };
    let required = method.parameters.iter().filter(|parameter| parameter.is_required());
    let mut commands = vec![command(method, required.map(shown).collect(), typed)];
    if !method.parameters.is_empty() {
        let all = method.parameters.iter();
        if all.clone().all(|it| is_name(&it.name)) {
            let named = all.clone().map(|it| format!("{}={}", it.name, shown(it)));
            commands.push(command(method, named.collect(), typed));
        }
        let values = all.map(|it| Some((it.name.clone(), sample(it, invented.as_ref())?)));
        if let Some(values) = values.collect::<Option<Vec<_>>>() {
            commands.push(with_document(method, &values, typed));
        }
    }
    commands
}

/// A value for parameters without a type. Older servers say no types: where every default is a number, the
/// others are probably numbers, too; otherwise any value may be the wrong one.
fn invented(method: &Signature) -> Option<Value> {
    let is_untyped = |schema: &Value| *schema == Value::Bool(true);
    if method.result.is_some() || !method.parameters.iter().all(|it| is_untyped(&it.schema)) {
        return Some(json!("text"));
    }
    let mut defaults = method.parameters.iter().filter_map(|it| it.default.as_ref()).peekable();
    (defaults.peek().is_some() && defaults.all(Value::is_number)).then(|| json!(1))
}

/// The examples of the method itself: what each shows, if it says so, and the command.
pub(super) fn given(method: &Signature, typed: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for Example { name, arguments, result, .. } in &method.examples {
        let result = result.as_ref().map(|result| format!("returns {result}"));
        let title = [Some(name.clone()).filter(|name| !name.is_empty()), result];
        let title: Vec<String> = title.into_iter().flatten().collect();
        if !title.is_empty() {
            // What comes behind the end of a comment would be a command.
            lines.push(format!("# {}", title.join(": ").replace(is_hidden, " ")));
        }
        let has_names = arguments.iter().all(|(name, _)| is_name(name));
        lines.push(match has_names {
            true => command(method, named(arguments), typed),
            false => with_document(method, arguments, typed),
        });
    }
    lines
}

fn command(method: &Signature, mut words: Vec<String>, typed: &str) -> String {
    words.insert(0, shell::quoted(&method.name));
    shell::command("rpcd call", &words, typed)
}

fn named(arguments: &[(String, Value)]) -> Vec<String> {
    arguments.iter().map(|(name, value)| format!("{name}={}", word(value))).collect()
}

fn with_document(method: &Signature, arguments: &[(String, Value)], typed: &str) -> String {
    let document: Map<String, Value> = arguments.iter().cloned().collect();
    let document = shell::quoted(&Value::Object(document).to_string());
    command(method, Vec::new(), &format!("-d {document} {typed}"))
}

/// A value of the parameter's type: its default, an example of the schema, or one that is made up.
fn sample(parameter: &Parameter, invented: Option<&Value>) -> Option<Value> {
    match (&parameter.default, &parameter.schema) {
        (Some(default), _) => Some(default.clone()),
        (None, Value::Bool(true)) => invented.cloned(),
        (None, schema) => Some(of_schema(schema, schema, 4)),
    }
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

/// A value as a word of a shell. A text that looks like JSON, or like `NAME=VALUE`, is written as a JSON string.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) if !looks_like_json(text) && !text.contains('=') => shell::quoted(text),
        other => shell::quoted(&other.to_string()),
    }
}

fn looks_like_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) || serde_json::from_str::<Value>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_types_are_known_they_are_not_guessed_unless_every_default_is_a_number() {
        let any = || json!(true);
        let [a, b] = ["a", "b"].map(|name| Parameter::required(name, any()));
        let method = |name: &str, parameters| Signature {
            name: name.to_owned(),
            parameters,
            ..Signature::default()
        };
        let ten = Parameter::optional("c", any(), json!(10));
        let add = method("add", vec![a.clone(), b.clone(), ten.clone()]);
        let expected = [
            "rpcd call add 1 1 -p 7",
            "rpcd call add a=1 b=1 c=10 -p 7",
            r#"rpcd call add -d '{"a":1,"b":1,"c":10}' -p 7"#,
        ];
        assert_eq!(commands(&add, "-p 7"), expected);
        assert_eq!(
            commands(&method("m", vec![a.clone(), b]), ""),
            ["rpcd call m A B", "rpcd call m a=A b=B"]
        );
        let text = Parameter::optional("d", any(), json!("x"));
        let mixed = method("m", vec![a.clone(), ten, text]);
        assert_eq!(commands(&mixed, "")[1], "rpcd call m a=A c=10 d=x");
        // Of a server that says types, anything is fine.
        let echo = Signature { result: Some(any()), ..method("echo", vec![a]) };
        assert_eq!(commands(&echo, "")[0], "rpcd call echo text");
    }

    /// What a shell makes of a command, word by word.
    fn words_in_a_shell(command: &str) -> Vec<String> {
        let script = command.replacen("rpcd call", "printf '%s\\n'", 1);
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_a_server_calls_its_methods_and_parameters_is_never_run_by_the_shell() {
        let evil = "$(echo pwned)`echo pwned`;echo pwned";
        let text = json!({"type": "string"});
        let method = Signature {
            name: evil.to_owned(),
            parameters: vec![
                Parameter::required(evil, text.clone()),
                Parameter::required("-v", json!({"enum": ["--tls"]})),
                Parameter::optional("a", text, json!(evil)),
            ],
            examples: vec![Example {
                name: evil.to_owned(),
                arguments: vec![(evil.to_owned(), json!(evil)), ("a".to_owned(), json!(evil))],
                result: None,
            }],
            ..Signature::default()
        };
        let mut all = commands(&method, "-p 7");
        all.extend(given(&method, "-p 7").into_iter().filter(|line| !line.starts_with('#')));
        assert_eq!(all.len(), 3, "a name that is none has no NAME=VALUE: {all:?}");
        for command in &all {
            let words = words_in_a_shell(command);
            assert!(words.iter().all(|word| word != "pwned"), "{command} {words:?}");
            assert!(words.contains(&evil.to_owned()), "{command} {words:?}");
        }
        let options = words_in_a_shell(&all[0]);
        let expected = ["-p", "7", "--", evil, "text", "--tls"];
        assert_eq!(options, expected, "after -- nothing is an option");
        let option = Signature { name: "--tls".to_owned(), ..Signature::default() };
        assert_eq!(commands(&option, "-p 7"), ["rpcd call -p 7 -- '--tls'"]);
    }

    #[test]
    fn examples_of_the_method_can_be_pasted() {
        let example = |name: &str, arguments: Value, result| Example {
            name: name.to_owned(),
            arguments: arguments.as_object().unwrap().clone().into_iter().collect(),
            result,
        };
        let method = Signature {
            name: "order".to_owned(),
            examples: vec![
                example("two pears", json!({"count": 2, "what": "pears"}), Some(json!({"id": 7}))),
                example("", json!({"code": "12", "note": "it's"}), None),
                example("odd", json!({"a b": 1}), None),
            ],
            ..Signature::default()
        };
        let expected = [
            r#"# two pears: returns {"id":7}"#,
            "rpcd call order count=2 what=pears -p 7",
            r#"rpcd call order code='"12"' note='it'\''s' -p 7"#,
            "# odd",
            r#"rpcd call order -d '{"a b":1}' -p 7"#,
        ];
        assert_eq!(given(&method, "-p 7"), expected);
    }

    #[test]
    fn what_an_example_shows_stays_in_its_comment() {
        let examples = vec![Example {
            name: "two\nreboot\rreboot\u{85}reboot\u{2028}reboot\u{1b}[2K\u{202e}x\tb".to_owned(),
            arguments: Vec::new(),
            result: Some(json!("a\n\u{2029}b")),
        }];
        let method = Signature { name: "m".to_owned(), examples, ..Signature::default() };
        let lines = given(&method, "");
        let said = r#"# two reboot reboot reboot reboot [2K x b: returns "a\n b""#;
        assert_eq!(lines, [said, "rpcd call m"]);
    }
}
