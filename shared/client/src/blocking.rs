//! The same calls without async: a client on a thread of its own.

use rpc_wire::call::IntoArgs;
use rpc_wire::signature::Signature;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{CallError, ClientError, ClientOptions, KnownInstance, Request, Response, Target};

/// A client whose calls block the calling thread. They may be made anywhere; inside an async
/// runtime they block one of its workers, but never panic.
#[derive(Debug, Clone)]
pub struct Client {}

impl Client {
    /// A client of one server, `host:port`.
    ///
    /// # Errors
    /// It is not an address, or no thread can be started.
    pub fn direct(address: impl Into<String>, options: ClientOptions) -> Result<Self, ClientError> {
        Self::new(Target::direct(&address.into())?, options)
    }

    /// A client of the servers that the registry at `url` lists.
    ///
    /// # Errors
    /// It is not a URL, or no thread can be started.
    pub fn through_registry(url: &str, options: ClientOptions) -> Result<Self, ClientError> {
        Self::new(Target::Registry { url: url.to_owned() }, options)
    }

    /// A client of `target`.
    ///
    /// # Errors
    /// The registry's URL is not one, or no thread can be started.
    pub fn new(_target: Target, _options: ClientOptions) -> Result<Self, ClientError> {
        Ok(Self {})
    }

    /// See [`crate::Client::call`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn call(&self, method: &str, args: impl IntoArgs) -> Result<Value, CallError> {
        let _ = (method, args.into_args());
        Err(CallError::Closed)
    }

    /// See [`crate::Client::call_as`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn call_as<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &str,
        args: impl IntoArgs,
    ) -> Result<T, CallError> {
        let _ = (method, args.into_args());
        Err(CallError::Closed)
    }

    /// See [`crate::Client::request`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn request(&self, _request: Request) -> Result<Response, CallError> {
        Err(CallError::Closed)
    }

    /// See [`crate::Client::methods`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn methods(&self) -> Result<Vec<Signature>, CallError> {
        Err(CallError::Closed)
    }

    /// See [`crate::Client::instances`].
    pub fn instances(&self) -> Vec<KnownInstance> {
        Vec::new()
    }

    /// Ends every task and socket of this client and of its clones, and its thread.
    pub fn close(&self) {}
}
