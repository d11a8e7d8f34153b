//! The methods that come and go while the server serves, and what discovery shows of all methods.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use rpc_wire::signature::{self, Signature};
use tokio::sync::Notify;

use crate::extract::States;
use crate::method::{Method, Methods};
use crate::metrics::Metrics;
use crate::{ServerError, method};

/// The current listing, replaced as a whole.
pub(crate) struct Catalogue {
    current: ArcSwap<Listing>,
    /// One replacement at a time.
    replacing: Mutex<()>,
    changed: Notify,
}

/// What the OpenRPC document says of the service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) title: &'a str,
    pub(crate) version: &'a str,
}

/// What was true of all methods at one time.
pub(crate) struct Listing {
    /// The methods that can be replaced.
    methods: Methods,
    /// The position of each among the server's metrics.
    positions: Vec<usize>,
    /// The reply to `all_your_methods`. This and the documents are made once, for all who read them.
    pub(crate) classic: Bytes,
    /// The OpenRPC document.
    pub(crate) openrpc: Bytes,
    /// The OpenAPI document.
    #[cfg(feature = "http")]
    pub(crate) openapi: Bytes,
    /// The contract of the methods.
    pub(crate) contract: Arc<str>,
}

impl Catalogue {
    /// Of a server that has only the methods it was built with.
    pub(crate) fn new(own: &Methods, about: About<'_>) -> Self {
        let listing = Listing::new(own, Methods::none(), Vec::new(), about);
        Self {
            current: ArcSwap::from_pointee(listing),
            replacing: Mutex::default(),
            changed: Notify::new(),
        }
    }

    pub(crate) fn load(&self) -> Arc<Listing> {
        self.current.load_full()
    }

    /// A method that can be replaced.
    pub(crate) fn find(&self, name: &str) -> Option<Found> {
        let listing = self.load();
        let (index, _) = listing.methods.find(name, 0)?;
        Some(Found { listing, index })
    }

    /// Waits for the next replacement, or returns at once if there was one since the last wait.
    #[cfg(feature = "announce")]
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Lists `methods` beside the server's own, in place of those that were given before.
    ///
    /// # Errors
    /// As [`Methods::new`]; or one has the name of the server's own; or there were too many names.
    pub(crate) fn replace(
        &self,
        methods: Vec<Method>,
        own: &Methods,
        states: &States,
        metrics: &Metrics,
        about: About<'_>,
    ) -> Result<(), ServerError> {
        let methods = Methods::new(methods, states)?;
        let refuse = |name: &str, problem: &str| {
            Err(ServerError::Method { method: name.to_owned(), problem: problem.to_owned() })
        };
        let _one_at_a_time = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut positions = Vec::new();
        for Signature { name, .. } in methods.signatures() {
            if own.find(name, 0).is_some() {
                return refuse(name, method::TAKEN);
            }
            match metrics.position(name) {
                Some(position) => positions.push(position),
                None => {
                    return refuse(
                        name,
                        "this server has had too many names of methods; start it again",
                    );
                }
            }
        }
        self.current.store(Arc::new(Listing::new(own, methods, positions, about)));
        self.changed.notify_one();
        Ok(())
    }
}

/// A method that was found, and stays while its call begins.
pub(crate) struct Found {
    listing: Arc<Listing>,
    index: usize,
}

impl Found {
    /// Its position among the metrics, and itself.
    pub(crate) fn get(&self) -> Option<(usize, &Method)> {
        Some((*self.listing.positions.get(self.index)?, self.listing.methods.at(self.index)?))
    }
}

impl Listing {
    fn new(own: &Methods, methods: Methods, positions: Vec<usize>, about: About<'_>) -> Self {
        let all = || own.signatures().chain(methods.signatures());
        // One after another: as a tree, a document takes many times its text.
        let openrpc = signature::to_openrpc(about.title, about.version, all()).to_string();
        #[cfg(feature = "http")]
        let openapi = signature::to_openapi(about.title, about.version, all()).to_string();
        Self {
            classic: signature::to_classic(all()).into(),
            openrpc: openrpc.into(),
            #[cfg(feature = "http")]
            openapi: openapi.into(),
            contract: signature::contract(all()).into(),
            positions,
            methods,
        }
    }

    /// Methods that can be replaced.
    pub(crate) fn count(&self) -> usize {
        self.positions.len()
    }

    /// The one at that position.
    pub(crate) fn at(&self, position: usize) -> Option<&Method> {
        let index = self.positions.iter().position(|it| *it == position)?;
        self.methods.at(index)
    }
}
