//! The documentation of a method as lines: its text, parameters, result and examples.

use std::sync::Arc;

use rpc_wire::signature::{Effect, Parameter, Signature};
use serde_json::Value;

use super::schema::{Schema, Visits};
use crate::text;

/// Objects inside deeper ones are not listed: some schemas contain themselves.
const MAX_DEPTH: usize = 4;
/// Maximum lines of properties of a parameter or the result.
const MAX_PROPERTIES: usize = 200;
/// Maximum example calls shown.
const MAX_LISTED: usize = 20;
/// Maximum example values shown.
const MAX_EXAMPLES: usize = 3;
/// Maximum text of a documentation, in bytes: it is wrapped for every frame. The rest is cut.
const MAX_BYTES: usize = 64 * 1024;
/// Maximum lines of a documentation; further ones are cut.
const MAX_LINES: usize = 2_000;
/// Parts of the schemas of a method visited at most: the types of further ones are shown as `any`.
const MAX_VISITS: usize = 10_000;
/// Maximum length of a value shown in a line, in bytes; the rest is cut.
const MAX_VALUE_BYTES: usize = 1_024;

/// A line of a documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocLine {
    /// What it is, for its style.
    pub kind: DocKind,
    /// The text, printable and at most as wide as asked for.
    pub text: String,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocKind {
    /// The call, or a heading.
    Heading,
    /// A sentence.
    Text,
    /// A name and its type.
    Name,
}

/// What there is to read about a method.
#[derive(Debug, Clone, Default)]
pub struct Docs {
    /// Its signature.
    pub signature: Arc<Signature>,
    /// Who has it.
    pub offered: Offered,
}

/// Which instances of its service have a method.
#[derive(Debug, Clone, Default)]
pub struct Offered {
    /// The name of the service; empty if it has none.
    pub service: String,
    /// Number of instances that have it.
    pub have: usize,
    /// Number of instances of the service.
    pub all: usize,
    /// The first of them, and whether they take other arguments than most.
    pub on: Vec<(String, bool)>,
}

/// The documentation of a method, at most `width` cells wide.
pub fn docs(docs: &Docs, width: usize) -> Vec<DocLine> {
    let signature = &docs.signature;
    let visits = Visits::new(MAX_VISITS);
    let mut page = Page { lines: Vec::new(), width, room: MAX_BYTES, visits: &visits };
    page.add(DocKind::Heading, 0, &page.call_of(signature));
    page.paragraphs(0, &signature.doc);
    let properties = properties(signature).join(", ");
    if !properties.is_empty() {
        page.add(DocKind::Name, 0, &properties);
    }
    if !signature.parameters.is_empty() {
        page.heading("Parameters");
    }
    for parameter in &signature.parameters {
        page.parameter(parameter);
    }
    if let Some(result) = signature.result.as_ref().filter(|result| !result.is_boolean()) {
        page.heading(if signature.stream { "Items" } else { "Result" });
        let schema = Schema::new(result, &visits);
        page.add(DocKind::Name, 2, &schema.type_name());
        page.details(schema, schema.description(), 4);
    }
    page.examples(signature);
    page.offered(&docs.offered);
    page.lines
}

/// What a method says of itself: what it changes, and whether it is deprecated.
pub fn properties(signature: &Signature) -> Vec<&'static str> {
    let effect = match signature.effect {
        Effect::ReadOnly => Some("read-only"),
        Effect::Idempotent => Some("idempotent"),
        Effect::Unknown => None,
    };
    effect.into_iter().chain(signature.deprecated.then_some("deprecated")).collect()
}

/// A value in a line of its own or beside a name.
fn shown(value: &Value) -> String {
    text::json_cut(value, MAX_VALUE_BYTES)
}

/// Lines being written.
struct Page<'a> {
    lines: Vec<DocLine>,
    width: usize,
    /// Bytes of text that still fit.
    room: usize,
    /// Of all schemas of the method together.
    visits: &'a Visits,
}

impl Page<'_> {
    /// `add(a, b, c = 10) → number`.
    fn call_of(&self, signature: &Signature) -> String {
        let parameter = |parameter: &Parameter| match &parameter.default {
            Some(default) => format!("{} = {}", parameter.name, shown(default)),
            None if parameter.is_required() => parameter.name.clone(),
            None => format!("{}?", parameter.name),
        };
        let parameters: Vec<_> = signature.parameters.iter().map(parameter).collect();
        let result =
            signature.result.as_ref().map(|result| Schema::new(result, self.visits).type_name());
        let stream = if signature.stream { "stream of " } else { "" };
        let result = match result.as_deref() {
            None | Some("any") if signature.stream => " → stream".to_owned(),
            None | Some("any") => String::new(),
            Some(name) => format!(" → {stream}{name}"),
        };
        format!("{}({}){result}", signature.name, parameters.join(", "))
    }

    fn add(&mut self, kind: DocKind, indent: usize, line: &str) {
        if self.is_full() {
            return;
        }
        let shown = text::prefix(line, self.room);
        self.room -= shown.len();
        if shown.len() < line.len() {
            self.room = 0;
        }
        let room = self.width.saturating_sub(indent).max(8);
        for piece in text::wrap_words(&text::printable(shown), room) {
            self.lines.push(DocLine { kind, text: format!("{:indent$}{piece}", "") });
        }
        if self.is_full() {
            self.lines.push(DocLine { kind: DocKind::Text, text: "…".to_owned() });
        }
    }

    fn is_full(&self) -> bool {
        self.room == 0 || self.lines.len() >= MAX_LINES
    }

    fn heading(&mut self, title: &str) {
        self.add(DocKind::Text, 0, "");
        self.add(DocKind::Heading, 0, title);
    }

    fn examples(&mut self, signature: &Signature) {
        if !signature.examples.is_empty() {
            self.heading("Examples");
        }
        for example in signature.examples.iter().take(MAX_LISTED) {
            let arguments = example.arguments.iter().take(MAX_LISTED);
            let arguments = arguments.map(|(name, value)| format!("{name} = {}", shown(value)));
            let arguments = arguments.collect::<Vec<_>>().join(", ");
            let result = example.result.as_ref();
            let result = result.map_or_else(String::new, |value| format!(" → {}", shown(value)));
            let name =
                if example.name.is_empty() { String::new() } else { format!("{}: ", example.name) };
            let call = format!("{name}{}({arguments}){result}", signature.name);
            self.add(DocKind::Name, 2, &call);
        }
    }

    fn offered(&mut self, offered: &Offered) {
        if offered.have == 0 {
            return;
        }
        self.heading("Offered by");
        let of = match &*offered.service {
            "" => String::new(),
            service => format!(" of {service}"),
        };
        let all = text::count(offered.all as u64, "instance", "instances");
        let have = if offered.have < offered.all {
            format!("{} of ", offered.have)
        } else {
            String::new()
        };
        self.add(DocKind::Text, 2, &format!("{have}{all}{of}"));
        for (address, differs) in &offered.on {
            let note = if *differs { "  ≠ takes other arguments" } else { "" };
            self.add(DocKind::Name, 2, &format!("{address}{note}"));
        }
        if offered.have > offered.on.len() {
            self.add(DocKind::Text, 2, &format!("and {} more", offered.have - offered.on.len()));
        }
    }

    fn paragraphs(&mut self, indent: usize, doc: &str) {
        for line in text::prefix(doc, MAX_BYTES).trim_end().lines() {
            if self.is_full() {
                return;
            }
            self.add(DocKind::Text, indent, line.trim_end());
        }
    }

    fn parameter(&mut self, parameter: &Parameter) {
        let schema = Schema::new(&parameter.schema, self.visits);
        let need = match &parameter.default {
            Some(default) => format!("default {}", shown(default)),
            None if parameter.is_required() => "required".to_owned(),
            None => "optional".to_owned(),
        };
        let line = format!("{}  {}, {need}", parameter.name, schema.type_name());
        self.add(DocKind::Name, 2, &line);
        self.details(schema, parameter.description(), 4);
    }

    /// The description, the examples and the properties of a schema.
    fn details(&mut self, schema: Schema<'_>, description: &str, indent: usize) {
        self.paragraphs(indent, description);
        for example in schema.examples().iter().take(MAX_EXAMPLES) {
            self.add(DocKind::Text, indent, &format!("example: {}", shown(example)));
        }
        let end = self.lines.len() + MAX_PROPERTIES;
        self.properties(schema, indent, MAX_DEPTH, end);
    }

    fn properties(&mut self, schema: Schema<'_>, indent: usize, depth: usize, end: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        let schema = schema.element();
        for property in schema.properties() {
            if self.is_full() {
                return;
            }
            if self.lines.len() >= end {
                return self.add(DocKind::Text, indent, "…");
            }
            let need = match (property.schema.default(), property.required) {
                (Some(default), _) => format!(", default {}", shown(default)),
                (None, true) => String::new(),
                (None, false) => ", optional".to_owned(),
            };
            let line = format!("{}  {}{need}", property.name, property.schema.type_name());
            self.add(DocKind::Name, indent, &line);
            self.paragraphs(indent + 2, property.schema.description());
            self.properties(property.schema, indent + 2, depth, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_hostile_documentation_is_cut() {
        let long = || "word ".repeat(1 << 20);
        let hostile = crate::model::schema::hostile();
        let parameters = (0..64).map(|at| Parameter {
            default: Some(json!(vec![0; 1 << 16])),
            ..Parameter::required(format!("p{at}"), hostile[at % hostile.len()].clone())
        });
        let signature = Signature { parameters: parameters.collect(), ..Signature::default() };
        for doc in [String::new(), long(), "\n".repeat(4 << 20), long().replace(' ', "\n")] {
            let page = Docs {
                signature: Arc::new(Signature { doc, ..signature.clone() }),
                ..Docs::default()
            };
            let lines = docs(&page, 80);
            assert!(lines.len() <= 3 * MAX_LINES, "{}", lines.len());
            let text: usize = lines.iter().map(|line| line.text.len()).sum();
            assert!(text <= 3 * MAX_BYTES, "{text}");
            assert!(lines.iter().any(|line| line.text == "…"), "it says that something is cut");
        }
    }

    #[test]
    fn everything_that_is_known_of_a_method_is_shown() {
        let customer = json!({"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string", "description": "As on the card."},
            "tags": {"type": "array", "items": {"type": "string"}},
        }});
        let signature = Signature {
            name: "order".to_owned(),
            doc: "Orders.\n\nMore than one line of it, which is wrapped at words.".to_owned(),
            parameters: vec![
                Parameter {
                    doc: "Who pays.".to_owned(),
                    ..Parameter::required("customer", customer)
                },
                Parameter::optional("count", json!({"type": "integer", "examples": [3]}), json!(1)),
                Parameter {
                    required: false,
                    ..Parameter::required("note", json!({"type": "string"}))
                },
            ],
            result: Some(json!({"type": "integer", "description": "The number."})),
            effect: Effect::Idempotent,
            deprecated: true,
            examples: vec![rpc_wire::signature::Example {
                name: "two".to_owned(),
                arguments: vec![("count".to_owned(), json!(2))],
                result: Some(json!(7)),
            }],
            ..Signature::default()
        };
        let offered = Offered {
            service: "shop".to_owned(),
            have: 3,
            all: 4,
            on: vec![("h:1".to_owned(), false), ("h:2".to_owned(), true)],
        };
        let page = Docs { signature: Arc::new(signature), offered };
        let lines: Vec<_> = docs(&page, 34).into_iter().map(|line| line.text).collect();
        let expected = "\
order(customer, count = 1, note?)
→ integer
Orders.

More than one line of it, which is
wrapped at words.
idempotent, deprecated

Parameters
  customer  object, required
    Who pays.
    name  text
      As on the card.
    tags  list of text, optional
  count  integer, default 1
    example: 3
  note  text, optional

Result
  integer
    The number.

Examples
  two: order(count = 2) → 7

Offered by
  3 of 4 instances of shop
  h:1
  h:2  ≠ takes other arguments
  and 1 more";
        assert_eq!(lines.join("\n"), expected);
    }
}
