//! How a method runs when it is called, and how its result becomes JSON.

use std::pin::Pin;

use futures_util::StreamExt;
use rpc_wire::fault::Fault;
use schemars::JsonSchema;
use serde::Serialize;

use super::function::schema_of;
use super::{Function, Method, MethodBuilder, Types};
use crate::Failure;
use crate::arguments::{Arguments, Parameters};
use crate::finite;

/// A type that a method can return: serde serialises it and schemars describes it.
pub trait Answer: Serialize + JsonSchema + 'static {}
impl<T: Serialize + JsonSchema + 'static> Answer for T {}

/// A stream of results.
pub trait Stream<T>: futures_util::Stream<Item = T> + Send + 'static {}
impl<T, S: futures_util::Stream<Item = T> + Send + 'static> Stream<T> for S {}

/// The declared parameters, and the given arguments.
pub(crate) type Fit<'a> = (&'a Parameters, Arguments<'a>);
/// A result as JSON text, when it is ready.
pub(crate) type Unary = Pin<Box<dyn Future<Output = Result<Vec<u8>, Fault>> + Send>>;
/// Results as JSON text, each with the number of those dropped before it.
pub(crate) type ItemStream =
    Pin<Box<dyn futures_util::Stream<Item = Result<(Vec<u8>, u64), Fault>> + Send>>;
type Work = Box<dyn FnOnce() -> Result<Vec<u8>, Fault> + Send>;
/// Appends the result.
pub(crate) type RunNow = Box<dyn Fn(Fit<'_>, &mut Vec<u8>) -> Result<(), Fault> + Send + Sync>;
type Run<T> = Box<dyn Fn(Fit<'_>) -> Result<T, Fault> + Send + Sync>;

/// A body reads its arguments at once, while they are still in the connection's buffer.
pub(crate) enum Body {
    /// Runs on the connection's own task and appends its result.
    Sync(RunNow),
    /// Is started, and finishes later.
    Started(Started),
}

/// A body that does not finish at once.
pub(crate) enum Started {
    /// Runs on the blocking pool.
    Blocking(Run<Work>),
    /// Awaits on the connection's own task.
    Async(Run<Unary>),
    /// Returns many results.
    Stream(Run<ItemStream>),
}

impl<const N: usize> MethodBuilder<N> {
    /// A short body that neither blocks nor computes long: it runs where the bytes were read.
    pub fn sync<P, T>(self, function: impl Function<P, Output = T>) -> Method
    where
        P: Types<N>,
        T: Answer,
    {
        let body = move |(parameters, given): Fit<'_>, out: &mut Vec<u8>| {
            write(&function.apply(P::read(parameters, parameters.bind(given)?)?), out)
        };
        self.finish::<P>(schema_of::<T>(), false, Body::Sync(Box::new(body)))
    }

    /// [`sync`](Self::sync) for a body that can fail.
    pub fn try_sync<P, T, E>(self, function: impl Function<P, Output = Result<T, E>>) -> Method
    where
        P: Types<N>,
        T: Answer,
        E: Into<Failure>,
    {
        let body = move |(parameters, given): Fit<'_>, out: &mut Vec<u8>| {
            let arguments = P::read(parameters, parameters.bind(given)?)?;
            write(&function.apply(arguments).map_err(fault)?, out)
        };
        self.finish::<P>(schema_of::<T>(), false, Body::Sync(Box::new(body)))
    }

    /// A body that blocks or computes long: it runs on the blocking pool, and to its end even if
    /// its caller has gone.
    pub fn blocking<P, T>(self, function: impl Function<P, Output = T>) -> Method
    where
        P: Types<N>,
        T: Answer,
    {
        self.try_blocking::<P, T, std::convert::Infallible>(infallible(function))
    }

    /// [`blocking`](Self::blocking) for a body that can fail.
    pub fn try_blocking<P, T, E>(self, function: impl Function<P, Output = Result<T, E>>) -> Method
    where
        P: Types<N>,
        T: Answer,
        E: Into<Failure>,
    {
        let function = std::sync::Arc::new(function);
        let body = move |(parameters, given): Fit<'_>| -> Result<Work, Fault> {
            let arguments = P::read(parameters, parameters.bind(given)?)?;
            let function = function.clone();
            Ok(Box::new(move || to_json(&function.apply(arguments).map_err(fault)?)))
        };
        self.finish::<P>(schema_of::<T>(), false, Body::Started(Started::Blocking(Box::new(body))))
    }

    /// A body that awaits. It is dropped at its current await when its caller cancels or its
    /// deadline passes.
    pub fn asynchronous<P, T, F>(self, function: impl Function<P, Output = F>) -> Method
    where
        P: Types<N>,
        T: Answer,
        F: Future<Output = T> + Send + 'static,
    {
        let body = move |(parameters, given): Fit<'_>| -> Result<Unary, Fault> {
            let result = function.apply(P::read(parameters, parameters.bind(given)?)?);
            Ok(Box::pin(async move { to_json(&result.await) }))
        };
        self.finish::<P>(schema_of::<T>(), false, Body::Started(Started::Async(Box::new(body))))
    }

    /// [`asynchronous`](Self::asynchronous) for a body that can fail.
    pub fn try_asynchronous<P, T, E, F>(self, function: impl Function<P, Output = F>) -> Method
    where
        P: Types<N>,
        T: Answer,
        E: Into<Failure>,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let body = move |(parameters, given): Fit<'_>| -> Result<Unary, Fault> {
            let result = function.apply(P::read(parameters, parameters.bind(given)?)?);
            Ok(Box::pin(async move { to_json(&result.await.map_err(fault)?) }))
        };
        self.finish::<P>(schema_of::<T>(), false, Body::Started(Started::Async(Box::new(body))))
    }

    /// A body that returns many results. It is polled only as fast as the caller reads.
    pub fn stream<P, T, S>(self, function: impl Function<P, Output = S>) -> Method
    where
        P: Types<N>,
        T: Answer,
        S: Stream<T>,
    {
        let body = move |(parameters, given): Fit<'_>| -> Result<ItemStream, Fault> {
            let items = function.apply(P::read(parameters, parameters.bind(given)?)?);
            Ok(Box::pin(items.map(|item| Ok((to_json(&item)?, 0)))))
        };
        self.finish::<P>(schema_of::<T>(), true, Body::Started(Started::Stream(Box::new(body))))
    }

    /// [`stream`](Self::stream) for items that are results. The first error ends the stream.
    pub fn try_stream<P, T, E, S>(self, function: impl Function<P, Output = S>) -> Method
    where
        P: Types<N>,
        T: Answer,
        E: Into<Failure>,
        S: Stream<Result<T, E>>,
    {
        let body = move |(parameters, given): Fit<'_>| -> Result<ItemStream, Fault> {
            let items = function.apply(P::read(parameters, parameters.bind(given)?)?);
            Ok(Box::pin(items.map(|item| Ok((to_json(&item.map_err(fault)?)?, 0)))))
        };
        self.finish::<P>(schema_of::<T>(), true, Body::Started(Started::Stream(Box::new(body))))
    }
}

/// Appends a result; after an error the caller truncates `out`.
fn write<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), Fault> {
    let unwritable = |error: &dyn std::fmt::Display| Fault::method_failed(error.to_string());
    finite::check(value).map_err(|error| unwritable(&error))?;
    serde_json::to_writer(out, value).map_err(|error| unwritable(&error))
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    write(value, &mut out)?;
    Ok(out)
}

fn fault(error: impl Into<Failure>) -> Fault {
    error.into().into_fault()
}

/// An infallible function as a fallible one.
fn infallible<P: 'static, T: 'static>(
    function: impl Function<P, Output = T>,
) -> impl Function<P, Output = Result<T, std::convert::Infallible>> {
    Infallible(function)
}

struct Infallible<F>(F);

impl<P: 'static, F: Function<P>> Function<P> for Infallible<F> {
    type Output = Result<F::Output, std::convert::Infallible>;

    fn apply(&self, arguments: P) -> Self::Output {
        Ok(self.0.apply(arguments))
    }
}
