//! The scenarios: [`calls`] and related ones, those inside [`tls`](mod@tls) and over [`http`](mod@http), the [`mod@registry`], [`sustained`] load on it, its
//! [`watchers`], [`mod@overload`], and how cost grows: [`mod@growth`].

pub mod calls;
pub mod growth;
pub mod http;
pub mod idle;
pub mod open_loop;
pub mod overload;
pub mod pooled;
pub mod registry;
pub mod sustained;
pub mod tls;
pub mod tools;
pub mod watchers;
pub mod workers;

use crate::plan::OverloadOptions;
use crate::round::Scenario;

/// Scenarios of calls.
pub fn rpc() -> Vec<Scenario> {
    let mut scenarios = calls::all();
    scenarios.extend([pooled::scenario(), tools::scenario(), open_loop::scenario()]);
    scenarios.push(idle::scenario());
    scenarios.extend(workers::all());
    scenarios
}

/// Scenarios of calls inside TLS.
///
/// # Errors
/// No certificate can be made.
pub fn tls() -> anyhow::Result<Vec<Scenario>> {
    tls::all()
}

/// Scenarios of calls over HTTP.
pub fn http() -> Vec<Scenario> {
    http::all()
}

/// Scenarios of the registry.
pub fn registry() -> Vec<Scenario> {
    let mut scenarios = registry::all();
    scenarios.extend([sustained::scenario(), watchers::scenario()]);
    scenarios
}

/// Scenarios of how cost grows.
pub fn growth() -> Vec<Scenario<growth::Unit>> {
    growth::all()
}

/// Scenarios of too many calls.
///
/// # Errors
/// Never.
pub fn overload(
    options: &OverloadOptions,
) -> anyhow::Result<Vec<Scenario<overload::figures::Overload>>> {
    overload::all(options)
}
