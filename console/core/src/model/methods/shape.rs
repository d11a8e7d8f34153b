//! When two signatures accept the same calls.

use rpc_wire::signature::Signature;

/// Whether both accept the same calls. An unknown type agrees with any type.
pub(super) fn are_compatible(one: &Signature, other: &Signature) -> bool {
    let parameters = one.parameters.iter().zip(&other.parameters);
    one.stream == other.stream
        && one.parameters.len() == other.parameters.len()
        && parameters.into_iter().all(|(one, other)| {
            let unknown = one.schema.is_boolean() || other.schema.is_boolean();
            one.name == other.name
                && one.required == other.required
                && one.default == other.default
                && (unknown || one.schema == other.schema)
        })
}

pub(super) fn known_types(signature: &Signature) -> usize {
    signature.parameters.iter().filter(|parameter| !parameter.schema.is_boolean()).count()
}

pub(super) fn call_shape(signature: &Signature) -> String {
    let parameters = signature.parameters.iter().map(|parameter| match &parameter.default {
        None if !parameter.is_required() => format!("{}?", parameter.name),
        None => parameter.name.clone(),
        Some(default) => format!("{}={default}", parameter.name),
    });
    format!("{}({})", signature.name, parameters.collect::<Vec<_>>().join(", "))
}
