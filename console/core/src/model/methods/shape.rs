//! When two signatures accept the same calls.

use std::hash::{DefaultHasher, Hash, Hasher};

use rpc_wire::signature::Signature;

use crate::text;

/// Length of a default in the description of a call, in bytes; the rest is cut.
const MAX_DEFAULT_BYTES: usize = 200;

/// What a signature accepts, as hashes: comparing schemas would take as long as they are.
#[derive(Debug)]
pub(super) struct Shape {
    /// Of all but the types.
    call: u64,
    /// The type of each parameter; `None`: unknown.
    types: Vec<Option<u64>>,
}

impl Shape {
    pub(super) fn of(signature: &Signature) -> Self {
        let parameters = &signature.parameters;
        let mut call = DefaultHasher::new();
        signature.stream.hash(&mut call);
        for parameter in parameters {
            (&parameter.name, parameter.required, &parameter.default).hash(&mut call);
        }
        let typed = parameters.iter().map(|parameter| {
            let known = Some(&parameter.schema).filter(|schema| !schema.is_boolean())?;
            let mut hasher = DefaultHasher::new();
            known.hash(&mut hasher);
            Some(hasher.finish())
        });
        Self { call: call.finish(), types: typed.collect() }
    }

    /// Whether both accept the same calls. An unknown type agrees with any type.
    pub(super) fn is_compatible(&self, other: &Self) -> bool {
        let agree = |(one, other): (&Option<u64>, &Option<u64>)| match (one, other) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        self.call == other.call
            && self.types.len() == other.types.len()
            && self.types.iter().zip(&other.types).all(agree)
    }

    pub(super) fn known_types(&self) -> usize {
        self.types.iter().flatten().count()
    }
}

pub(super) fn call_shape(signature: &Signature) -> String {
    let parameters = signature.parameters.iter().map(|parameter| match &parameter.default {
        None if !parameter.is_required() => format!("{}?", parameter.name),
        None => parameter.name.clone(),
        Some(default) => {
            format!("{}={}", parameter.name, text::json_cut(default, MAX_DEFAULT_BYTES))
        }
    });
    format!("{}({})", signature.name, parameters.collect::<Vec<_>>().join(", "))
}
