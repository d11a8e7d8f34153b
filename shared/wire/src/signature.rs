//! What discovery lists: a method's name, parameters, types, defaults, docs and effect, in the
//! classic form every server has and as an OpenRPC document.

mod classic;
mod contract;
mod openapi;
mod openrpc;
mod param_structure;
mod reference;
mod room;
mod shared_schemas;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub use classic::{from_classic, from_classic_within, to_classic};
pub use contract::contract;
pub use openapi::to_openapi;
pub use openrpc::{from_openrpc, from_openrpc_within, references, to_openrpc};
pub use param_structure::ParamStructure;
pub use reference::{referred, referred_name};
pub use shared_schemas::SharedSchemas;

/// Parameters of a method that are read; further ones are left out.
pub const MAX_PARAMETERS: usize = 64;
/// Bytes of a schema, an example or a default that is read.
const MAX_VALUE: usize = 64 << 10;
/// Bytes of memory that the schemas, examples and defaults of one method list may take; those behind are left
/// out. 10,000 methods of three parameters take two thirds of it.
pub const MAX_MEMORY: usize = 32 << 20;

/// What a caller needs to know of a method.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Signature {
    /// Its name.
    pub name: String,
    /// Its documentation; the first line is a summary. Empty when unknown.
    pub doc: String,
    /// Its parameters in order, required ones first.
    pub parameters: Vec<Parameter>,
    /// How a server of JSON-RPC takes them.
    pub param_structure: ParamStructure,
    /// The JSON Schema of the result; `None` when unknown.
    pub result: Option<Value>,
    /// Whether it returns a stream.
    pub stream: bool,
    /// What a call changes, so that callers know whether it may be repeated.
    pub effect: Effect,
    /// Whether it is kept only for callers that still use it.
    pub deprecated: bool,
    /// Calls that show how it is used.
    pub examples: Vec<Example>,
}

/// What a call of a method changes, in ascending order of what a caller may do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Effect {
    /// Unknown: it may change something each time. Older servers say nothing.
    #[default]
    Unknown,
    /// Calling it twice has the effect of calling it once.
    Idempotent,
    /// It changes nothing.
    ReadOnly,
}

impl Effect {
    /// Whether calling it twice does no harm.
    pub fn is_idempotent(self) -> bool {
        self >= Self::Idempotent
    }

    /// Whether it changes nothing.
    pub fn is_read_only(self) -> bool {
        self == Self::ReadOnly
    }
}

/// A call that shows how a method is used.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Example {
    /// What it shows; empty when not said.
    pub name: String,
    /// Arguments by the names of the parameters.
    pub arguments: Vec<(String, Value)>,
    /// The result, if it is said.
    pub result: Option<Value>,
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

/// Characters shown of what is wrong in a document, and of a name in it.
const SHOWN: usize = 120;

/// A discovery document that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its method list is not in the expected format: {0}")]
pub struct NotAMethodList(
    /// Which entry, and what is wrong with it.
    pub String,
);

impl NotAMethodList {
    fn new(place: &str, error: &serde_json::Error) -> Self {
        let text = error.to_string();
        // The position is one within the entry, not within the list.
        let what = text.split(" at line ").next().unwrap_or(&text);
        let shown: String = what.chars().take(SHOWN).collect();
        Self(format!("{place}: {shown}"))
    }

    /// What is wrong is wrong within that.
    fn within(self, place: &str) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

/// Reads `null` as what stands for a key that is not there: that is how many languages write "none".
fn null_is_none<'de, T, D>(input: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
            effect: Effect::ReadOnly,
            deprecated: true,
            examples: vec![Example {
                name: "two".to_owned(),
                arguments: vec![("a".to_owned(), json!(1)), ("b".to_owned(), json!(2))],
                result: Some(json!(13)),
            }],
            ..Signature::default()
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
            param_structure: ParamStructure::ByName,
            stream: true,
            effect: Effect::Idempotent,
            result: Some(json!(true)),
            ..Signature::default()
        };
        let document = to_openrpc("t", "1", [&add(), &ticks]);
        assert_eq!(from_openrpc(&document.to_string()).unwrap(), [add(), ticks]);
    }

    #[test]
    fn an_example_without_a_name_has_one_in_a_document_only() {
        let mut method = add();
        method.examples.push(Example { name: String::new(), ..method.examples[0].clone() });
        let document = to_openrpc("t", "1", [&method]);
        assert_eq!(document["methods"][0]["examples"][1]["name"], "Example 2");
        assert_eq!(from_openrpc(&document.to_string()).unwrap(), [method]);
    }

    #[test]
    fn values_of_an_example_that_have_no_names_are_those_of_the_parameters_in_order() {
        let document = json!({"methods": [{
            "name": "m", "params": [{"name": "a"}, {"name": "b"}],
            "examples": [{"params": [{"value": 1}, {"name": "", "value": 2}]}],
        }]});
        let read = from_openrpc(&document.to_string()).unwrap();
        let given = [("a".to_owned(), json!(1)), ("b".to_owned(), json!(2))];
        assert_eq!(read[0].examples[0].arguments, given);
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
    fn null_stands_for_what_is_not_there() {
        let document = json!({"components": null, "methods": [{
            "name": "a", "summary": null, "description": null, "result": null, "x-stream": null,
            "examples": null, "params": [{"name": "x", "description": null, "required": null}],
        }, {"name": "b", "params": null}]});
        let read = from_openrpc(&document.to_string()).unwrap();
        let plain = Signature { name: "b".to_owned(), ..Signature::default() };
        assert_eq!(read[1], plain);
        assert_eq!((read[0].doc.as_str(), read[0].parameters[0].required), ("", false));
        let list = json!([{"method_name": "b", "method_args": null}]).to_string();
        assert_eq!(from_classic(&list).unwrap(), [plain]);
    }

    #[test]
    fn what_is_wrong_with_a_list_names_the_method_and_what_is_expected() {
        let wrong = |document: Value| from_openrpc(&document.to_string()).unwrap_err().0;
        let method = json!({"name": "pay", "description": 7});
        assert_eq!(
            wrong(json!({"methods": [{"name": "a"}, method]})),
            "methods[1] of the list: invalid type: integer `7`, expected a string"
        );
        let params = json!([{"description": "no name"}]);
        assert_eq!(
            wrong(json!({"methods": [{"name": "p\n", "params": params}]})),
            "methods[0] \"p\\n\": a parameter: missing field `name`"
        );
        assert_eq!(wrong(json!({})), "document: missing field `methods`");
        let list = from_classic(r#"[{"method_name":"a"},{"method_args":[]}]"#).unwrap_err().0;
        assert_eq!(list, "entry 1 of the list: missing field `method_name`");
        let long = wrong(json!({"methods": [{"name": "x".repeat(9999), "params": [{}]}]}));
        assert!(long.len() < 300, "{long}");
    }

    #[test]
    fn a_method_has_at_most_64_parameters_and_none_with_a_long_schema_or_default() {
        let long = "x".repeat(MAX_VALUE);
        let parameter = |n: usize| json!({"name": format!("p{n}"), "schema": {"const": n}});
        let mut parameters: Vec<_> = (0..100).map(parameter).collect();
        parameters[1]["schema"]["description"] = json!(long);
        let document = json!({"methods": [
            {"name": "m", "params": parameters, "result": {"schema": {"const": long}}},
        ]});
        let read = &from_openrpc(&document.to_string()).unwrap()[0];
        assert_eq!(read.parameters.len(), MAX_PARAMETERS);
        assert_eq!(read.parameters[0].schema, json!({"const": 0}));
        assert_eq!((&read.parameters[1].schema, &read.result), (&json!(true), &Some(json!(true))));
        let names: Vec<_> = (0..100).map(|n| format!("p{n}")).collect();
        let list = json!([
            {"method_name": "a", "method_args": names},
            {"method_name": "b", "method_kwargs": {"c": long, "d": 1}},
        ]);
        let read = from_classic(&list.to_string()).unwrap();
        assert_eq!(read[0].parameters.len(), MAX_PARAMETERS);
        let defaults: Vec<_> = read[1].parameters.iter().map(|it| &it.default).collect();
        assert_eq!(defaults, [&None, &Some(json!(1))]);
    }

    #[test]
    fn the_values_of_a_list_take_a_bounded_amount_of_memory() {
        let schema = json!({"enum": vec![json!({"a": 0}); 1000]});
        let memory = crate::json::memory_of_value(&schema.to_string());
        let method = json!({"name": "m", "params": [{"name": "p", "schema": schema}]});
        let count = 3 * MAX_MEMORY / memory;
        let document = json!({"methods": vec![method; count]}).to_string();
        assert!(document.len() < MAX_MEMORY / 10, "it is small on the wire");
        let read = from_openrpc(&document).unwrap();
        let with_schema =
            read.iter().filter(|method| method.parameters[0].schema != json!(true)).count();
        assert_eq!((read.len(), with_schema), (count, MAX_MEMORY / memory));
        assert_eq!(from_openrpc_within(&document, 2).unwrap().len(), 2);
    }

    #[test]
    fn anything_else_is_an_error() {
        for other in ["null", "[1]", r#"{"methods":[{}]}"#, "oops"] {
            assert!(from_openrpc(other).is_err(), "{other}");
            assert!(from_classic(other).is_err(), "{other}");
        }
    }
}
