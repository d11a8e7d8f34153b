//! What the list says of a tool: its name, description, schemas and promises, bounded, and without characters that are not seen.

use std::sync::Arc;

use rpc_wire::is_hidden;
use rpc_wire::signature::{Effect, Example, Signature};
use serde_json::{Map, Value, json};

use crate::era::Era;
use crate::schema;

/// Examples of a method that its description shows.
const EXAMPLES: usize = 3;
/// Bytes that a description has in any case; schemas that leave less are too long.
const LEAST_DESCRIPTION: usize = 256;
/// The end of a description that was cut.
const CUT: &str = "… (cut)";

/// An element of the list, as JSON.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    modern: String,
    /// Where it differs.
    legacy: Option<String>,
}

/// Its text in one era, which is not copied.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    entry: Arc<Entry>,
    era: Era,
}

impl AsRef<[u8]> for Listed {
    fn as_ref(&self) -> &[u8] {
        self.json().as_bytes()
    }
}

impl Listed {
    pub(super) fn new(entry: &Arc<Entry>, era: Era) -> Self {
        Self { entry: Arc::clone(entry), era }
    }

    pub(crate) fn json(&self) -> &str {
        self.entry.json(self.era)
    }
}

impl Entry {
    /// # Errors
    /// Clients could not use it, and why.
    pub(super) fn new(
        name: &str,
        signature: &Signature,
        is_result_sure: bool,
        effect: Effect,
        max_bytes: usize,
    ) -> Result<Self, String> {
        if let Some(strange) = signature.parameters.iter().find(|it| !is_taken(&it.name)) {
            let name: String = strange.name.chars().take(100).collect();
            return Err(format!("models do not take the name of its parameter {name:?}"));
        }
        let mut input = schema::input(&signature.parameters);
        let mut output = schema::output(signature).filter(|_| is_result_sure);
        show(&mut input);
        output.iter_mut().for_each(show);
        let entry = |output: Option<&Value>, description: &str| {
            let mut entry = json!({
                "name": name,
                "description": description,
                "inputSchema": input,
                "annotations": annotations(effect),
            });
            if let Some(output) = output {
                entry["outputSchema"] = output.clone();
            }
            entry.to_string()
        };
        let legacy = output.as_ref().filter(|it| !schema::is_of_objects(it)).map(schema::wrapped);
        // The longer of both.
        let bytes = entry(legacy.as_ref().or(output.as_ref()), "").len();
        if bytes + LEAST_DESCRIPTION > max_bytes {
            return Err(format!("its schemas have {bytes} bytes (max_tool_bytes {max_bytes})"));
        }
        let room = (max_bytes - bytes).min((max_bytes / 2).max(LEAST_DESCRIPTION));
        let description = cut(&shown(&description(signature)), room);
        Ok(Self {
            modern: entry(output.as_ref(), &description),
            legacy: legacy.map(|output| entry(Some(&output), &description)),
        })
    }

    pub(super) fn json(&self, era: Era) -> &str {
        match &self.legacy {
            Some(legacy) if !era.is_modern() => legacy,
            _ => &self.modern,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.legacy.as_ref().unwrap_or(&self.modern).len()
    }

    /// Those of both eras.
    pub(super) fn kept_bytes(&self) -> usize {
        self.modern.len() + self.legacy.as_ref().map_or(0, String::len)
    }

    /// Whether earlier versions have its result in an object of its own.
    pub(super) fn wraps(&self) -> bool {
        self.legacy.is_some()
    }
}

/// Whether models take such a name of a parameter: some refuse all tools for one of another.
fn is_taken(name: &str) -> bool {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=64).contains(&name.len()) && name.chars().all(is_usual)
}

fn annotations(effect: Effect) -> Value {
    json!({"readOnlyHint": effect.is_read_only(), "idempotentHint": effect.is_idempotent()})
}

fn description(signature: &Signature) -> String {
    let mut parts = Vec::new();
    if signature.deprecated {
        parts.push("Deprecated.".to_owned());
    }
    parts.push(match signature.doc.is_empty() {
        false => signature.doc.clone(),
        // Clients ask for one.
        true => format!("The method {}, of which nothing is said.", signature.name),
    });
    if signature.stream {
        parts.push(
            "Returns a list of what it sends until it ends, or as far as there is time.".to_owned(),
        );
    }
    parts.extend(signature.examples.iter().take(EXAMPLES).map(example));
    parts.join("\n\n")
}

fn example(example: &Example) -> String {
    let arguments: Map<String, Value> = example.arguments.iter().cloned().collect();
    let name = if example.name.is_empty() { String::new() } else { format!(" ({})", example.name) };
    let result = example.result.as_ref().map(|result| format!(" returns {result}"));
    format!("Example{name}: {}{}", Value::Object(arguments), result.unwrap_or_default())
}

/// The text without characters that are not seen, or control what shows it.
fn shown(text: &str) -> String {
    text.chars().filter(|&c| c == '\n' || c == '\t' || !is_hidden(c)).collect()
}

/// The same of what a schema says to people.
fn show(schema: &mut Value) {
    match schema {
        Value::Array(values) => values.iter_mut().for_each(show),
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match (key.as_str(), value) {
                    ("description" | "title" | "$comment", Value::String(text)) => {
                        *text = shown(text);
                    }
                    // Data.
                    ("default" | "const" | "enum" | "examples", _) => {}
                    (_, value) => show(value),
                }
            }
        }
        _ => {}
    }
}

/// The start of a text that has no more than so many bytes as JSON.
fn cut(text: &str, max_bytes: usize) -> String {
    let bytes = |c: char| if matches!(c, '"' | '\\' | '\n' | '\t') { 2 } else { c.len_utf8() };
    let mut room = max_bytes;
    for (at, c) in text.char_indices() {
        match room.checked_sub(bytes(c)) {
            Some(rest) => room = rest,
            None => {
                let start = text.get(..at).unwrap_or_default();
                let most = start.len().saturating_sub(CUT.len());
                return start.get(..start.floor_char_boundary(most)).unwrap_or_default().to_owned()
                    + CUT;
            }
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use rpc_wire::signature::Parameter;

    use super::*;

    const MAX_BYTES: usize = 2000;

    fn entry(signature: &Signature) -> Result<Value, String> {
        let entry = Entry::new("x", signature, true, Effect::ReadOnly, MAX_BYTES)?;
        assert!(entry.json(Era::Legacy).len() <= MAX_BYTES && entry.bytes() <= MAX_BYTES);
        Ok(serde_json::from_str(entry.json(Era::Modern)).unwrap())
    }

    #[test]
    fn a_description_is_cut_and_says_so_and_schemas_that_are_too_long_are_none() {
        for doc in ["x".repeat(5000), "\"\n".repeat(5000), "ü".repeat(5000)] {
            let long = Signature { doc: doc.clone(), ..Signature::default() };
            let description = entry(&long).unwrap()["description"].as_str().unwrap().to_owned();
            let start = description.strip_suffix(CUT).unwrap();
            assert!(doc.starts_with(start) && start.len() > 400, "{description}");
        }
        let result = json!({"type": "string", "enum": ["x".repeat(2000)]});
        let long = Signature { result: Some(result), ..Signature::default() };
        assert!(entry(&long).unwrap_err().contains("max_tool_bytes"));
    }

    #[test]
    fn what_controls_a_terminal_or_is_not_seen_is_not_in_what_people_read() {
        let mut parameter = Parameter::required(
            "a",
            json!({"type": "object", "properties": {"b": {"title": "\u{9b}2J"}}, "default": "\u{7}"}),
        );
        parameter.doc = "of\u{202e} a".to_owned();
        let signature = Signature {
            doc: "\u{1b}[31mRed\r\nand \u{e0041}more".to_owned(),
            parameters: vec![parameter],
            ..Signature::default()
        };
        let entry = entry(&signature).unwrap();
        assert_eq!(entry["description"], "[31mRed\nand more");
        let schema = &entry["inputSchema"]["properties"]["a"];
        assert_eq!((&schema["description"], &schema["default"]), (&json!("of a"), &json!("\u{7}")));
        assert_eq!(schema["properties"]["b"]["title"], "2J");
    }

    #[test]
    fn a_parameter_that_models_refuse_is_no_tool_of() {
        for name in ["", "a b", "größe", &"x".repeat(65)] {
            let parameters = vec![Parameter::required(name, json!({}))];
            let signature = Signature { parameters, ..Signature::default() };
            assert!(entry(&signature).unwrap_err().contains("parameter"), "{name}");
        }
    }
}
