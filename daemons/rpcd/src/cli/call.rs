//! `rpcd call`, `methods`, `instances` and `health`, as typed.

use clap::{Args, ValueEnum};
use rpc_client::Balance;
use rpc_settings::parse;

use super::{CallTime, Common};

pub(super) const HOW_ARGUMENTS_ARE_READ: &str = "\
Arguments are JSON where they parse as JSON, else strings; key=value is a keyword argument. After --
nothing is a flag. A string result prints without quotes, any other as JSON.
Without -m: with -i or -p one server is called, else any that the registry lists.";

/// Call a method.
#[derive(Debug, Clone, Args)]
pub struct Call {
    /// Name of the method
    pub method: String,
    /// Arguments: 1 -2.5 true '[1, 2]' text key=value
    #[arg(allow_negative_numbers = true)]
    pub args: Vec<String>,
    /// The target.
    #[command(flatten)]
    pub direct: Direct,
    /// Total time per call: 500ms, 10s, or seconds [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<CallTime>,
    /// Number of calls [default: the value of --concurrency]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub repeat: Option<u64>,
    /// Calls in flight at once
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub concurrency: u32,
    /// random, round_robin, weighted_random or least_in_flight [default: random]
    #[arg(long, value_name = "POLICY", value_parser = parse::balance)]
    pub balance: Option<Balance>,
    /// Print JSON (strings quoted)
    #[arg(long)]
    pub json: bool,
    /// Call a streaming method; print items as they arrive
    #[arg(long, conflicts_with_all = ["repeat", "concurrency"])]
    pub stream: bool,
    /// Settings and log.
    #[command(flatten)]
    pub common: Common,
}

/// List methods.
#[derive(Debug, Clone, Args)]
pub struct Methods {
    /// The target.
    #[command(flatten)]
    pub direct: Direct,
    /// Total time: 500ms, 10s, or seconds [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<CallTime>,
    /// Print an OpenRPC document
    #[arg(long)]
    pub json: bool,
    /// Settings and log.
    #[command(flatten)]
    pub common: Common,
}

/// List instances.
#[derive(Debug, Clone, Args)]
pub struct Instances {
    /// The registry.
    #[command(flatten)]
    pub through: Through,
    /// Total time: 500ms, 10s, or seconds [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<CallTime>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Settings and log.
    #[command(flatten)]
    pub common: Common,
}

/// Check the health of a daemon, server or registry.
/// Reads no settings, so that a container's health check depends on nothing else.
#[derive(Debug, Clone, Args)]
pub struct Health {
    /// HOST:PORT; an IPv6 address in brackets
    pub address: String,
    /// Total time: 500ms, 2s, or seconds
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub timeout: CallTime,
}

/// The target: one address, or any instance a registry lists. Without -m an address, if given,
/// wins.
#[derive(Debug, Clone, Default, Args)]
pub struct Direct {
    /// server: the one at -i and -p; registry: any instance it lists
    #[arg(short, long, value_name = "MODE", help_heading = "Target", hide_possible_values = true)]
    pub mode: Option<Via>,
    /// Server address or name [default: 127.0.0.1]
    #[arg(short = 'i', long, value_name = "HOST", help_heading = "Target",
          value_parser = parse::host)]
    pub host: Option<String>,
    /// Server port
    #[arg(short, long, value_name = "PORT", help_heading = "Target",
          value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// The registry.
    #[command(flatten)]
    pub through: Through,
}

/// Which registry.
#[derive(Debug, Clone, Default, Args)]
pub struct Through {
    /// Registry [default: http://127.0.0.1:9999]
    #[arg(long, value_name = "URL", help_heading = "Target")]
    pub registry: Option<String>,
}

/// How an instance is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// One server, by its address.
    Server,
    /// Any instance that the registry lists.
    Registry,
}
