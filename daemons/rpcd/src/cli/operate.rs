//! `rpcd drain`, `rpcd undrain` and `rpcd release-brake`, as typed.

use std::time::Duration;

use clap::Args;
use rpc_settings::parse;

use super::{CallTime, Common, Direct};

pub(super) const DRAIN: &str = "\
Examples:
  rpcd drain 127.0.0.1:8089
  rpcd drain 127.0.0.1:8089 --for 10m --reason 'deploy 7'
  rpcd drain [2001:db8::7]:8089 --maintenance --reason 'new disk'
  rpcd undrain 127.0.0.1:8089      take it back

The instance leaves every client's list, finishes the calls in flight and refuses new ones. It stays \
registered and visible, and stays out of use when it or the registry restarts, until the time is over or \
undrain takes it back. One that is not registered yet is out of use as soon as it is. An older server \
does not refuse calls; it only leaves the lists.";

pub(super) const UNDRAIN: &str = "\
Examples:
  rpcd undrain 127.0.0.1:8089
  rpcd undrain 127.0.0.1:8089 --json    what it was drained for, or null";

pub(super) const RELEASE_BRAKE: &str = "\
Examples:
  rpcd release-brake
  rpcd release-brake --json      {\"released\":6}

When many instances fall silent at once, the registry holds them for a minute instead of removing them, \
since the fault may be between them and the registry. If they are gone for good, this removes them now. \
rpcd instances shows which are held.";

/// Take an instance out of use.
#[derive(Debug, Clone, Args)]
pub struct Drain {
    /// HOST:PORT, as instances lists it
    pub instance: String,
    /// How long: 90s, 10m, 2h [default: until undrain]
    #[arg(long = "for", value_name = "TIME", value_parser = parse::duration)]
    pub duration: Option<Duration>,
    /// Why, for whoever sees it
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Say that work is being done on it, rather than that it drains
    #[arg(long)]
    pub maintenance: bool,
    /// The registry.
    #[command(flatten)]
    pub asking: AskingRegistry,
}

/// Bring an instance back.
#[derive(Debug, Clone, Args)]
pub struct Undrain {
    /// HOST:PORT, as instances lists it
    pub instance: String,
    /// The registry.
    #[command(flatten)]
    pub asking: AskingRegistry,
}

/// End the brake on mass expiry.
#[derive(Debug, Clone, Args)]
pub struct ReleaseBrake {
    /// The registry.
    #[command(flatten)]
    pub asking: AskingRegistry,
}

/// The registry, the timeout and the output.
#[derive(Debug, Clone, Args)]
pub struct AskingRegistry {
    /// The registry.
    #[command(flatten)]
    pub direct: Direct,
    /// Total time of the request: 500ms, 10s, or seconds [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<CallTime>,
    /// Print JSON, errors included
    #[arg(long)]
    pub json: bool,
    /// Settings and log.
    #[command(flatten)]
    pub common: Common,
}
