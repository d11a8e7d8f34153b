//! tower layers around the methods of a server.
//!
//! [`ServerBuilder::layer`](crate::ServerBuilder::layer) takes any [`tower::Layer`]: those of
//! tower (limits, timeouts, load shedding), or your own. A layer wraps a [`Next`], a service of
//! [`Request`] → [`Reply`], whose error is any boxed error:
//!
//! | error | reply |
//! |---|---|
//! | [`Fault`], [`Failure`](crate::Failure) | as it is |
//! | `tower::load_shed::error::Overloaded` | -32002 |
//! | `tower::timeout::error::Elapsed` | -32000 |
//! | any other | -32603 with its text |
//!
//! ```
//! use std::task::{Context, Poll};
//! use std::time::{Duration, Instant};
//!
//! use futures_util::future::BoxFuture;
//! use rpc_server::layer::{Next, Reply, Request, Service};
//! use rpc_server::{Fault, Server, rpc_method};
//!
//! /// Logs every call.
//! #[derive(Clone)]
//! struct Logged(Next);
//!
//! impl Service<Request> for Logged {
//!     type Response = Reply;
//!     type Error = Fault;
//!     type Future = BoxFuture<'static, Result<Reply, Fault>>;
//!
//!     fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
//!         self.0.poll_ready(context)
//!     }
//!
//!     fn call(&mut self, request: Request) -> Self::Future {
//!         let (call, started) = (request.call().clone(), Instant::now());
//!         let reply = self.0.call(request);
//!         Box::pin(async move {
//!             let reply = reply.await;
//!             println!("{} {:?} {:?} {}", call.method(), call.peer(), started.elapsed(), reply.is_ok());
//!             reply
//!         })
//!     }
//! }
//!
//! /// Adds two numbers.
//! #[rpc_method]
//! fn plus(a: i64, b: i64) -> i64 {
//!     a + b
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let limited = tower::ServiceBuilder::new().load_shed().concurrency_limit(100);
//! let server = Server::builder()
//!     .method(plus::method())
//!     .layer(limited)
//!     .layer(tower::timeout::TimeoutLayer::new(Duration::from_secs(2)))
//!     .layer(tower::layer::layer_fn(Logged)) // added last, so it sees what the others refuse
//!     .bind(([127, 0, 0, 1], 0))
//!     .await?;
//! # drop(server);
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
//! ```
//!
//! A layer sees the calls of the server's methods, those of streams as well: it wraps the start of a
//! stream, not its items. It sees neither `rpc.health` and its like, which must work while a limit
//! refuses everything else, nor requests that name no method or come too late. Limits of the server
//! ([`Limits`](crate::Limits)), deadlines and cancellation apply around all layers.
//!
//! Each call uses a clone of the service. One that cannot be cloned, like tower's `RateLimit`, goes
//! behind a `Buffer`: `ServiceBuilder::new().buffer(100).load_shed().rate_limit(…)`.

use std::error::Error;
use std::fmt;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use rpc_wire::fault::{Code, Fault};
use rpc_wire::signature::Effect;
use serde::Serialize;
use serde_json::value::RawValue;
use tower::util::{BoxCloneSyncService, ServiceExt};

use crate::call::{Call, Identity};
use crate::failure;
use crate::method::{self, ItemStream};

pub use tower::{BoxError, Layer, Service};

/// A call on its way to its method.
pub struct Request {
    pub(crate) call: Call,
    pub(crate) arguments: GivenArguments,
    pub(crate) effect: Effect,
    pub(crate) is_stream: bool,
    /// Runs the method; it counts as in flight until this is dropped.
    pub(crate) run: Run,
}

/// Runs the method of a request.
pub(crate) type Run =
    Box<dyn FnOnce(Call, GivenArguments) -> BoxFuture<'static, Result<Reply, Fault>> + Send>;

/// The arguments of a call, if it gives any.
#[derive(Debug)]
pub(crate) struct GivenArguments {
    pub(crate) positional: Option<Box<RawValue>>,
    pub(crate) keyword: Option<Box<RawValue>>,
}

impl Request {
    /// The call: its method, peer, deadline, trace context.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The method's name.
    pub fn method(&self) -> &str {
        self.call.method()
    }

    /// The positional arguments, a JSON list. They are not checked yet.
    pub fn arguments(&self) -> &str {
        self.arguments.positional.as_ref().map_or("[]", |given| given.get())
    }

    /// The keyword arguments, a JSON object. They are not checked yet.
    pub fn keyword_arguments(&self) -> &str {
        self.arguments.keyword.as_ref().map_or("{}", |given| given.get())
    }

    /// What the method says that it changes.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Whether the method returns a stream.
    pub fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Says who calls, for methods and for the layers inside this one.
    pub fn set_identity(&mut self, identity: Identity) {
        self.call.set_identity(identity);
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("call", &self.call)
            .field("is_stream", &self.is_stream)
            .finish_non_exhaustive()
    }
}

/// What a method returned: a result, or a stream that has started.
pub struct Reply(pub(crate) Content);

pub(crate) enum Content {
    Result(Vec<u8>),
    Items(ItemStream),
}

impl Reply {
    /// A result that the method did not make, for example one from a cache.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn of(result: &impl Serialize) -> Result<Self, Fault> {
        let mut json = Vec::new();
        method::write_value(result, &mut json)?;
        Ok(Self(Content::Result(json)))
    }

    /// The result as JSON; `None` for a stream.
    pub fn json(&self) -> Option<&[u8]> {
        match &self.0 {
            Content::Result(json) => Some(json),
            Content::Items(_) => None,
        }
    }

    /// Whether it is a stream.
    pub fn is_stream(&self) -> bool {
        matches!(self.0, Content::Items(_))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("is_stream", &self.is_stream()).finish_non_exhaustive()
    }
}

/// What is inside a layer: further layers, or the method.
#[derive(Clone)]
pub struct Next(BoxCloneSyncService<Request, Reply, Fault>);

impl Next {
    /// The innermost service: the method itself.
    pub(crate) fn method() -> Self {
        let run = |request: Request| (request.run)(request.call, request.arguments);
        Self(BoxCloneSyncService::new(tower::service_fn(run)))
    }

    /// The same within a layer.
    fn within<L>(self, layer: &L) -> Self
    where
        L: Layer<Self>,
        L::Service: Service<Request, Response = Reply, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        let service = layer.layer(self).map_err(|error| fault(error.into()));
        Self(BoxCloneSyncService::new(service))
    }

    /// Calls it once it is ready.
    pub(crate) fn call_once(&self, request: Request) -> BoxFuture<'static, Result<Reply, Fault>> {
        Box::pin(self.0.clone().oneshot(request))
    }
}

impl Service<Request> for Next {
    type Response = Reply;
    type Error = Fault;
    type Future = BoxFuture<'static, Result<Reply, Fault>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.0.call(request)
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Next")
    }
}

/// The layers of a server, innermost first. They are applied at bind: some start a task.
#[derive(Default)]
pub(crate) struct Layers(Vec<Box<dyn FnOnce(Next) -> Next + Send>>);

impl Layers {
    pub(crate) fn add<L>(&mut self, layer: L)
    where
        L: Layer<Next> + Send + 'static,
        L::Service: Service<Request, Response = Reply, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        self.0.push(Box::new(move |inner| inner.within(&layer)));
    }

    /// `None` if there are none: calls then go straight to their methods.
    pub(crate) fn apply(self) -> Option<Next> {
        if self.0.is_empty() {
            return None;
        }
        Some(self.0.into_iter().fold(Next::method(), |inner, layer| layer(inner)))
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} layers", self.0.len())
    }
}

/// The error of a layer as a reply.
fn fault(error: BoxError) -> Fault {
    let error = match error.downcast::<Fault>() {
        Ok(fault) => return *fault,
        Err(error) => error,
    };
    let mut cause: Option<&(dyn Error + 'static)> = Some(&*error);
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref::<Fault>() {
            return fault.clone();
        }
        if error.is::<tower::load_shed::error::Overloaded>() {
            let text = "busy: a limit of the service is reached; call another instance";
            return Fault::new(Code::Overloaded, text);
        }
        if error.is::<tower::timeout::error::Elapsed>() {
            let text = "the method took longer than the service allows";
            return Fault::new(Code::DeadlineExceeded, text);
        }
        cause = error.source();
    }
    Fault::method_failed(failure::text_of(&*error))
}
