//! Methods: a name, typed parameters, docs and a body; written with `#[rpc_method]` or by hand.
//!
//! ```
//! use rpc_server::Method;
//!
//! let scale = Method::named("scale")
//!     .doc("Multiplies a value by a factor.")
//!     .parameters(["value", "factor"])
//!     .default("factor", 2.0)
//!     .sync(|value: f64, factor: f64| value * factor);
//! assert_eq!(scale.signature().parameters.len(), 2);
//! ```

mod blocking;
mod body;
mod example;
mod forwarded;
mod function;
mod returned;

use std::collections::HashSet;
use std::fmt;

use rpc_security::{Permission, Role};
use rpc_wire::paths;
use rpc_wire::signature::{Effect, Parameter, Signature};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::ServerError;
use crate::arguments::Parameters;
use crate::extract::{FromCall, Needs, States};
pub(crate) use blocking::blocking;
pub(crate) use body::{Body, Given, ItemStream, RunNow, Started, Unary, Work};
pub use example::Example;
pub use function::{Argument, Function, Types};
pub(crate) use returned::write_value;
pub use returned::{Fallible, Output, Plain, Returned, ReturnedStream};

/// A method a server can serve.
pub struct Method {
    signature: Signature,
    parameters: Parameters,
    body: Body,
    needs: Needs,
    role: Role,
    /// Why it cannot be served; reported when the server binds.
    problem: Option<String>,
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Method").field("signature", &self.signature).finish_non_exhaustive()
    }
}

impl Method {
    /// Starts building a method by hand.
    pub fn named(name: impl Into<String>) -> MethodBuilder<0> {
        let signature = Signature { name: name.into(), ..Signature::default() };
        MethodBuilder { signature, names: [], defaults: Vec::new(), examples: Vec::new() }
    }

    /// The same method under another name.
    #[must_use]
    pub fn renamed(mut self, name: impl Into<String>) -> Self {
        self.signature.name = name.into();
        self.parameters.rename(self.signature.name.clone());
        self
    }

    /// The same method, for callers with this role, where the server's
    /// [guard](crate::ServerBuilder::guard) asks for one. Default: [`Role::Call`].
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    pub(crate) fn permission(&self) -> Permission {
        Permission::Needs(self.role)
    }

    /// How discovery describes it.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub(crate) fn body(&self) -> &Body {
        &self.body
    }
}

/// A method under construction, with `N` parameters. The last call gives it its body, a closure or
/// function of as many arguments, with or without extractors in front: [`sync`](Self::sync) for
/// short work, [`blocking`](Self::blocking) for work that blocks or computes long,
/// [`asynchronous`](Self::asynchronous) for work that awaits, [`stream`](Self::stream) for many
/// results. A body that returns a `Result` can fail ([`Returned`]).
#[derive(Debug)]
#[must_use = "a method needs a body"]
pub struct MethodBuilder<const N: usize> {
    signature: Signature,
    names: [&'static str; N],
    defaults: Vec<(&'static str, Result<Box<RawValue>, serde_json::Error>)>,
    examples: Vec<Example>,
}

impl MethodBuilder<0> {
    /// The names of the parameters, in order.
    pub fn parameters<const N: usize>(self, names: [&'static str; N]) -> MethodBuilder<N> {
        let Self { signature, defaults, examples, .. } = self;
        MethodBuilder { signature, names, defaults, examples }
    }
}

impl<const N: usize> MethodBuilder<N> {
    /// Documentation; its first line is the summary.
    pub fn doc(mut self, doc: impl Into<String>) -> Self {
        self.signature.doc = doc.into();
        self
    }

    /// The value of a parameter when it is omitted. Parameters with a default come last.
    pub fn default(mut self, name: &'static str, value: impl Serialize) -> Self {
        self.defaults.push((name, to_raw_value(&value)));
        self
    }

    /// It changes nothing: callers may repeat it, and people need not be asked before it runs.
    pub fn read_only(mut self) -> Self {
        self.signature.effect = Effect::ReadOnly;
        self
    }

    /// Calling it twice has the effect of calling it once: callers may repeat it. A method that is
    /// [`read_only`](Self::read_only) is idempotent already, and stays read-only.
    pub fn idempotent(mut self) -> Self {
        self.signature.effect = self.signature.effect.max(Effect::Idempotent);
        self
    }

    /// It is kept only for callers that still use it.
    pub fn deprecated(mut self) -> Self {
        self.signature.deprecated = true;
        self
    }

    /// A call that shows how it is used.
    pub fn example(mut self, example: Example) -> Self {
        self.examples.push(example);
        self
    }

    /// Combines names, types and defaults; mismatches are reported at bind.
    fn finish<P: Types<N>>(self, result: Value, stream: bool, body: Body) -> Method {
        let Self { mut signature, names, defaults: given, examples } = self;
        signature.stream = stream;
        signature.result = Some(result);
        let mut defaults = vec![None; N];
        let mut problem = None;
        for (name, default) in given {
            match (names.iter().position(|known| *known == name), default) {
                (None, _) => problem = Some(format!("it has no parameter {name:?} to default")),
                (_, Err(error)) => problem = Some(format!("the default of {name:?}: {error}")),
                (Some(index), Ok(default)) => defaults[index] = Some(default),
            }
        }
        let parameters = Parameters::new(
            signature.name.clone(),
            names.iter().map(|name| (*name).to_owned()).collect(),
            defaults.clone(),
        );
        for ((name, schema), default) in names.iter().zip(P::schemas()).zip(&defaults) {
            let default = default.as_ref().and_then(|text| serde_json::from_str(text.get()).ok());
            if default.is_none() && signature.parameters.iter().any(|p| !p.is_required()) {
                problem = Some(format!("{name:?} has no default but follows one that has"));
            }
            let name = (*name).to_owned();
            signature.parameters.push(match default {
                Some(default) => Parameter::optional(name, schema, default),
                None => Parameter::required(name, schema),
            });
        }
        if let Err(fault) = P::check(&parameters, &defaults) {
            problem = Some(format!("a default does not fit: {}", fault.message));
        }
        for example in examples {
            let check = |values: &[_]| P::check(&parameters, values).map_err(|fault| fault.message);
            match example.finish(&parameters, check) {
                Ok(example) => signature.examples.push(example),
                Err(why) => problem = Some(format!("an example does not fit: {why}")),
            }
        }
        Method { signature, parameters, body, needs: P::needs(), role: Role::Call, problem }
    }
}

/// Fails to compile, with the span of the type, unless it can be a parameter's: for `#[rpc_method]`.
#[doc(hidden)]
pub const fn is_argument<T: Argument>() {}

/// The same for results and items of streams.
#[doc(hidden)]
pub const fn is_output<T: Output>() {}

/// The same for errors of a service's methods, which travel as data.
#[doc(hidden)]
pub const fn is_error<T: serde::Serialize + 'static>() {}

/// The same for extractors.
#[doc(hidden)]
pub const fn is_extractor<T: FromCall>() {}

/// Why a name cannot be used twice.
pub(crate) const TAKEN: &str =
    "another method has this name; rename one of them (in Rust: renamed())";

/// The methods of a server, by name.
pub(crate) struct Methods {
    /// In order of registration, as discovery lists them.
    methods: Vec<Method>,
    /// Positions ordered by name, short names first. Not a `HashMap`: a few comparisons, mostly of
    /// lengths, cost less than a hash.
    by_name: Vec<usize>,
}

impl Methods {
    /// # Errors
    /// A name is empty, reserved or taken, a method was built incorrectly, or needs a state that is
    /// not among `states`.
    pub(crate) fn new(methods: Vec<Method>, states: &States) -> Result<Self, ServerError> {
        let mut names = HashSet::new();
        for method in &methods {
            let name = &method.signature.name;
            let problem = if name.is_empty() {
                Some("a method needs a name".to_owned())
            } else if name.starts_with(paths::RESERVED_PREFIX) || name == paths::ALL_YOUR_METHODS {
                Some("this name is reserved; choose another one (in Rust: renamed())".to_owned())
            } else if !names.insert(name) {
                Some(TAKEN.to_owned())
            } else {
                let missing = method.needs.missing_from(states);
                let missing = missing.map(|state| {
                    format!("it takes State<{state}>; give one to the server with state()")
                });
                method.problem.clone().or(missing)
            };
            if let Some(problem) = problem {
                return Err(ServerError::Method { method: name.clone(), problem });
            }
        }
        let mut by_name: Vec<usize> = (0..methods.len()).collect();
        by_name.sort_by_key(|position| rank(&methods[*position].signature.name));
        Ok(Self { methods, by_name })
    }

    pub(crate) fn none() -> Self {
        Self { methods: Vec::new(), by_name: Vec::new() }
    }

    /// The method of that name, and its position. `likely` is checked first: callers tend to repeat
    /// a method.
    #[inline]
    pub(crate) fn find(&self, name: &str, likely: usize) -> Option<(usize, &Method)> {
        if let Some(method) = self.methods.get(likely)
            && method.signature.name == name
        {
            return Some((likely, method));
        }
        let found = self
            .by_name
            .binary_search_by(|at| self.name(*at).map(rank).cmp(&Some(rank(name))))
            .ok()?;
        let position = *self.by_name.get(found)?;
        Some((position, self.methods.get(position)?))
    }

    pub(crate) fn at(&self, position: usize) -> Option<&Method> {
        self.methods.get(position)
    }

    fn name(&self, position: usize) -> Option<&str> {
        self.methods.get(position).map(|method| method.signature.name.as_str())
    }

    pub(crate) fn signatures(&self) -> impl Iterator<Item = &Signature> {
        self.methods.iter().map(Method::signature)
    }
}

fn rank(name: &str) -> (usize, &str) {
    (name.len(), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(methods: Vec<Method>) -> String {
        Methods::new(methods, &States::default())
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    fn half(name: &str) -> Method {
        Method::named(name).parameters(["n"]).sync(|n: f64| n / 2.0)
    }

    #[test]
    fn a_signature_knows_names_types_and_defaults() {
        let method = Method::named("m")
            .parameters(["a", "b"])
            .default("b", 10)
            .sync(|a: String, b: i64| format!("{a}{b}"));
        let parameters = &method.signature().parameters;
        assert_eq!(parameters[0].schema["type"], "string");
        assert!(parameters[0].is_required());
        assert_eq!(parameters[1].schema["type"], "integer");
        assert_eq!(parameters[1].default, Some(10.into()));
        assert_eq!(method.signature().result.as_ref().unwrap()["type"], "string");
    }

    #[test]
    fn names_that_cannot_be_served_are_reported_at_bind() {
        assert!(problem(vec![half("")]).contains("needs a name"));
        assert!(problem(vec![half("rpc.mine")]).contains("reserved"));
        assert!(problem(vec![half("all_your_methods")]).contains("reserved"));
        assert!(problem(vec![half("a"), half("a")]).contains("another method"));
        assert_eq!(problem(vec![half("a"), half("a").renamed("b")]), "");
    }

    #[test]
    fn a_default_that_does_not_fit_is_reported_at_bind() {
        let wrong = |name, value: &str| {
            let value = value.to_owned();
            problem(vec![
                Method::named("m").parameters(["n"]).default(name, value).sync(|n: f64| n),
            ])
        };
        assert!(wrong("n", "text").contains("does not fit"));
        assert!(wrong("x", "text").contains("no parameter \"x\""));
        let gap = Method::named("m").parameters(["a", "b"]).default("a", 1).sync(|a: i8, _: i8| a);
        assert!(problem(vec![gap]).contains("follows one that has"));
    }
}
