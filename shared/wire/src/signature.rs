//! What discovery lists: a method's name, parameters, types, defaults and docs, in the classic
//! form every server has and as an OpenRPC document.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// What a caller needs to know of a method.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Signature {
    /// Its name.
    pub name: String,
    /// Its documentation; the first line is a summary. Empty when unknown.
    pub doc: String,
    /// Its parameters in order, required ones first.
    pub parameters: Vec<Parameter>,
    /// The JSON Schema of the result; `None` when unknown.
    pub result: Option<Value>,
    /// Whether it returns a stream.
    pub stream: bool,
}

/// One parameter of a method.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name, also as a keyword.
    pub name: String,
    /// Its documentation; empty when unknown.
    pub doc: String,
    /// Its JSON Schema; `true` (anything) when unknown.
    pub schema: Value,
    /// Whether it must be given.
    pub required: bool,
    /// Its value when omitted; `None`: it is required, or only the server knows.
    pub default: Option<Value>,
}

impl Parameter {
    /// A parameter that must be given.
    pub fn required(name: impl Into<String>, schema: Value) -> Self {
        Self { name: name.into(), doc: String::new(), schema, required: true, default: None }
    }

    /// A parameter that may be omitted.
    pub fn optional(name: impl Into<String>, schema: Value, default: Value) -> Self {
        Self { required: false, default: Some(default), ..Self::required(name, schema) }
    }

    /// Whether it must be given.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Its documentation, else the description in its schema; empty when unknown.
    pub fn description(&self) -> &str {
        let in_schema = || self.schema.get("description").and_then(Value::as_str);
        if self.doc.is_empty() { in_schema().unwrap_or_default() } else { &self.doc }
    }
}

/// A discovery document that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its method list is not in the expected format")]
pub struct NotAMethodList;

/// The reply to `all_your_methods` as JSON text: keys and parameters in the older system's order.
pub fn to_classic<'a>(signatures: impl IntoIterator<Item = &'a Signature>) -> String {
    let entries: Vec<ClassicEntry> = signatures
        .into_iter()
        .map(|signature| {
            let (required, optional): (Vec<_>, Vec<_>) =
                signature.parameters.iter().partition(|parameter| parameter.is_required());
            let default = |p: &Parameter| (p.name.clone(), p.default.clone().unwrap_or_default());
            ClassicEntry {
                method_name: signature.name.clone(),
                method_args: required.into_iter().map(|parameter| parameter.name.clone()).collect(),
                method_kwargs: Ordered(optional.into_iter().map(default).collect()),
            }
        })
        .collect();
    // Strings and values in memory always serialise.
    serde_json::to_string(&entries).unwrap_or_else(|_| "[]".to_owned())
}

/// Reads the reply to `all_your_methods`. Types are unknown, so every schema is `true`.
///
/// # Errors
/// It is not a list of methods.
pub fn from_classic(list: &str) -> Result<Vec<Signature>, NotAMethodList> {
    let entries: Vec<ClassicEntry> = serde_json::from_str(list).map_err(|_| NotAMethodList)?;
    let signature = |entry: ClassicEntry| {
        let anything = || Value::Bool(true);
        let required = entry.method_args.into_iter().map(|n| Parameter::required(n, anything()));
        let optional = entry.method_kwargs.0.into_iter();
        let optional = optional.map(|(n, d)| Parameter::optional(n, anything(), d));
        Signature {
            name: entry.method_name,
            parameters: required.chain(optional).collect(),
            ..Signature::default()
        }
    };
    Ok(entries.into_iter().map(signature).collect())
}

#[derive(Serialize, Deserialize)]
struct ClassicEntry {
    method_name: String,
    #[serde(default)]
    method_args: Vec<String>,
    #[serde(default)]
    method_kwargs: Ordered,
}

/// A JSON object that keeps its order: for optional parameters it is their position in a call.
#[derive(Default)]
struct Ordered(Vec<(String, Value)>);

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct OrderedVisitor;
        impl<'de> Visitor<'de> for OrderedVisitor {
            type Value = Ordered;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of names and defaults")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        input.deserialize_map(OrderedVisitor)
    }
}

/// The OpenRPC document: the reply to `rpc.discover` and to `GET /openrpc.json`. A method that
/// returns a stream has `"x-stream": true`.
pub fn to_openrpc<'a>(
    title: &str,
    version: &str,
    signatures: impl IntoIterator<Item = &'a Signature>,
) -> Value {
    let parameter = |parameter: &Parameter| {
        let mut schema = parameter.schema.clone();
        if let Some(default) = &parameter.default {
            if schema == Value::Bool(true) {
                schema = json!({});
            }
            if let Some(schema) = schema.as_object_mut() {
                schema.insert("default".to_owned(), default.clone());
            }
        }
        let mut written =
            json!({"name": parameter.name, "required": parameter.is_required(), "schema": schema});
        if !parameter.doc.is_empty() {
            written["description"] = json!(parameter.doc);
        }
        written
    };
    let method = |signature: &Signature| {
        let mut method = json!({
            "name": signature.name,
            "paramStructure": "either",
            "params": signature.parameters.iter().map(parameter).collect::<Vec<_>>(),
            "result": {
                "name": "result",
                "schema": signature.result.clone().unwrap_or(Value::Bool(true)),
            },
        });
        if let Some(summary) = signature.doc.lines().next() {
            method["summary"] = json!(summary);
            method["description"] = json!(signature.doc);
        }
        if signature.stream {
            method["x-stream"] = json!(true);
        }
        method
    };
    json!({
        "openrpc": "1.3.2",
        "info": {"title": title, "version": version},
        "methods": signatures.into_iter().map(method).collect::<Vec<_>>(),
    })
}

/// Reads an OpenRPC document.
///
/// # Errors
/// It has no list of methods, or an entry is invalid.
pub fn from_openrpc(document: &str) -> Result<Vec<Signature>, NotAMethodList> {
    #[derive(Deserialize)]
    struct Document {
        methods: Vec<Method>,
    }
    #[derive(Deserialize)]
    struct Method {
        name: String,
        #[serde(default)]
        summary: String,
        #[serde(default)]
        description: String,
        #[serde(default)]
        params: Vec<Param>,
        #[serde(default)]
        result: Option<Content>,
        #[serde(default, rename = "x-stream")]
        stream: bool,
    }
    #[derive(Deserialize)]
    struct Param {
        name: String,
        #[serde(default)]
        summary: String,
        #[serde(default)]
        description: String,
        #[serde(default)]
        required: bool,
        #[serde(default = "anything")]
        schema: Value,
    }
    #[derive(Deserialize)]
    struct Content {
        #[serde(default)]
        description: String,
        #[serde(default = "anything")]
        schema: Value,
    }
    fn anything() -> Value {
        Value::Bool(true)
    }
    let document: Document = serde_json::from_str(document).map_err(|_| NotAMethodList)?;
    let parameter = |param: Param| {
        let mut schema = param.schema;
        let default = schema.as_object_mut().and_then(|schema| schema.remove("default"));
        let default = default.filter(|_| !param.required);
        if schema == json!({}) {
            schema = anything();
        }
        let doc = documentation(param.summary, param.description);
        Parameter { name: param.name, doc, schema, required: param.required, default }
    };
    let result = |content: Content| {
        let mut schema = content.schema;
        if let Some(schema) = schema.as_object_mut().filter(|_| !content.description.is_empty()) {
            schema.entry("description").or_insert(content.description.into());
        }
        schema
    };
    let signature = |method: Method| Signature {
        name: method.name,
        doc: documentation(method.summary, method.description),
        parameters: method.params.into_iter().map(parameter).collect(),
        result: method.result.map(result),
        stream: method.stream,
    };
    Ok(document.methods.into_iter().map(signature).collect())
}

/// Summary and description as one text: most descriptions repeat the summary as their first line.
fn documentation(summary: String, description: String) -> String {
    let summary = summary.trim();
    if summary.is_empty() || description.starts_with(summary) {
        description
    } else if description.is_empty() {
        summary.to_owned()
    } else {
        format!("{summary}\n\n{description}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add() -> Signature {
        Signature {
            name: "add".to_owned(),
            doc: "Adds.\n\nAll of them.".to_owned(),
            parameters: vec![
                Parameter::required("a", json!({"type": "number"})),
                Parameter::required("b", json!({"type": "number"})),
                Parameter::optional("c", json!({"type": "number"}), json!(10)),
            ],
            result: Some(json!({"type": "number"})),
            stream: false,
        }
    }

    #[test]
    fn the_classic_list_is_that_of_the_older_system() {
        assert_eq!(
            to_classic([&add()]),
            r#"[{"method_name":"add","method_args":["a","b"],"method_kwargs":{"c":10}}]"#
        );
    }

    #[test]
    fn names_defaults_and_their_order_survive_the_classic_form() {
        let mut method = add();
        method.parameters.push(Parameter::optional("a2", json!(true), json!(null)));
        let read = from_classic(&to_classic([&method])).unwrap();
        let names: Vec<_> = read[0].parameters.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "a2"]);
        assert_eq!(read[0].parameters[2].default, Some(json!(10)));
    }

    #[test]
    fn everything_survives_an_openrpc_document() {
        let ticks = Signature {
            name: "ticks".to_owned(),
            stream: true,
            result: Some(json!(true)),
            ..Signature::default()
        };
        let document = to_openrpc("t", "1", [&add(), &ticks]);
        assert_eq!(from_openrpc(&document.to_string()).unwrap(), [add(), ticks]);
    }

    #[test]
    fn a_default_of_null_is_kept() {
        let mut optional = add();
        optional.parameters = vec![Parameter::optional("x", json!(true), Value::Null)];
        let document = to_openrpc("t", "1", [&optional]).to_string();
        assert_eq!(from_openrpc(&document).unwrap(), [optional]);
    }

    #[test]
    fn a_summary_a_description_and_an_unknown_default_are_read() {
        let document = r#"{"methods": [
            {"name": "a", "summary": "Short.", "params": [
                {"name": "x", "description": "Of x.", "schema": {"type": "integer"}},
                {"name": "y", "required": true, "schema": {"description": "Of y."}}
            ]},
            {"name": "b", "summary": "Short.", "description": "Short.\nLong."},
            {"name": "c", "summary": "Short.", "description": "Long.",
             "result": {"name": "r", "description": "Of r.", "schema": {"type": "string"}}}
        ]}"#;
        let read = from_openrpc(document).unwrap();
        let docs: Vec<_> = read.iter().map(|method| method.doc.as_str()).collect();
        assert_eq!(docs, ["Short.", "Short.\nLong.", "Short.\n\nLong."]);
        let [x, y] = &read[0].parameters[..] else { panic!("{read:?}") };
        assert_eq!((x.description(), y.description()), ("Of x.", "Of y."));
        assert_eq!((x.is_required(), &x.default), (false, &None), "no default is made up");
        assert_eq!(read[2].result, Some(json!({"type": "string", "description": "Of r."})));
        let again = from_openrpc(&to_openrpc("t", "1", &read).to_string()).unwrap();
        assert_eq!(again[0].parameters, read[0].parameters);
    }

    #[test]
    fn anything_else_is_an_error() {
        for other in ["null", "[1]", r#"{"methods":[{}]}"#, "oops"] {
            assert!(from_openrpc(other).is_err(), "{other}");
            assert!(from_classic(other).is_err(), "{other}");
        }
    }
}
