//! What the client of a `#[rpc_service]` trait is made of: typed calls of a server or of the trait's
//! implementation in this process.

mod error;
mod options;
mod stream;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rpc_wire::exact;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{Args, ArgsError, CallError, Client, Phase, Request};

pub use error::ServiceError;
pub use options::CallOptions;
pub use stream::TypedStream;

/// A reply of an implementation in this process.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// Items of an implementation in this process.
pub type BoxStream<T> = Pin<Box<dyn futures_util::Stream<Item = T> + Send>>;

/// What errors name instead of an address when the implementation is in this process.
const IN_PROCESS: &str = "in process";

/// Whom a typed client calls, and how. `L` is the implementation as a trait object, or
/// [`Infallible`](std::convert::Infallible) where there is none.
pub struct Caller<L: ?Sized> {
    callee: Callee<L>,
    options: CallOptions,
}

/// A server, or an implementation in this process.
pub enum Callee<L: ?Sized> {
    Remote(Client),
    InProcess(Arc<L>),
}

impl<L: ?Sized> Caller<L> {
    /// Calls instances of a service, or of the one that the client is for.
    pub fn remote(client: Client, service: &str) -> Self {
        Self::any_service(client.service_if_none(service))
    }

    /// Calls whatever the client calls.
    pub fn any_service(client: Client) -> Self {
        Self { callee: Callee::Remote(client), options: CallOptions::default() }
    }

    /// Calls an implementation.
    pub fn in_process(service: Arc<L>) -> Self {
        Self { callee: Callee::InProcess(service), options: CallOptions::default() }
    }

    /// The same with other options.
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        Self { options, ..self.clone() }
    }

    /// Whom it calls.
    pub fn callee(&self) -> &Callee<L> {
        &self.callee
    }

    /// The timeout of a call, if the options have one.
    pub fn timeout(&self) -> Option<Duration> {
        self.options.timeout
    }

    /// A call with these options; `add` adds its arguments.
    ///
    /// # Errors
    /// An argument cannot be written as JSON.
    pub fn request(
        &self,
        method: &str,
        idempotent: bool,
        add: impl FnOnce(&mut Args) -> Result<(), ArgsError>,
    ) -> Result<Request, CallError> {
        let mut args = Args::none();
        add(&mut args).map_err(|error| CallError::BadArguments(error.to_string()))?;
        Ok(Request {
            timeout: self.options.timeout,
            idempotent: idempotent || self.options.idempotent,
            on: self.options.on.clone(),
            ..Request::with_args(method.to_owned(), args)
        })
    }

    /// Waits for the reply of an implementation, at most for the timeout.
    ///
    /// # Errors
    /// Those of the implementation; [`CallError::Timeout`].
    pub async fn reply<T, F>(
        &self,
        reply: BoxFuture<Result<T, F>>,
        failed: Failed<F>,
    ) -> Result<T, F> {
        let Some(after) = self.options.timeout else { return reply.await };
        match tokio::time::timeout(after, reply).await {
            Ok(result) => result,
            Err(_) => Err(failed(timed_out(after))),
        }
    }

    /// The items of an implementation, until the timeout.
    pub fn items<T, F>(
        &self,
        items: BoxStream<Result<T, F>>,
        failed: Failed<F>,
    ) -> TypedStream<T, F> {
        TypedStream::in_process(items, self.options.timeout, failed)
    }
}

impl<L: ?Sized> Clone for Caller<L> {
    fn clone(&self) -> Self {
        let callee = match &self.callee {
            Callee::Remote(client) => Callee::Remote(client.clone()),
            Callee::InProcess(service) => Callee::InProcess(Arc::clone(service)),
        };
        Self { callee, options: self.options.clone() }
    }
}

impl<L: ?Sized> fmt::Debug for Caller<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Caller");
        match &self.callee {
            Callee::Remote(client) => shown.field("client", client),
            Callee::InProcess(_) => shown.field("client", &format_args!("{IN_PROCESS}")),
        };
        shown.field("options", &self.options).finish()
    }
}

/// Makes a call and reads its result.
///
/// # Errors
/// See [`CallError`].
pub async fn call<T, F>(
    client: &Client,
    request: Result<Request, CallError>,
    reader: Reader<T>,
    failed: Failed<F>,
) -> Result<T, F> {
    let result = async {
        let request = request?;
        let method = request.method.clone();
        let response = client.request(request).await?;
        reader.0(&response.value, &method, &response.peer)
    };
    result.await.map_err(failed)
}

/// Calls a stream method.
///
/// # Errors
/// See [`CallError`].
pub async fn stream<T, F>(
    client: &Client,
    request: Result<Request, CallError>,
    reader: Reader<T>,
    failed: Failed<F>,
) -> Result<TypedStream<T, F>, F> {
    let items = async {
        let request = request?;
        let method = request.method.clone();
        Ok(TypedStream::remote(client.stream_request(request).await?, method, reader, failed))
    };
    items.await.map_err(failed)
}

// What follows has the bounds of a method's types, and nothing before has any: generated code makes
// these values where the types are written, so that the compiler's errors point there, once.

/// Reads results: of which method, and from which peer.
pub struct Reader<T>(fn(&RawValue, &str, &str) -> Result<T, CallError>);

/// Reads results and items of streams.
pub const fn reader<T: DeserializeOwned>() -> Reader<T> {
    Reader(read_as)
}

/// Writes arguments: by name, or by position.
pub struct Writer<T>(fn(&mut Args, Option<&str>, &T) -> Result<(), ArgsError>);

/// Writes arguments.
pub const fn writer<T: Serialize>() -> Writer<T> {
    Writer(|args, name, value| match name {
        Some(name) => args.insert(name, value),
        None => args.push(value),
    })
}

impl<T> Writer<T> {
    /// Adds the next argument.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn push(&self, args: &mut Args, value: &T) -> Result<(), ArgsError> {
        self.0(args, None, value)
    }

    /// Adds an argument by name.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn insert(&self, args: &mut Args, name: &str, value: &T) -> Result<(), ArgsError> {
        self.0(args, Some(name), value)
    }
}

/// Makes the error of a method of a failed call.
pub type Failed<F> = fn(CallError) -> F;

/// The error of a method that returns a `Result`.
pub const fn service_error<E: DeserializeOwned>() -> Failed<ServiceError<E>> {
    ServiceError::from
}

/// A result of `peer` as a `T`, without a rounded number.
fn read_as<T: DeserializeOwned>(
    value: &RawValue,
    method: &str,
    peer: &str,
) -> Result<T, CallError> {
    exact::check(value).map_err(|inexact| CallError::NotExact {
        peer: peer.to_owned(),
        reason: inexact.to_string(),
    })?;
    serde_json::from_str(value.get()).map_err(|error| CallError::WrongType {
        method: method.to_owned(),
        reason: error.to_string(),
    })
}

fn timed_out(after: Duration) -> CallError {
    CallError::Timeout { peer: IN_PROCESS.to_owned(), after, phase: Phase::Reply }
}
