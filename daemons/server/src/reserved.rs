//! The methods every server has: `all_your_methods` and `rpc.*`.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use rpc_host::logging::Followed;
use rpc_security::{Permission, Role};
use rpc_wire::fault::Fault;
use rpc_wire::paths;
use rpc_wire::report::{Level, MAX_CONTAINS_BYTES};
use serde::Serialize;
use serde_json::value::to_raw_value;

use crate::arguments::{Arguments, Parameters};
use crate::method::ItemStream;
use crate::state::ServerState;

/// A reserved method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// Has one result, available at once.
    Report(Report),
    /// Is a stream.
    Logs,
    /// Who the caller is, as far as it has shown; a stranger is refused.
    Whoami,
}

/// A report of a server about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    AllYourMethods,
    Discover,
    Stats,
    Health,
}

/// Default number of recent lines.
const RECENT_LINES: u64 = 200;

impl Reserved {
    /// Their names.
    pub(crate) const NAMES: [&str; 6] = [
        paths::ALL_YOUR_METHODS,
        paths::RPC_DISCOVER,
        paths::RPC_STATS,
        paths::RPC_LOGS,
        paths::RPC_HEALTH,
        paths::RPC_WHOAMI,
    ];

    #[inline]
    pub(crate) fn find(name: &str) -> Option<Self> {
        match name {
            paths::ALL_YOUR_METHODS => Some(Self::Report(Report::AllYourMethods)),
            paths::RPC_DISCOVER => Some(Self::Report(Report::Discover)),
            paths::RPC_STATS => Some(Self::Report(Report::Stats)),
            paths::RPC_LOGS => Some(Self::Logs),
            paths::RPC_HEALTH => Some(Self::Report(Report::Health)),
            paths::RPC_WHOAMI => Some(Self::Whoami),
            _ => None,
        }
    }

    /// What it needs.
    pub(crate) fn permission(self) -> Permission {
        match self {
            // It tells callers what they have shown themselves.
            Self::Whoami => Permission::Open,
            Self::Logs => Permission::Needs(Role::Observe),
            Self::Report(
                Report::AllYourMethods | Report::Discover | Report::Stats | Report::Health,
            ) => Permission::Needs(Role::Observe),
        }
    }
}

/// A report as JSON.
pub(crate) enum Reported {
    /// The same for all who ask.
    Shared(Bytes),
    /// Made for who asks now.
    Own(Vec<u8>),
}

impl AsRef<[u8]> for Reported {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Shared(json) => json,
            Self::Own(json) => json,
        }
    }
}

/// A report; arguments are ignored, as in the older system.
pub(crate) fn report(state: &ServerState, report: Report, now: Instant) -> Reported {
    match report {
        Report::AllYourMethods => Reported::Shared(state.catalogue.load().classic.clone()),
        Report::Discover => Reported::Shared(state.catalogue.load().openrpc.clone()),
        Report::Stats => Reported::Own(json(&state.stats(now))),
        Report::Health => Reported::Own(json(&state.health(now))),
    }
}

/// The JSON of a report, whose type always serialises.
pub(crate) fn json(report: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(report).unwrap_or_else(|_| b"null".to_vec())
}

/// `rpc.logs(level="info", contains="", recent=200)`: recent lines, then live ones. Lines below the
/// level the daemon is configured for are not kept, and so never sent.
pub(crate) fn logs(state: &Arc<ServerState>, given: Arguments<'_>) -> Result<ItemStream, Fault> {
    let ring = state
        .log_ring
        .as_ref()
        .ok_or_else(|| Fault::method_failed("this server keeps no log lines to stream"))?;
    let default = |value: serde_json::Value| to_raw_value(&value).ok();
    let parameters = Parameters::new(
        paths::RPC_LOGS.to_owned(),
        [paths::LEVEL, paths::CONTAINS, paths::RECENT].map(str::to_owned).to_vec(),
        vec![default("info".into()), default("".into()), default(RECENT_LINES.into())],
    );
    let [level, contains, recent] = parameters.bind(given)?;
    let level: Level = parameters.read(0, level)?;
    let contains: String = parameters.read(1, contains)?;
    if contains.len() > MAX_CONTAINS_BYTES {
        let text = format!("rpc.logs() takes at most {MAX_CONTAINS_BYTES} bytes of 'contains'");
        return Err(Fault::bad_arguments(text));
    }
    let recent: u64 = parameters.read(2, recent)?;
    let recent = usize::try_from(recent).unwrap_or(usize::MAX);
    let lines = ring.follow(recent, level, &contains).map(|Followed { line, dropped }| {
        let line = serde_json::to_vec(&line);
        line.map(|line| (line, dropped)).map_err(|error| Fault::method_failed(error.to_string()))
    });
    Ok(Box::pin(lines))
}
