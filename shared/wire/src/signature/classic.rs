//! The method list of the older system: names, and the defaults of optional parameters.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::room::Room;
use super::{MAX_PARAMETERS, NotAMethodList, Parameter, Signature, null_is_none};

/// The reply to `all_your_methods` as JSON text: keys and parameters in the older system's order.
pub fn to_classic<'a>(signatures: impl IntoIterator<Item = &'a Signature>) -> String {
    let entries: Vec<ClassicEntry<Value>> = signatures
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

/// Reads the reply to `all_your_methods`. Types are unknown, so every schema is `true`. The limits of
/// [`from_openrpc`](super::from_openrpc) hold for defaults and parameters.
///
/// # Errors
/// It is not a list of methods.
pub fn from_classic(list: &str) -> Result<Vec<Signature>, NotAMethodList> {
    from_classic_within(list, usize::MAX)
}

/// The same of the first `max_methods` methods.
///
/// # Errors
/// As [`from_classic`].
pub fn from_classic_within(
    list: &str,
    max_methods: usize,
) -> Result<Vec<Signature>, NotAMethodList> {
    let entries: Vec<&RawValue> =
        serde_json::from_str(list).map_err(|error| NotAMethodList::new("list", &error))?;
    let mut room = Room::default();
    let signature = |(at, text): (usize, &RawValue)| {
        let entry: ClassicEntry<&RawValue> = serde_json::from_str(text.get())
            .map_err(|error| NotAMethodList::new(&format!("entry {at} of the list"), &error))?;
        let anything = || Value::Bool(true);
        let required = entry.method_args.into_iter().map(|n| Parameter::required(n, anything()));
        // A default that is left out is one that only the server knows.
        let optional = entry.method_kwargs.0.into_iter().map(|(name, default)| Parameter {
            required: false,
            default: room.read(default),
            ..Parameter::required(name, anything())
        });
        Ok(Signature {
            name: entry.method_name,
            parameters: required.chain(optional).take(MAX_PARAMETERS).collect(),
            ..Signature::default()
        })
    };
    entries.into_iter().take(max_methods).enumerate().map(signature).collect()
}

#[derive(Serialize, Deserialize)]
#[serde(bound(deserialize = "V: Deserialize<'de>"))]
struct ClassicEntry<V> {
    method_name: String,
    #[serde(default, deserialize_with = "null_is_none")]
    method_args: Vec<String>,
    #[serde(default = "Ordered::none")]
    method_kwargs: Ordered<V>,
}

/// A JSON object that keeps its order: for optional parameters it is their position in a call.
struct Ordered<V>(Vec<(String, V)>);

impl<V> Ordered<V> {
    fn none() -> Self {
        Self(Vec::new())
    }
}

impl<V: Serialize> Serialize for Ordered<V> {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Ordered<V> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct OrderedVisitor<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for OrderedVisitor<V> {
            type Value = Ordered<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of names and defaults")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<V>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        input.deserialize_map(OrderedVisitor(PhantomData))
    }
}
