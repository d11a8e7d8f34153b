//! The same calls without async: a client on a thread of its own.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use rpc_wire::call::IntoArgs;
use rpc_wire::signature::Signature;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use crate::{
    Args, CallError, CallStream, Catalog, ClientError, ClientOptions, KnownInstance, Request,
    Response, StreamItem, Target,
};

/// A client whose calls block the calling thread. They may be made anywhere; inside an async runtime they
/// block one of its workers, but never panic.
///
/// ```
/// # let runtime = tokio::runtime::Runtime::new()?;
/// # let server = runtime.block_on(rpc_tests::fakes::adder());
/// # let address = server.name();
/// use rpc_client::ClientOptions;
/// use rpc_client::blocking::Client;
///
/// let client = Client::direct(address, ClientOptions::default())?;
/// assert_eq!(client.call("add", (1, 2))?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    client: crate::Client,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    handle: Handle,
    end: CancellationToken,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The items of a stream method; each `next` blocks until one arrives. Dropping it cancels the call.
#[derive(Debug)]
pub struct Items {
    client: Client,
    stream: Option<CallStream>,
}

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
    #[cfg(feature = "registry")]
    pub fn through_registry(url: &str, options: ClientOptions) -> Result<Self, ClientError> {
        Self::new(Target::Registry { url: url.to_owned() }, options)
    }

    /// A client of `target`.
    ///
    /// # Errors
    /// The registry's URL is not one, or no thread can be started.
    pub fn new(target: Target, options: ClientOptions) -> Result<Self, ClientError> {
        let failed = |error: std::io::Error| ClientError::Thread(error.to_string());
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let client = {
            let _inside = runtime.enter();
            crate::Client::new(target, options)?
        };
        let (handle, end) = (runtime.handle().clone(), CancellationToken::new());
        let ended = end.clone().cancelled_owned();
        let thread = std::thread::Builder::new().name("rpc-client".to_owned()).spawn(move || {
            runtime.block_on(ended);
            // Does not wait for a name lookup on the blocking pool.
            runtime.shutdown_background();
        });
        let thread = Mutex::new(Some(thread.map_err(failed)?));
        Ok(Self { client, inner: Arc::new(Inner { handle, end, thread }) })
    }

    /// See [`crate::Client::service`].
    #[must_use]
    pub fn service(&self, name: &str) -> Self {
        let inner = &self.inner;
        Self { client: self.client.service(name), inner: Arc::clone(inner) }
    }

    /// See [`crate::Client::call`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn call(&self, method: &str, args: impl IntoArgs) -> Result<Value, CallError> {
        let (method, args) = own(method, args)?;
        self.run(|client| async move { client.call(&method, args).await })
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
        let (method, args) = own(method, args)?;
        self.run(|client| async move { client.call_as(&method, args).await })
    }

    /// See [`crate::Client::request`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn request(&self, request: Request) -> Result<Response, CallError> {
        self.run(|client| async move { client.request(request).await })
    }

    /// See [`crate::Client::notify`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn notify(&self, method: &str, args: impl IntoArgs) -> Result<(), CallError> {
        let (method, args) = own(method, args)?;
        self.run(|client| async move { client.notify(&method, args).await })
    }

    /// See [`crate::Client::notify_request`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn notify_request(&self, request: Request) -> Result<(), CallError> {
        self.run(|client| async move { client.notify_request(request).await })
    }

    /// See [`crate::Client::stream`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn stream(&self, method: &str, args: impl IntoArgs) -> Result<Items, CallError> {
        let (method, args) = own(method, args)?;
        let stream = self.run(|client| async move { client.stream(&method, args).await })?;
        Ok(Items { client: self.clone(), stream: Some(stream) })
    }

    /// See [`crate::Client::methods`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn methods(&self) -> Result<Vec<Signature>, CallError> {
        self.run(|client| async move { client.methods().await })
    }

    /// See [`crate::Client::catalog`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn catalog(&self) -> Result<Catalog, CallError> {
        self.run(|client| async move { client.catalog().await })
    }

    /// See [`crate::Client::instances`].
    pub fn instances(&self) -> Vec<KnownInstance> {
        self.client.instances()
    }

    /// See [`crate::Client::instances_not_up`].
    pub fn instances_not_up(&self) -> Vec<KnownInstance> {
        self.client.instances_not_up()
    }

    /// Ends every task and socket of this client and of its clones, and its thread.
    pub fn close(&self) {
        // An error means that it was closed before.
        let _ = self.run(|client| async move {
            client.close().await;
            Ok(())
        });
        self.inner.end_thread();
    }

    /// Runs a call on the client's thread and waits for it.
    fn run<T: Send + 'static, F: Future<Output = Result<T, CallError>> + Send + 'static>(
        &self,
        call: impl FnOnce(crate::Client) -> F,
    ) -> Result<T, CallError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let call = call(self.client.clone());
        // Once the thread has ended the future is dropped at once, and with it the sender.
        self.inner.handle.spawn(async move {
            // The channel has room for the one result.
            let _ = sender.try_send(call.await);
        });
        receiver.recv().unwrap_or(Err(CallError::Closed))
    }
}

impl Inner {
    fn end_thread(&self) {
        self.end.cancel();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // If it panicked, that was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end_thread();
    }
}

impl Iterator for Items {
    type Item = Result<StreamItem, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut stream = self.stream.take()?;
        let result = self.client.run(|_| async move {
            let item = stream.next().await;
            Ok((stream, item))
        });
        match result {
            Ok((stream, Some(item))) => {
                self.stream = Some(stream);
                Some(item)
            }
            Ok((_, None)) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

fn own(method: &str, args: impl IntoArgs) -> Result<(String, Args), CallError> {
    let args = args.into_args().map_err(|error| CallError::BadArguments(error.to_string()))?;
    Ok((method.to_owned(), args))
}
