//! How a method runs when it is called.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use rpc_wire::fault::Fault;

use super::returned::{self, Returned, ReturnedStream};
use super::{Function, Method, MethodBuilder, Types};
use crate::MethodError;
use crate::arguments::{Arguments, Parameters};
use crate::extract::Parts;

/// What a body reads its arguments from: the declared parameters, the given arguments, and the call
/// for its extractors.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) parameters: &'a Parameters,
    pub(crate) arguments: Arguments<'a>,
    pub(crate) parts: &'a Parts<'a>,
}

impl Given<'_> {
    fn read<const N: usize, P: Types<N>>(self) -> Result<P, Fault> {
        P::read(self.parameters, self.parameters.bind(self.arguments)?, self.parts)
    }
}

/// A result as JSON text, when it is ready.
pub(crate) type Unary = Pin<Box<dyn Future<Output = Result<Vec<u8>, Fault>> + Send>>;
/// Results as JSON text, each with the number of those dropped before it.
pub(crate) type ItemStream = Pin<Box<dyn Stream<Item = Result<(Vec<u8>, u64), Fault>> + Send>>;
pub(crate) type Work = Box<dyn FnOnce() -> Result<Vec<u8>, Fault> + Send>;
/// Appends the result.
pub(crate) type RunNow = Box<dyn Fn(Given<'_>, &mut Vec<u8>) -> Result<(), Fault> + Send + Sync>;
type Run<T> = Box<dyn Fn(Given<'_>) -> Result<T, Fault> + Send + Sync>;

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
    ///
    /// ```
    /// use rpc_server::Method;
    ///
    /// let half = Method::named("half").parameters(["n"]).sync(|n: f64| n / 2.0);
    /// let number = Method::named("number").parameters(["text"]).sync(|text: String| text.parse::<i32>());
    /// assert_eq!(number.signature().result.as_ref().unwrap()["type"], "integer");
    /// ```
    pub fn sync<P, R, K>(self, function: impl Function<P, Output = R>) -> Method
    where
        P: Types<N>,
        R: Returned<K, Error: MethodError>,
        K: 'static,
    {
        let body = move |given: Given<'_>, out: &mut Vec<u8>| {
            returned::write(function.apply(given.read::<N, P>()?), out)
        };
        self.finish::<P>(returned::schema::<R, K>(), false, Body::Sync(Box::new(body)))
    }

    /// A body that blocks or computes long: it runs on the blocking pool, and to its end even if
    /// its caller has gone. A long one asks [`Call::is_cancelled`](crate::Call::is_cancelled).
    ///
    /// ```
    /// use rpc_server::Method;
    ///
    /// let size = Method::named("size")
    ///     .parameters(["path"])
    ///     .blocking(|path: String| std::fs::metadata(path).map(|file| file.len()));
    /// assert_eq!(size.signature().name, "size");
    /// ```
    pub fn blocking<P, R, K>(self, function: impl Function<P, Output = R>) -> Method
    where
        P: Types<N>,
        R: Returned<K, Error: MethodError>,
        K: 'static,
    {
        let function = Arc::new(function);
        let body = move |given: Given<'_>| -> Result<Work, Fault> {
            let arguments = given.read::<N, P>()?;
            let function = function.clone();
            Ok(Box::new(move || returned::to_json(function.apply(arguments))))
        };
        let body = Body::Started(Started::Blocking(Box::new(body)));
        self.finish::<P>(returned::schema::<R, K>(), false, body)
    }

    /// A body that awaits. It is dropped at its current await when its caller cancels or its
    /// deadline passes.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use rpc_server::Method;
    ///
    /// let wait = Method::named("wait").parameters(["ms"]).idempotent().asynchronous(async |ms: u64| {
    ///     tokio::time::sleep(Duration::from_millis(ms)).await;
    /// });
    /// assert!(wait.signature().effect.is_idempotent());
    /// ```
    pub fn asynchronous<P, R, K, F>(self, function: impl Function<P, Output = F>) -> Method
    where
        P: Types<N>,
        R: Returned<K, Error: MethodError>,
        K: 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let body = move |given: Given<'_>| -> Result<Unary, Fault> {
            let result = function.apply(given.read::<N, P>()?);
            Ok(Box::pin(async move { returned::to_json(result.await) }))
        };
        let body = Body::Started(Started::Async(Box::new(body)));
        self.finish::<P>(returned::schema::<R, K>(), false, body)
    }

    /// A body that returns many results. It is polled only as fast as the caller reads.
    ///
    /// ```
    /// use futures_util::stream;
    /// use rpc_server::Method;
    ///
    /// let count = Method::named("count").parameters(["to"]).stream(|to: u32| stream::iter(1..=to));
    /// assert!(count.signature().stream);
    /// ```
    pub fn stream<P, S, K, Item, ItemKind>(self, function: impl Function<P, Output = S>) -> Method
    where
        P: Types<N>,
        S: ReturnedStream<K, Items: Stream<Item = Item>, Error: MethodError>,
        K: 'static,
        Item: Returned<ItemKind, Error: MethodError>,
        ItemKind: 'static,
    {
        let body = move |given: Given<'_>| -> Result<ItemStream, Fault> {
            let items = function.apply(given.read::<N, P>()?).into_items();
            let items = items.map_err(|error| error.into().into_fault())?;
            Ok(Box::pin(items.map(|item| Ok((returned::to_json(item)?, 0)))))
        };
        let body = Body::Started(Started::Stream(Box::new(body)));
        self.finish::<P>(returned::schema::<Item, ItemKind>(), true, body)
    }
}
