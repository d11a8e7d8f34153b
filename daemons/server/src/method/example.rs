//! Examples of calls, as discovery lists them.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::arguments::Parameters;
use rpc_wire::signature;

/// A call that shows how a method is used, for [`MethodBuilder::example`](super::MethodBuilder::example).
///
/// ```
/// use rpc_server::Method;
/// use rpc_server::method::Example;
///
/// let plus = Method::named("plus")
///     .parameters(["a", "b"])
///     .example(Example::of((1, 2)).named("two numbers").result(3))
///     .sync(|a: i64, b: i64| a + b);
/// assert_eq!(plus.signature().examples[0].name, "two numbers");
/// ```
#[derive(Debug)]
#[must_use = "an example is given to `MethodBuilder::example`"]
pub struct Example {
    name: String,
    arguments: serde_json::Result<Value>,
    result: Option<serde_json::Result<Value>>,
}

impl Example {
    /// A call with these arguments, a tuple in the order of the parameters; those at the end that
    /// have a default can be left out.
    pub fn of(arguments: impl Serialize) -> Self {
        let arguments = serde_json::to_value(arguments);
        Self { name: String::new(), arguments, result: None }
    }

    /// What it shows.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// What it returns. Nothing checks it.
    pub fn result(mut self, result: impl Serialize) -> Self {
        self.result = Some(serde_json::to_value(result));
        self
    }

    /// # Errors
    /// Why it cannot be an example of a method with these parameters; `check` reads the arguments
    /// as their types.
    pub(crate) fn finish<E: ToString>(
        self,
        parameters: &Parameters,
        check: impl Fn(&[Option<Box<RawValue>>]) -> Result<(), E>,
    ) -> Result<signature::Example, String> {
        let values = match self.arguments.map_err(|error| error.to_string())? {
            Value::Array(values) => values,
            Value::Null => Vec::new(),
            _ => return Err("its arguments are not a tuple".to_owned()),
        };
        parameters.accept(values.len())?;
        let texts: Vec<_> = values.iter().map(|value| to_raw_value(value).ok()).collect();
        check(&texts).map_err(|error| error.to_string())?;
        let result = self.result.transpose().map_err(|error| error.to_string())?;
        let arguments = parameters.names().map(str::to_owned).zip(values).collect();
        Ok(signature::Example { name: self.name, arguments, result })
    }
}
