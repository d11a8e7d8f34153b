//! Stops a server that serves, and changes what it serves: [`ServerHandle`].

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock, Weak};

use tokio_util::sync::CancellationToken;

use crate::drain::{Asker, Drain};
use crate::state::ServerState;
use crate::{Method, ServerError};

/// Stops a server, or drains it for a while, from anywhere in the program.
///
/// ```
/// use rpc_server::Server;
///
/// # async fn run() -> Result<(), rpc_server::ServerError> {
/// let server = Server::builder().bind(([127, 0, 0, 1], 0)).await?;
/// let handle = server.handle();
/// let serving = tokio::spawn(server.serve(std::future::pending()));
/// handle.stop();
/// serving.await.expect("it does not panic")?;
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(run()).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct ServerHandle {
    pub(crate) ending: CancellationToken,
    pub(crate) failure: Arc<OnceLock<String>>,
    drain: Arc<Drain>,
    state: Weak<ServerState>,
}

impl ServerHandle {
    pub(crate) fn of(state: &Arc<ServerState>) -> Self {
        Self { drain: state.drain.clone(), state: Arc::downgrade(state), ..Self::default() }
    }

    /// Serves `methods` beside those of the builder, in place of those that were given here before.
    /// Callers that ask for the list see it at once, and the registry is told; calls in flight are not
    /// affected. At most 1,024 names over the life of a server.
    ///
    /// # Errors
    /// [`ServerError::Method`], as for [`bind`](crate::ServerBuilder::bind), or for a name that the builder's
    /// methods have. Nothing has changed then.
    pub fn replace_methods(
        &self,
        methods: impl IntoIterator<Item = Method>,
    ) -> Result<(), ServerError> {
        // A server that has ended needs none.
        let Some(state) = self.state.upgrade() else { return Ok(()) };
        let ServerState { methods: own, states, metrics, identity, .. } = &*state;
        state.catalogue.replace(
            methods.into_iter().collect(),
            own,
            states,
            metrics,
            identity.about(),
        )
    }

    /// Keeps so many open files for something that its methods need, such as processes: connections take the rest. It
    /// counts from the start of [`Server::serve`](crate::Server::serve) on.
    pub fn keep_files(&self, files: usize) {
        if let Some(state) = self.state.upgrade() {
            state.kept_files.fetch_add(files, Relaxed);
        }
    }

    /// Takes no new calls until [`resume`](Self::resume): they get the error -32003, `draining`, which a
    /// client calls another instance for; older clients, which do not, are served for
    /// [`Limits::drain_notice`](crate::Limits::drain_notice) longer. Calls in flight finish, connections stay, and health says
    /// `draining`.
    ///
    /// It is still registered, and in the lists of clients. An operator's `rpcd drain` takes it out of
    /// them, too, and what an operator drained [`resume`](Self::resume) does not bring back.
    pub fn drain(&self) {
        self.drain.set(Asker::Program, true);
    }

    /// The same, for a reason that callers are told.
    pub fn drain_because(&self, why: impl Into<String>) {
        self.drain.set_why(Some(why.into()));
        self.drain();
    }

    /// Takes calls again, unless an operator drained it.
    pub fn resume(&self) {
        self.drain.set_why(None);
        self.drain.set(Asker::Program, false);
    }

    /// Whether it takes no new calls for now, by [`drain`](Self::drain) or by an operator.
    pub fn is_draining(&self) -> bool {
        self.drain.is_on()
    }

    /// Shuts the server down; [`Server::serve`](crate::Server::serve) then returns `Ok`.
    pub fn stop(&self) {
        self.ending.cancel();
    }

    /// Shuts the server down because it can no longer do its work; [`Server::serve`](crate::Server::serve) then returns
    /// [`ServerError::Failed`] with this reason.
    pub fn fail(&self, reason: impl Into<String>) {
        // The first reason is kept.
        let _ = self.failure.set(reason.into());
        self.ending.cancel();
    }
}
