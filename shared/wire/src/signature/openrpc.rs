//! The method list as an OpenRPC document.

mod components;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::room::Room;
use super::{
    Effect, Example, MAX_PARAMETERS, NotAMethodList, ParamStructure, Parameter, SHOWN, Signature,
    null_is_none,
};
use components::{Components, Definitions};

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
    let example = |(at, example): (usize, &Example)| {
        let named = |(name, value): &(String, Value)| json!({"name": name, "value": value});
        let name = if example.name.is_empty() { &unnamed(at) } else { &example.name };
        let mut written = json!({
            "name": name,
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
            "paramStructure": signature.param_structure.word(),
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
            method["examples"] = signature.examples.iter().enumerate().map(example).collect();
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
/// A schema, an example or a default over 64 KiB, or beyond [`MAX_MEMORY`](super::MAX_MEMORY) of them all, is
/// left out: `true` stands for the schema. So is a parameter behind the [`MAX_PARAMETERS`] first, and an entry that
/// is a [reference](references) and no method.
///
/// # Errors
/// It has no list of methods, or an entry is invalid.
pub fn from_openrpc(document: &str) -> Result<Vec<Signature>, NotAMethodList> {
    from_openrpc_within(document, usize::MAX)
}

/// How many entries among the methods of an OpenRPC document are references, `{"$ref": "…"}`.
pub fn references(document: &str) -> usize {
    #[derive(Deserialize)]
    struct Document<'a> {
        #[serde(borrow)]
        methods: Vec<&'a RawValue>,
    }
    let document = serde_json::from_str::<Document<'_>>(document);
    let is_reference = |method: &&&RawValue| components::is_reference(method);
    document.map_or(0, |document| document.methods.iter().filter(is_reference).count())
}

/// The same of the first `max_methods` methods.
///
/// # Errors
/// As [`from_openrpc`].
pub fn from_openrpc_within(
    document: &str,
    max_methods: usize,
) -> Result<Vec<Signature>, NotAMethodList> {
    #[derive(Deserialize)]
    struct Document<'a> {
        #[serde(borrow)]
        methods: Vec<&'a RawValue>,
        #[serde(borrow, default)]
        components: Option<&'a RawValue>,
        #[serde(borrow, default, rename = "$defs")]
        defs: Option<&'a RawValue>,
        #[serde(borrow, default)]
        definitions: Option<&'a RawValue>,
    }
    let document: Document<'_> =
        serde_json::from_str(document).map_err(|error| NotAMethodList::new("document", &error))?;
    // What cannot be read there is nothing that methods need to be called.
    let components = document.components.and_then(|text| serde_json::from_str(text.get()).ok());
    let mut components: Components<'_> = components.unwrap_or_default();
    components.definitions = Definitions::read([document.defs, document.definitions]);
    let mut shared =
        Shared { components, of_method: Definitions::default(), room: Room::default() };
    let methods = document.methods.into_iter().take(max_methods).enumerate();
    methods
        .filter(|(_, method)| !components::is_reference(method))
        .map(|(at, method)| {
            let method: Method<'_> = serde_json::from_str(method.get()).map_err(|error| {
                NotAMethodList::new(&format!("methods[{at}] of the list"), &error)
            })?;
            let name: String = method.name.chars().take(SHOWN).collect();
            signature(method, &mut shared)
                .map_err(|error| error.within(&format!("methods[{at}] {name:?}")))
        })
        .collect()
}

#[derive(Deserialize)]
struct Method<'a> {
    name: String,
    #[serde(default, deserialize_with = "null_is_none")]
    summary: String,
    #[serde(default, deserialize_with = "null_is_none")]
    description: String,
    #[serde(borrow, default, deserialize_with = "null_is_none")]
    params: Vec<&'a RawValue>,
    #[serde(default, deserialize_with = "null_is_none", rename = "paramStructure")]
    param_structure: String,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "null_is_none", rename = "x-stream")]
    stream: bool,
    #[serde(default, deserialize_with = "null_is_none", rename = "x-read-only")]
    read_only: bool,
    #[serde(default, deserialize_with = "null_is_none", rename = "x-idempotent")]
    idempotent: bool,
    #[serde(default, deserialize_with = "null_is_none")]
    deprecated: bool,
    #[serde(borrow, default, deserialize_with = "null_is_none")]
    examples: Vec<&'a RawValue>,
    #[serde(borrow, default, rename = "$defs")]
    defs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    definitions: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Pairing {
    #[serde(default, deserialize_with = "null_is_none")]
    name: String,
    #[serde(default, deserialize_with = "null_is_none")]
    params: Vec<Named>,
    #[serde(default)]
    result: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default, deserialize_with = "null_is_none")]
    name: String,
    value: Value,
}

#[derive(Deserialize)]
struct Param<'a> {
    name: String,
    #[serde(default, deserialize_with = "null_is_none")]
    summary: String,
    #[serde(default, deserialize_with = "null_is_none")]
    description: String,
    #[serde(default, deserialize_with = "null_is_none")]
    required: bool,
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(default, deserialize_with = "null_is_none")]
    description: String,
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
}

/// What all methods of a document share, and what the parameters of one do.
struct Shared<'a> {
    components: Components<'a>,
    of_method: Definitions<'a>,
    room: Room,
}

fn signature<'a>(method: Method<'a>, shared: &mut Shared<'a>) -> Result<Signature, NotAMethodList> {
    shared.of_method = Definitions::read([method.defs, method.definitions]);
    let parameters = method.params.into_iter().take(MAX_PARAMETERS);
    let parameters = parameters.map(|param| {
        let param = shared.components.descriptor(param);
        let param = serde_json::from_str(param.get())
            .map_err(|error| NotAMethodList::new("a parameter", &error))?;
        Ok(parameter(param, shared))
    });
    let parameters: Vec<Parameter> = parameters.collect::<Result<_, _>>()?;
    let result = method.result.map(|content| {
        let content = shared.components.descriptor(content);
        let content = serde_json::from_str(content.get())
            .map_err(|error| NotAMethodList::new("its result", &error))?;
        Ok(result(content, shared))
    });
    let room = &mut shared.room;
    // An example of another form (a reference, say) is left out; the method is still usable.
    let examples = method.examples.into_iter().filter_map(|text| example(text, &parameters, room));
    let mut examples: Vec<Example> = examples.collect();
    for (at, example) in examples.iter_mut().enumerate() {
        if example.name == unnamed(at) {
            example.name.clear();
        }
    }
    Ok(Signature {
        name: method.name,
        doc: documentation(method.summary, method.description),
        parameters,
        param_structure: ParamStructure::of_word(&method.param_structure),
        result: result.transpose()?,
        stream: method.stream,
        effect: match (method.read_only, method.idempotent) {
            (true, _) => Effect::ReadOnly,
            (false, true) => Effect::Idempotent,
            (false, false) => Effect::Unknown,
        },
        deprecated: method.deprecated,
        examples,
    })
}

fn parameter(param: Param<'_>, shared: &mut Shared<'_>) -> Parameter {
    let mut schema = schema(param.schema, shared);
    let default = schema.as_object_mut().and_then(|schema| schema.remove("default"));
    let default = default.filter(|_| !param.required);
    if schema == json!({}) {
        schema = Value::Bool(true);
    }
    let doc = documentation(param.summary, param.description);
    Parameter { name: param.name, doc, schema, required: param.required, default }
}

fn result(content: Content<'_>, shared: &mut Shared<'_>) -> Value {
    let mut schema = schema(content.schema, shared);
    if let Some(schema) = schema.as_object_mut().filter(|_| !content.description.is_empty()) {
        schema.entry("description").or_insert(content.description.into());
    }
    schema
}

fn schema(text: Option<&RawValue>, shared: &mut Shared<'_>) -> Value {
    let schema = text.and_then(|text| shared.room.read(text)).unwrap_or(Value::Bool(true));
    shared.components.complete(&shared.of_method, schema, &mut shared.room)
}

/// The name of an example that has none: in a document each has one.
fn unnamed(at: usize) -> String {
    format!("Example {}", at + 1)
}

fn example(text: &RawValue, parameters: &[Parameter], room: &mut Room) -> Option<Example> {
    let pairing: Pairing = room.read(text)?;
    // A value without a name is that of the parameter at its place.
    let argument = |(at, given): (usize, Named)| match parameters.get(at) {
        Some(parameter) if given.name.is_empty() => (parameter.name.clone(), given.value),
        _ => (given.name, given.value),
    };
    Some(Example {
        name: pairing.name,
        arguments: pairing.params.into_iter().enumerate().map(argument).collect(),
        result: pairing.result.map(|named| named.value),
    })
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
