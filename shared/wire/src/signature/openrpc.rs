//! The method list as an OpenRPC document.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{NotAMethodList, Parameter, Signature};

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
