//! `rpcd methods`, `describe`, `instances`, `stats` and `health`, as typed.

use clap::Args;

use super::{Asking, CallTime, Common, Described, Direct};

pub(super) const METHODS: &str = "\
Examples:
  rpcd methods                     of all registered instances, and who offers what
  rpcd methods --service orders    of the instances of one service
  rpcd methods user                those with \"user\" in their names
  rpcd methods -p 8089 --json      an OpenRPC document
  rpcd methods -p 8089 --openapi   an OpenAPI document, for curl, browsers and HTTP tools
  rpcd methods -i http://127.0.0.1:8545/rpc
                                   of any JSON-RPC server that has rpc.discover

With a registry, SERVICE · METHOD, how many of the service's instances offer it, and what it does; if \
all instances are alike, only the methods. Instances that could not be asked are named on standard \
error. --json adds x-offered-by to each method (service, instances, of) and x-unknown to the document; a \
method with several signatures is listed once per signature.";

pub(super) const DESCRIBE: &str = "\
Examples:
  rpcd describe add
  rpcd describe add -p 8089
  rpcd describe get --service orders
  rpcd describe rpc.logs           one of the methods that every server has
  rpcd describe add --json         the method's part of the OpenRPC document";

pub(super) const INSTANCES: &str = "\
Examples:
  rpcd instances
  rpcd instances --service orders
  rpcd instances -p 9999           of the registry at this port
  rpcd instances --registry http://10.0.0.5:9999
  rpcd instances --json";

pub(super) const STATS: &str = "\
Examples:
  rpcd stats                       every registered server
  rpcd stats 127.0.0.1:8089        this one
  rpcd stats --service orders      the instances of one service
  rpcd stats --json                what each server replied to rpc.stats

Counts are since the server started. Latencies are those of finished calls.";

pub(super) const HEALTH: &str = "\
Examples:
  rpcd health 127.0.0.1:8089
  rpcd health -p 8089 --json       state, version and uptime
  rpcd health                      the registry of the settings

With an address no settings are read, so that a container's health check depends on nothing else. \
An older server has no health of its own: it is up if it lists its methods; one of JSON-RPC, if it answers.
Exit codes: 0 healthy; 1 unhealthy; 2 wrong arguments; 3 unreachable; 4 timed out.";

/// List methods.
#[derive(Debug, Clone, Args)]
pub struct Methods {
    /// Only methods with this text in their names
    pub filter: Option<String>,
    /// Print the OpenAPI document of one server: its methods over HTTP
    #[arg(long, conflicts_with_all = ["json", "registry", "service"])]
    pub openapi: bool,
    /// The methods.
    #[command(flatten)]
    pub described: Described,
    /// The target.
    #[command(flatten)]
    pub asking: Asking,
}

/// Describe a method.
#[derive(Debug, Clone, Args)]
pub struct Describe {
    /// Name of the method
    pub method: String,
    /// The methods.
    #[command(flatten)]
    pub described: Described,
    /// The target.
    #[command(flatten)]
    pub asking: Asking,
}

/// List instances.
#[derive(Debug, Clone, Args)]
pub struct Instances {
    /// The registry.
    #[command(flatten)]
    pub asking: Asking,
}

/// Print statistics.
#[derive(Debug, Clone, Args)]
pub struct Stats {
    /// HOST:PORT, as instances lists it [default: every instance]
    #[arg(value_name = "INSTANCE")]
    pub instances: Vec<String>,
    /// The target.
    #[command(flatten)]
    pub asking: Asking,
}

/// Check the health of a daemon, server or registry.
#[derive(Debug, Clone, Args)]
pub struct Health {
    /// HOST:PORT; an IPv6 address in brackets
    #[arg(conflicts_with_all = ["mode", "host", "port", "registry"])]
    pub address: Option<String>,
    /// The target.
    #[command(flatten)]
    pub direct: Direct,
    /// Total time: 500ms, 2s, or seconds
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub timeout: CallTime,
    /// Print JSON, errors included
    #[arg(long)]
    pub json: bool,
    /// Settings and log.
    #[command(flatten)]
    pub common: Common,
}
