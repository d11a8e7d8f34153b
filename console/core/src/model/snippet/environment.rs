//! References to the process environment in a copied call: its values are read where the copy runs.

use rpc_wire::call::Args;
use rpc_wire::shell_word;

use crate::model::template;

/// Around the name of a variable. Unicode reserves them for the use inside of programs.
const MARKS: [char; 2] = ['\u{FDD0}', '\u{FDD1}'];

/// A part of a text with marked names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Text(&'a str),
    /// The name of a variable.
    Variable(&'a str),
    /// The path of a file, whose text it is.
    File(&'a str),
}

/// The arguments as sent, with marked names in place of the values of the process environment.
///
/// # Errors
/// They hold characters that are used as marks.
pub fn marked(args: &Args) -> Result<Args, String> {
    if [args.positional(), args.keyword()].iter().any(|json| json.contains(MARKS)) {
        return Err("characters that are not for text cannot be copied".to_owned());
    }
    template::resolve(args, |name| Some(mark(name)))
}

/// The name of a variable, or `file:` and a path, which no name is, with marks.
pub(super) fn mark(name: &str) -> String {
    let [start, end] = MARKS;
    format!("{start}{name}{end}")
}

/// Splits a text at its marks.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    for (at, part) in text.split(MARKS).enumerate() {
        match at % 2 {
            1 => found.push(match part.strip_prefix("file:") {
                Some(path) => Part::File(path),
                None => Part::Variable(part),
            }),
            _ if part.is_empty() => {}
            _ => found.push(Part::Text(part)),
        }
    }
    found
}

/// Quotes a word for a POSIX shell, with `"$NAME"` for a marked name.
///
/// # Errors
/// A name that is none in a shell.
pub(super) fn shell(word: &str) -> Result<String, String> {
    let is_name = |name: &str| !name.contains('-');
    let mut quoted = String::new();
    for part in parts(word) {
        match part {
            Part::Text(text) => quoted.push_str(&shell_word(text)),
            Part::Variable(name) if is_name(name) => quoted.push_str(&format!("\"${name}\"")),
            Part::File(path) => quoted.push_str(&format!("\"$(cat {})\"", shell_word(path))),
            Part::Variable(name) => return Err(format!("a shell has no variable named {name}")),
        }
    }
    Ok(if quoted.is_empty() { shell_word(word) } else { quoted })
}

/// JSON as an expression of Python.
pub(super) fn python(json: &str) -> String {
    // A JSON string is a valid Python string.
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let expressions = parts(json).into_iter().map(|part| match part {
        Part::Text(part) => text(part),
        Part::Variable(name) => format!("json.dumps(os.environ[{}])[1:-1]", text(name)),
        Part::File(path) => format!("json.dumps(open({}).read().strip())[1:-1]", text(path)),
    });
    expressions.collect::<Vec<_>>().join(" + ")
}

#[cfg(test)]
mod tests {
    use super::super::{Format, Snippet, tests};
    use super::*;
    use serde_json::{Map, json};

    fn snippet(text: &str) -> Snippet {
        let args = Args::from_values(&[json!(text)], &Map::new());
        Snippet {
            method: "hello".to_owned(),
            parameters: vec!["name".to_owned()],
            args,
            ..tests::snippet()
        }
    }

    fn run(program: &str, script: &str) -> Option<String> {
        let mut command = std::process::Command::new(program);
        let output = command.args(["-c", script]).env("TOKEN", "s3 $cret*'").output().ok()?;
        Some(String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn a_copied_command_reads_the_variable_where_it_runs() {
        let snippet = snippet("it's {{env:TOKEN}} {{=user}}");
        let command = snippet.write(Format::Rpcd).unwrap();
        assert!(command.contains(r#""$TOKEN""#) && !command.contains("env:"), "{command}");
        let word = command.replace("rpcd call", "printf '%s\\n'");
        let shown = run("sh", &word).unwrap();
        assert_eq!(shown.lines().last(), Some(r#""it's s3 $cret*' {{user}}""#));
        let nc = snippet.write(Format::Netcat).unwrap();
        let sent = run("sh", nc.split_once(" | ").unwrap().0).unwrap();
        assert!(sent.contains(r#"["it's s3 $cret*' {{user}}"]"#), "{sent}");
        // The request as JSON has no shell around it: it keeps the reference.
        assert!(snippet.write(Format::Wire).unwrap().contains("{{env:TOKEN}}"));
    }

    #[test]
    fn a_copied_program_reads_it_too() {
        let snippet = snippet("Bearer {{env:TOKEN}}");
        let rust = snippet.write(Format::Rust).unwrap();
        let word = r#"format!("\"Bearer {}\"", std::env::var("TOKEN")?).as_str()"#;
        assert!(rust.contains(word), "{rust}");
        let python = snippet.write(Format::Python).unwrap();
        let expression =
            python.split("sendall((").nth(1).and_then(|rest| rest.split(").enc").next());
        let script = format!("import json, os\nprint(({}))", expression.unwrap());
        if let Some(sent) = run("python3", &script) {
            assert!(sent.contains(r#"["Bearer s3 $cret*'"]"#), "{python}{sent}");
        }
    }

    #[test]
    fn a_name_that_no_shell_has_and_a_text_with_marks_are_refused() {
        let error = snippet("{{env:A-B}}").write(Format::Rpcd).unwrap_err();
        assert_eq!(error, "a shell has no variable named A-B");
        assert!(snippet("\u{FDD0}").write(Format::Rpcd).is_err());
    }
}
