//! One call, from the choice of an instance to its result.

use rpc_wire::call::IntoArgs;
use rpc_wire::signature::Signature;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    CallError, CallStream, ClientError, ClientOptions, KnownInstance, Request, Response, Target,
};

/// Calls methods of a server, or of whatever servers a registry lists. Cheap to clone; every task
/// and socket ends with [`close`](Client::close) or when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Client {
    target: Target,
}

impl Client {
    /// A client of one server, `host:port`. Nothing is sent before the first call.
    ///
    /// # Errors
    /// It is not an address, or there is no tokio runtime.
    pub fn direct(address: impl Into<String>, options: ClientOptions) -> Result<Self, ClientError> {
        Self::new(Target::direct(&address.into())?, options)
    }

    /// A client of the servers that the registry at `url` lists. It begins to fetch the list.
    ///
    /// # Errors
    /// It is not a URL, or there is no tokio runtime.
    pub fn through_registry(url: &str, options: ClientOptions) -> Result<Self, ClientError> {
        Self::new(Target::Registry { url: url.to_owned() }, options)
    }

    /// A client of `target`.
    ///
    /// # Errors
    /// The registry's URL is not one, or there is no tokio runtime.
    pub fn new(target: Target, _options: ClientOptions) -> Result<Self, ClientError> {
        Ok(Self { target })
    }

    /// Whom it calls.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Calls `method` and waits for its result, at most [`ClientOptions::timeout`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(&self, method: &str, args: impl IntoArgs) -> Result<Value, CallError> {
        let _ = (method, args.into_args());
        Err(CallError::Closed)
    }

    /// The same, with the result as a type of yours.
    ///
    /// # Errors
    /// See [`CallError`]; [`CallError::WrongType`] when the result does not fit.
    pub async fn call_as<T: DeserializeOwned>(
        &self,
        method: &str,
        args: impl IntoArgs,
    ) -> Result<T, CallError> {
        let _ = (method, args.into_args());
        Err(CallError::Closed)
    }

    /// Makes a call with everything that can be said about it.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn request(&self, _request: Request) -> Result<Response, CallError> {
        Err(CallError::Closed)
    }

    /// Calls a stream method; its items come as they are sent.
    ///
    /// # Errors
    /// See [`CallError`]; a failure after the beginning comes as the stream's last item.
    pub async fn stream(&self, method: &str, args: impl IntoArgs) -> Result<CallStream, CallError> {
        let _ = (method, args.into_args());
        Err(CallError::Closed)
    }

    /// The same for a whole request: its `on` chooses the instance, its `timeout` bounds the
    /// stream; it is never tried again once it has begun.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn stream_request(&self, _request: Request) -> Result<CallStream, CallError> {
        Err(CallError::Closed)
    }

    /// What can be called: `rpc.discover`, or `all_your_methods` of an older server.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn methods(&self) -> Result<Vec<Signature>, CallError> {
        Err(CallError::Closed)
    }

    /// The same for one address (`host:port`).
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn methods_on(&self, _address: &str) -> Result<Vec<Signature>, CallError> {
        Err(CallError::Closed)
    }

    /// The instances known now; for a direct target that one.
    pub fn instances(&self) -> Vec<KnownInstance> {
        Vec::new()
    }

    /// Ends every task and socket of this client and of its clones; calls under way fail with
    /// [`CallError::Closed`].
    pub async fn close(&self) {}
}
