//! The method list of the older system: names, and the defaults of optional parameters.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::{NotAMethodList, Parameter, Signature};

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
