//! The client's commands: `call`, `bench`, `methods`, `describe`, `instances`, `watch`, `logs`, `stats`,
//! `drain`, `undrain`, `release-brake` and `health`.
//!
//! - `discovery`: what a call may wait for to learn the method's schema.
//! - `explain`: what was probably meant by a call that failed.
//! - `list_source`: says when calls do not go by what the registry lists.
//! - `mistaken`: a registry that is taken for a server.
//! - `no_instance`: a service that no instance belongs to.
//! - `offers`: who offers a method, of all instances.
//! - `reserved`: the methods every server has.
//! - `signature`: a method as people read it.

mod bench;
mod brake;
mod call;
mod describe;
mod discovery;
mod explain;
mod health;
mod instances;
mod list_source;
mod logs;
mod methods;
mod mistaken;
mod no_instance;
mod offers;
mod overrides;
mod reserved;
mod signature;
mod stats;
mod watch;

use std::time::Duration;

use rpc_client::{Args, Client, Target};
use rpc_wire::shell_word;
use rpc_wire::signature::Signature;

use crate::plan::Described;

pub use bench::bench;
pub use brake::release_brake;
pub use call::call;
pub use describe::describe;
pub use health::health;
pub use instances::instances;
pub use logs::logs;
pub use methods::{methods, openapi};
pub use overrides::overrides;
pub use stats::stats;
pub use watch::watch;

/// The registry that is asked where nothing says another one.
const DEFAULT_REGISTRY: &str = "http://127.0.0.1:9999";

/// The flags that choose this target, after a blank, for a command that is advised; none for the default registry.
fn flags(target: &Target) -> String {
    match target {
        Target::Registry { url } if url == DEFAULT_REGISTRY => String::new(),
        Target::Registry { url } => format!(" --registry {}", shell_word(url)),
        Target::Direct { host, port } => format!(" -i {} -p {port}", shell_word(host)),
        Target::JsonRpc { url } => format!(" -i {}", shell_word(url)),
    }
}

/// The same with the service whose instances are meant, and with the document that says the methods.
fn flags_with(target: &Target, service: Option<&str>, described: Option<&Described>) -> String {
    let of_service = |service| format!(" --service {}", shell_word(service));
    let service = match target {
        Target::Registry { .. } => service.map(of_service),
        Target::Direct { .. } | Target::JsonRpc { .. } => None,
    };
    flags(target)
        + &service.unwrap_or_default()
        + &described.map(Described::flag).unwrap_or_default()
}

/// The same for a command that only a registry knows the answer of.
fn at(registry: &str) -> String {
    flags(&Target::Registry { url: registry.to_owned() })
}

/// Closes a client; a peer that does not close must not delay the command's exit.
pub(crate) async fn close(client: Client) {
    let _ = tokio::time::timeout(Duration::from_secs(1), client.close()).await;
}

/// The arguments in the form that the method takes, as far as it is known. Of one that a file describes it is not known
/// whether its server speaks JSON-RPC, which mixes no forms.
fn arranged(
    args: Args,
    method: Option<&Signature>,
    client: &Client,
    described: Option<&Described>,
) -> Args {
    let mixes = described.is_none() && client.mixes_arguments();
    match method {
        Some(method) => method.arranged(args, mixes),
        None => args,
    }
}
