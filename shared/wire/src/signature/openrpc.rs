//! The method list as an OpenRPC document.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Effect, Example, NotAMethodList, Parameter, Signature};

/// The OpenRPC document: the reply to `rpc.discover` and to `GET /openrpc.json`. A method that
/// returns a stream has `"x-stream": true`; [`Effect`] is `"x-read-only"` and `"x-idempotent"`.
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
    let example = |example: &Example| {
        let named = |(name, value): &(String, Value)| json!({"name": name, "value": value});
        let mut written = json!({
            "name": example.name,
            "params": example.arguments.iter().map(named).collect::<Vec<_>>(),
        });
        if let Some(result) = &example.result {
            written["result"] = json!({"name": "result", "value": result});
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
        let mut mark = |key: &str, holds: bool| {
            if holds {
                method[key] = json!(true);
            }
        };
        mark("x-stream", signature.stream);
        mark("x-read-only", signature.effect.is_read_only());
        mark("x-idempotent", signature.effect.is_idempotent());
        mark("deprecated", signature.deprecated);
        if !signature.examples.is_empty() {
            method["examples"] = signature.examples.iter().map(example).collect();
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
        #[serde(default, rename = "x-read-only")]
        read_only: bool,
        #[serde(default, rename = "x-idempotent")]
        idempotent: bool,
        #[serde(default)]
        deprecated: bool,
        #[serde(default)]
        examples: Vec<Value>,
    }
    #[derive(Deserialize)]
    struct Pairing {
        #[serde(default)]
        name: String,
        #[serde(default)]
        params: Vec<Named>,
        #[serde(default)]
        result: Option<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        #[serde(default)]
        name: String,
        value: Value,
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
    let example = |value: Value| {
        let pairing: Pairing = serde_json::from_value(value).ok()?;
        Some(Example {
            name: pairing.name,
            arguments: pairing.params.into_iter().map(|named| (named.name, named.value)).collect(),
            result: pairing.result.map(|named| named.value),
        })
    };
    let signature = |method: Method| Signature {
        name: method.name,
        doc: documentation(method.summary, method.description),
        parameters: method.params.into_iter().map(parameter).collect(),
        result: method.result.map(result),
        stream: method.stream,
        effect: match (method.read_only, method.idempotent) {
            (true, _) => Effect::ReadOnly,
            (false, true) => Effect::Idempotent,
            (false, false) => Effect::Unknown,
        },
        deprecated: method.deprecated,
        // An example of another form (a reference, say) is left out; the method is still usable.
        examples: method.examples.into_iter().filter_map(example).collect(),
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
