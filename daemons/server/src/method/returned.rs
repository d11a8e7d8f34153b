//! What a method can return: a value, or a `Result` with one.

use std::convert::Infallible;

use futures_util::Stream;
use rpc_wire::fault::Fault;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::function::schema_of;
use crate::MethodError;
use crate::finite;

/// A type that a result can have: serde writes it as JSON, and schemars describes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a method",
    label = "not written as JSON, or without a schema",
    note = "a result needs `#[derive(serde::Serialize, schemars::JsonSchema)]`"
)]
pub trait Output: Serialize + JsonSchema + 'static {}
#[diagnostic::do_not_recommend]
impl<T: Serialize + JsonSchema + 'static> Output for T {}

/// What a method can return: a result ([`Output`]), or `Result<T, E>` with such a `T` and with an
/// error that is a [`MethodError`].
///
/// `Kind` is inferred. Only where an error type implements both `Serialize` and `JsonSchema` it must
/// be said that a `Result` is meant, and not a value that happens to be one:
/// `.sync::<_, _, Fallible>(…)`. `#[rpc_method]` does so by itself.
#[diagnostic::on_unimplemented(
    message = "a method cannot return `{Self}`",
    label = "not a result, nor a `Result` with one",
    note = "a result needs `#[derive(serde::Serialize, schemars::JsonSchema)]`",
    note = "a method that can fail returns `Result<T, E>` where `E: Into<rpc_server::Failure>`"
)]
pub trait Returned<Kind>: Sized {
    /// The result's type.
    type Output: Output;
    /// The error's type.
    type Error;

    /// The result or the error.
    ///
    /// # Errors
    /// The method failed.
    fn into_result(self) -> Result<Self::Output, Self::Error>;
}

/// A method that always has a result.
#[derive(Debug)]
pub enum Plain {}

/// A method that returns a `Result`.
#[derive(Debug)]
pub enum Fallible {}

impl<T: Output> Returned<Plain> for T {
    type Output = T;
    type Error = Infallible;

    fn into_result(self) -> Result<T, Infallible> {
        Ok(self)
    }
}

// The bound on the error is where it is used, not here: so every `Result` is one of this kind, and
// none is taken for a value because its error is not a `Failure`.
impl<T: Output, E> Returned<Fallible> for Result<T, E> {
    type Output = T;
    type Error = E;

    fn into_result(self) -> Self {
        self
    }
}

/// The schema of what is returned.
pub(crate) fn schema<R: Returned<K>, K>() -> Value {
    schema_of::<R::Output>()
}

/// Appends the result; after an error the caller truncates `out`.
pub(crate) fn write<R, K>(returned: R, out: &mut Vec<u8>) -> Result<(), Fault>
where
    R: Returned<K, Error: MethodError>,
{
    let value = returned.into_result().map_err(|error| error.into().into_fault())?;
    write_value(&value, out)
}

/// The result as JSON text.
pub(crate) fn to_json<R, K>(returned: R) -> Result<Vec<u8>, Fault>
where
    R: Returned<K, Error: MethodError>,
{
    let mut out = Vec::new();
    write(returned, &mut out)?;
    Ok(out)
}

/// Appends a value as JSON.
pub(crate) fn write_value<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), Fault> {
    let unwritable = |error: &dyn std::fmt::Display| Fault::method_failed(error.to_string());
    finite::check(value).map_err(|error| unwritable(&error))?;
    serde_json::to_writer(out, value).map_err(|error| unwritable(&error))
}

/// What a method with many results can return: a stream, or `Result<S, E>` with one, for a method
/// that can fail before its first item. An item is what any method can return ([`Returned`]): after
/// an error the stream ends.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a stream of results",
    label = "not a stream",
    note = "return `impl rpc_server::Stream<Item = T>`, or a `Result` with one"
)]
pub trait ReturnedStream<Kind>: Sized {
    /// The stream.
    type Items: Stream + Send + 'static;
    /// The error's type.
    type Error;

    /// The stream or the error.
    ///
    /// # Errors
    /// The method failed before its first item.
    fn into_items(self) -> Result<Self::Items, Self::Error>;
}

#[diagnostic::do_not_recommend]
impl<S: Stream + Send + 'static> ReturnedStream<Plain> for S {
    type Items = S;
    type Error = Infallible;

    fn into_items(self) -> Result<S, Infallible> {
        Ok(self)
    }
}

impl<S: Stream + Send + 'static, E> ReturnedStream<Fallible> for Result<S, E> {
    type Items = S;
    type Error = E;

    fn into_items(self) -> Self {
        self
    }
}
