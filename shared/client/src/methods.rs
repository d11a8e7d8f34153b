//! What one server offers: from `rpc.discover`, or from `all_your_methods` of an older one.

use std::sync::Arc;
use std::time::Duration;

use rpc_wire::exact;
use rpc_wire::fault::Code;
use rpc_wire::paths::{ALL_YOUR_METHODS, RPC_DISCOVER};
use rpc_wire::signature::{self, NotAMethodList, Signature};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::deadline::{Failed, after};
use crate::pool::{Peer, Progress};
use crate::request::Outgoing;
use crate::{Args, CallError, Dialect};

/// The largest method list that is kept; a larger one is an invalid reply.
const MAX_BYTES: usize = 16 << 20;

/// Asks the server at `peer`, on its open connection if there is one.
pub(crate) async fn ask(peer: &Arc<Peer>, within: Duration) -> Result<Vec<Signature>, CallError> {
    let asking = Asking { peer, within, deadline: after(Instant::now(), within) };
    match asking.call(RPC_DISCOVER).await {
        Ok((Dialect::Extended, value)) => return asking.read(&value, signature::from_openrpc),
        // An older server, or one without this reserved method.
        Ok(_) => {}
        Err(CallError::Remote { fault, .. }) if fault.code == Code::MethodNotFound => {}
        Err(error) => return Err(error),
    }
    let (_, value) = asking.call(ALL_YOUR_METHODS).await?;
    asking.read(&value, signature::from_classic)
}

struct Asking<'a> {
    peer: &'a Arc<Peer>,
    within: Duration,
    deadline: Instant,
}

impl Asking<'_> {
    async fn call(&self, method: &str) -> Result<(Dialect, Box<RawValue>), CallError> {
        let call = Arc::new(Outgoing::new(method.to_owned(), Args::none(), None));
        let mut progress = Progress::default();
        let _in_flight = self.peer.load.enter();
        match self.peer.call(&call, self.deadline, &mut progress).await {
            Ok(reply) => Ok((progress.dialect.unwrap_or(Dialect::Classic), reply.value)),
            Err(Failed::Error(error)) => Err(error),
            Err(Failed::Expired) => Err(CallError::Timeout {
                peer: self.peer.name().to_owned(),
                after: self.within,
                phase: progress.phase(&call),
            }),
        }
    }

    fn read(
        &self,
        value: &RawValue,
        read: impl FnOnce(&str) -> Result<Vec<Signature>, NotAMethodList>,
    ) -> Result<Vec<Signature>, CallError> {
        let name = self.peer.name();
        if value.get().len() > MAX_BYTES {
            return Err(CallError::bad_reply(
                name,
                format!("a method list of over {MAX_BYTES} bytes"),
            ));
        }
        exact::check(value).map_err(|inexact| CallError::bad_reply(name, inexact))?;
        read(value.get()).map_err(|error| CallError::bad_reply(name, error))
    }
}
