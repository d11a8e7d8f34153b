//! The digest of a method list: instances that show the same one offer the same methods.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Parameter, Signature};

/// The contract of a method list: 32 hexadecimal digits, the first half of the SHA-256 of its
/// canonical form.
///
/// The canonical form is compact JSON (no spaces, object keys sorted by their bytes, non-ASCII
/// characters not escaped): a list of the methods sorted by name, each
/// `{"idempotent":…,"name":…,"parameters":[…],"read_only":…,"result":schema,"stream":…}`, each
/// parameter `{"name":…,"required":…,"schema":…}`, with `"default"` where it is optional and has
/// one. A schema counts as it is, but for a default at its top; an unknown one is `true`. The docs of
/// methods and parameters, `deprecated` and examples do not count: a better comment is no other
/// contract.
///
/// ```
/// use rpc_wire::signature::{Signature, contract};
/// let ping = Signature { name: "ping".to_owned(), ..Signature::default() };
/// assert_eq!(contract([&ping]), "6fd366f4bb221e5e84839607df2cdc62");
/// ```
pub fn contract<'a>(signatures: impl IntoIterator<Item = &'a Signature>) -> String {
    let mut methods: Vec<&Signature> = signatures.into_iter().collect();
    methods.sort_by(|a, b| a.name.cmp(&b.name));
    let list: Vec<Value> = methods.into_iter().map(method).collect();
    let digest = Sha256::digest(sorted(Value::Array(list)).to_string());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn method(signature: &Signature) -> Value {
    json!({
        "idempotent": signature.effect.is_idempotent(),
        "name": signature.name,
        "parameters": signature.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "read_only": signature.effect.is_read_only(),
        "result": schema(signature.result.as_ref()),
        "stream": signature.stream,
    })
}

fn parameter(parameter: &Parameter) -> Value {
    let mut schema = schema(Some(&parameter.schema));
    // A document carries the default inside the schema: here it counts once, outside.
    let inside = schema.as_object_mut().and_then(|schema| schema.remove("default"));
    let default = parameter.default.clone().or(inside).filter(|_| !parameter.required);
    if schema == json!({}) {
        schema = Value::Bool(true);
    }
    let mut written =
        json!({"name": parameter.name, "required": parameter.required, "schema": schema});
    if let Some(default) = default {
        written["default"] = default;
    }
    written
}

fn schema(schema: Option<&Value>) -> Value {
    let schema = schema.cloned().unwrap_or(Value::Bool(true));
    if schema == json!({}) { Value::Bool(true) } else { schema }
}

/// The same value with the keys of its objects sorted, whichever map serde_json uses.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(list) => list.into_iter().map(sorted).collect(),
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            let entries = entries.into_iter().map(|(key, value)| (key, sorted(value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Effect, Example, from_classic, from_openrpc, to_classic, to_openrpc};
    use super::*;
    use proptest::prelude::*;

    fn add() -> Signature {
        Signature {
            name: "add".to_owned(),
            parameters: vec![
                Parameter::required("a", json!({"type": "number", "format": "double"})),
                Parameter::optional("ü", json!({}), json!(1.5)),
            ],
            result: Some(json!({"type": "number"})),
            effect: Effect::ReadOnly,
            ..Signature::default()
        }
    }

    /// Other implementations compare theirs with these; Python's `json.dumps(methods, sort_keys=True,
    /// separators=(",", ":"), ensure_ascii=False)` was hashed to make them.
    #[test]
    fn golden_vectors() {
        let ping = Signature { name: "ping".to_owned(), ..Signature::default() };
        assert_eq!(contract([]), "4f53cda18c2baa0c0354bb5f9a3ecbe5");
        assert_eq!(contract([&ping]), "6fd366f4bb221e5e84839607df2cdc62");
        assert_eq!(contract([&ping, &add()]), "1d652eb0b8093917a5051b3094b7b95e");
    }

    #[test]
    fn it_says_nothing_of_order_docs_and_examples() {
        let ping = Signature { name: "ping".to_owned(), ..Signature::default() };
        let mut told = add();
        told.doc = "Adds.".to_owned();
        told.parameters[0].doc = "The first.".to_owned();
        told.deprecated = true;
        told.examples = vec![Example::default()];
        assert_eq!(contract([&ping, &told]), contract([&add(), &ping]));
    }

    #[test]
    fn it_changes_with_whatever_a_call_depends_on() {
        let changes: [fn(&mut Signature); 7] = [
            |method| method.name.push('2'),
            |method| method.parameters.truncate(1),
            |method| method.parameters[0].schema = json!({"type": "string"}),
            |method| method.parameters[1].default = Some(json!(2)),
            |method| method.result = None,
            |method| method.stream = true,
            |method| method.effect = Effect::Idempotent,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut other = add();
            change(&mut other);
            assert_ne!(contract([&other]), contract([&add()]), "change {index}");
        }
    }

    fn schemas() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(json!(true)),
            Just(json!({})),
            Just(json!({"type": "integer", "minimum": -9e15, "default": 3})),
            Just(json!({"z": {"b": [1.0, 1], "a": "ß"}, "default": null})),
        ]
    }

    proptest! {
        /// A client computes it from the reply, the server from what it serves.
        #[test]
        fn it_survives_both_documents(
            parameters in prop::collection::vec((schemas(), any::<bool>(), any::<Option<i64>>()), 0..4),
            result in prop::option::of(schemas()),
        ) {
            let parameter = |(index, (schema, required, default))| Parameter {
                name: format!("p{index}"),
                doc: String::new(),
                schema,
                required,
                default: Option::<i64>::map(default, Value::from).filter(|_| !required),
            };
            let parameters = parameters.into_iter().enumerate().map(parameter).collect();
            let method = Signature { name: "m".to_owned(), parameters, result, ..Signature::default() };
            let read = from_openrpc(&to_openrpc("t", "1", [&method]).to_string()).unwrap();
            prop_assert_eq!(contract(&read), contract([&method]));
            let classic = from_classic(&to_classic([&method])).unwrap();
            let again = from_classic(&to_classic(&classic)).unwrap();
            prop_assert_eq!(contract(&again), contract(&classic));
        }
    }
}
