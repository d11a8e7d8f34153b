//! How a program takes the calls of its methods: a changed one may take them in another way than the arguments of a call
//! that waits were arranged in.

use std::collections::HashMap;

use rpc_wire::fault::Fault;
use rpc_wire::signature::{ParamStructure, Signature};

/// What of a method a call was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    parameters: Vec<String>,
    structure: ParamStructure,
    stream: bool,
}

impl Shape {
    pub(crate) fn of(signature: &Signature) -> Self {
        let Signature { parameters, param_structure, stream, .. } = signature;
        let parameters = parameters.iter().map(|parameter| parameter.name.clone()).collect();
        Self { parameters, structure: *param_structure, stream: *stream }
    }

    /// Whether a call that was made for this has the same meaning for `other`, which may have further parameters.
    fn means_the_same_to(&self, other: &Self) -> bool {
        other.parameters.starts_with(&self.parameters)
            && self.structure == other.structure
            && self.stream == other.stream
    }
}

/// The methods of a program.
#[derive(Debug, Default)]
pub(crate) struct Takes(HashMap<String, Shape>);

impl Takes {
    pub(crate) fn of(methods: &[Signature]) -> Self {
        let shape = |method: &Signature| (method.name.clone(), Shape::of(method));
        Self(methods.iter().map(shape).collect())
    }

    /// Whether it takes a call of that method which was made for that shape.
    pub(crate) fn has(&self, method: &str, shape: &Shape) -> bool {
        self.0.get(method).is_some_and(|now| shape.means_the_same_to(now))
    }

    /// Why it does not.
    pub(crate) fn refusal(&self, method: &str) -> Fault {
        match self.0.contains_key(method) {
            true => Fault::bad_arguments(format!(
                "{method}() has changed while the call waited, and was not called; see what it takes now, and call it again"
            )),
            false => Fault::method_not_found(method),
        }
    }
}

#[cfg(test)]
mod tests {
    use rpc_wire::signature::from_classic;

    use super::*;

    fn methods(list: &str) -> Vec<Signature> {
        from_classic(list).unwrap()
    }

    #[test]
    fn a_call_is_for_the_parameters_in_their_order() {
        let pay = |args: &str| {
            methods(&format!(
                r#"[{{"method_name":"pay","method_args":{args},"method_kwargs":{{}}}}]"#
            ))
        };
        let made = Shape::of(&pay(r#"["from","to"]"#)[0]);
        for (now, takes) in [
            (r#"["from","to"]"#, true),
            (r#"["from","to","note"]"#, true),
            (r#"["to","from"]"#, false),
            (r#"["from"]"#, false),
        ] {
            assert_eq!(Takes::of(&pay(now)).has("pay", &made), takes, "{now}");
        }
        assert!(!Takes::default().has("pay", &made));
    }
}
