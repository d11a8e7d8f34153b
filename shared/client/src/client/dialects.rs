//! What is known of the dialects of those a client calls.

use super::inner::Source;
use crate::{Client, Dialect, ListedAs};

impl Client {
    /// The dialect of the one server, once it is known; `None` for the instances of a registry.
    pub fn dialect(&self) -> Option<Dialect> {
        match &self.inner.source {
            Source::Direct(peer) => peer.dialect(),
            Source::Registry(_) => None,
        }
    }

    /// The same of the server at that address, as far as it was called; `listed` is how the caller's own list of the
    /// registry has it (see [`Request::listed`](crate::Request)).
    pub fn dialect_at(&self, address: &str, listed: Option<&ListedAs>) -> Option<Dialect> {
        self.inner.dialect_at(address, listed)
    }

    /// Whether a call may give some arguments by position and others by name, as far as is known of those it may go
    /// to: servers of JSON-RPC take all of them in one way. See [`Signature::arranged`](rpc_wire::signature::Signature::arranged).
    pub fn mixes_arguments(&self) -> bool {
        let speaks_json_rpc = match &self.inner.source {
            Source::Direct(peer) => peer.dialect() == Some(Dialect::JsonRpc),
            Source::Registry(discovery) => discovery.knows_json_rpc(),
        };
        !speaks_json_rpc
    }
}
