//! The scenarios: [`calls`] and related ones, the [`mod@registry`], [`sustained`] load on it, its
//! [`watchers`], and [`mod@overload`].

pub mod calls;
pub mod idle;
pub mod open_loop;
pub mod overload;
pub mod pooled;
pub mod registry;
pub mod sustained;
pub mod tools;
pub mod watchers;

use crate::plan::OverloadOptions;
use crate::round::Scenario;

/// Scenarios of calls.
pub fn rpc() -> Vec<Scenario> {
    let mut scenarios = calls::all();
    scenarios.extend([pooled::scenario(), tools::scenario(), open_loop::scenario()]);
    scenarios.push(idle::scenario());
    scenarios
}

/// Scenarios of the registry.
pub fn registry() -> Vec<Scenario> {
    let mut scenarios = registry::all();
    scenarios.extend([sustained::scenario(), watchers::scenario()]);
    scenarios
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
