//! Commands that call a method, to be pasted into a shell.

use rpc_wire::call::{Words, is_name};
use rpc_wire::is_hidden;
use rpc_wire::shell_word;
use rpc_wire::signature::{Example, Parameter, Signature, referred};
use serde_json::{Map, Value, json};

use crate::shell;

/// Commands that call the method, with the target as it was typed: required arguments by position, all by
/// name, and as one document.
pub(super) fn commands(method: &Signature, typed: &str) -> Vec<String> {
    let invented = invented(method);
    let shown = |parameter: &Parameter| match sample(parameter, invented.as_ref()) {
        Some(value) => word(&value),
        None => shell_word(&parameter.name.to_uppercase()),
    };
    let required = method.parameters.iter().filter(|parameter| parameter.is_required());
    let mut commands = vec![command(method, required.map(shown).collect(), typed)];
    if !method.parameters.is_empty() {
        let all = method.parameters.iter();
        if all.clone().all(|it| is_name(&it.name)) {
            let named = all.clone().map(|it| match sample(it, invented.as_ref()) {
                Some(value) => assignment(method, &it.name, &value),
                None => format!("{}={}", it.name, shown(it)),
            });
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
        let named =
            || arguments.iter().map(|(name, value)| assignment(method, name, value)).collect();
        lines.push(match has_names {
            true => command(method, named(), typed),
            false => with_document(method, arguments, typed),
        });
    }
    lines
}

fn command(method: &Signature, mut words: Vec<String>, typed: &str) -> String {
    words.insert(0, shell_word(&method.name));
    shell::command("rpcd call", &words, typed)
}

/// `NAME=VALUE` where it is read as that value, else `NAME:=JSON`.
fn assignment(method: &Signature, name: &str, value: &Value) -> String {
    let written = match value {
        Value::String(text) if is_plain(text) => text.clone(),
        other => other.to_string(),
    };
    let read = Words::new([format!("{name}={written}")]).and_then(|it| it.read(Some(method)));
    let read = read.ok().and_then(|args| serde_json::from_str::<Value>(args.keyword()).ok());
    match read.as_ref().and_then(|read| read.get(name)) == Some(value) {
        true => format!("{name}={}", shell_word(&written)),
        false => format!("{name}:={}", shell_word(&value.to_string())),
    }
}

fn with_document(method: &Signature, arguments: &[(String, Value)], typed: &str) -> String {
    let document: Map<String, Value> = arguments.iter().cloned().collect();
    let document = shell_word(&Value::Object(document).to_string());
    command(method, Vec::new(), &format!("-d {document} {typed}"))
}

/// A value of the parameter's type: its default, an example of the schema, or one that is made up.
fn sample(parameter: &Parameter, invented: Option<&Value>) -> Option<Value> {
    match (&parameter.default, &parameter.schema) {
        (Some(default), _) => Some(default.clone()),
        (None, Value::Bool(true)) => invented.cloned(),
        (None, schema) => Some(of_schema(schema, schema, DEPTH).unwrap_or_default()),
    }
}

/// References and levels that an invented value follows.
const DEPTH: usize = 8;
/// Levels of them at which properties that may be left out are.
const BRIEF: usize = 4;

/// A value of that schema; `None`: it is too deep.
fn of_schema(schema: &Value, root: &Value, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let first = |key: &str| schema.get(key).and_then(Value::as_array).and_then(|all| all.first());
    let given = ["default", "const"].iter().find_map(|key| schema.get(*key));
    if let Some(value) = given.or_else(|| first("examples")).or_else(|| first("enum")) {
        return Some(value.clone());
    }
    if let Some(reference) = schema["$ref"].as_str().filter(|to| to.starts_with('#')) {
        return referred(root, reference)
            .map_or(Some(Value::Null), |to| of_schema(to, root, depth));
    }
    if let Some(either) = first("anyOf").or_else(|| first("oneOf")) {
        return of_schema(either, root, depth);
    }
    let name = schema["type"].as_str().or_else(|| first("type").and_then(Value::as_str));
    Some(match name {
        Some("integer" | "number") => match &schema["minimum"] {
            Value::Number(least) if least.as_f64() > Some(1.0) => json!(least),
            _ => json!(1),
        },
        Some("boolean") => json!(true),
        Some("array") => {
            let item = schema.get("items").and_then(|items| of_schema(items, root, depth));
            Value::Array(item.into_iter().collect())
        }
        Some("object") => {
            let required = schema["required"].as_array();
            let is_wanted = |name: &str| {
                depth >= BRIEF || required.is_some_and(|all| all.iter().any(|it| it == name))
            };
            let properties = schema["properties"].as_object().into_iter().flatten();
            let pair = |(name, schema): (&String, &Value)| {
                let value = is_wanted(name).then(|| of_schema(schema, root, depth))?;
                Some((name.clone(), value?))
            };
            Value::Object(properties.filter_map(pair).collect())
        }
        Some("null") => Value::Null,
        _ => json!("text"),
    })
}

/// A value as a word of a shell. A text that looks like JSON, or like `NAME=VALUE`, is written as a JSON string.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => shell_word(text),
        other => shell_word(&other.to_string()),
    }
}

/// Whether a text is read as itself.
fn is_plain(text: &str) -> bool {
    !looks_like_json(text) && !text.contains('=')
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

    #[test]
    fn each_command_gives_the_same_arguments() {
        let b = Parameter::optional("b", json!({"type": "string"}), json!(null));
        let method = Signature {
            name: "options".to_owned(),
            parameters: vec![Parameter::required("語", json!({"type": "string"})), b],
            ..Signature::default()
        };
        let expected = [
            "rpcd call options text",
            "rpcd call options 語=text b:=null",
            r#"rpcd call options -d '{"b":null,"語":"text"}'"#,
        ];
        assert_eq!(commands(&method, ""), expected);
    }

    #[test]
    fn an_invented_value_fits_its_schema_however_deep_it_is() {
        let root = json!({
            "type": "array",
            "items": {"type": "object", "properties": {"price": {"$ref": "#/$defs/Money"}}},
            "$defs": {
                "Money": {"type": "object", "required": ["amount"], "properties": {
                    "amount": {"type": "number", "minimum": 5},
                    "currency": {"enum": ["EUR", "USD"], "default": "USD"},
                }},
                "Tree": {"type": "object", "properties": {"child": {"$ref": "#/$defs/Tree"}}},
            },
        });
        let money = json!([{"price": {"amount": 5, "currency": "USD"}}]);
        assert_eq!(of_schema(&root, &root, DEPTH), Some(money));
        let tree = of_schema(&root["$defs"]["Tree"], &root, DEPTH);
        assert_eq!(tree, Some(json!({"child": {"child": {}}})));
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
        assert_eq!(commands(&option, "-p 7"), ["rpcd call -p 7 -- --tls"]);
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
