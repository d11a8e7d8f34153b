//! `rpcd call`, `methods`, `instances` and `health`, as typed.

use clap::{Args, ValueEnum};
use rpc_client::Balance;
use rpc_settings::parse;

use super::{CallTime, Common};

pub(super) const HOW_ARGUMENTS_ARE_READ: &str = "\
An argument is JSON where it parses as JSON, else a text; key=value is a keyword argument. What
comes after -- is never a flag. A text result prints as it is, any other as JSON.
Without -m it is one server where -i or -p is given, else any that the registry lists.";

/// Call a method.
#[derive(Debug, Clone, Args)]
pub struct Call {
    /// Name of the method
    pub method: String,
    /// Arguments: 1 -2.5 true '[1, 2]' text key=value
    #[arg(allow_negative_numbers = true)]
    pub args: Vec<String>,
    /// Whom to call.
    #[command(flatten)]
    pub direct: Direct,
    /// Time for each call, all of it: 500ms, 10s, or seconds [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<CallTime>,
    /// Call this many times [default: as many as --concurrency]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub repeat: Option<u64>,
    /// Calls under way at once
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub concurrency: u32,
    /// random, round_robin, weighted_random or least_in_flight [default: random]
    #[arg(long, value_name = "POLICY", value_parser = parse::balance)]
    pub balance: Option<Balance>,
    /// Print results as JSON, texts too
    #[arg(long)]
    pub json: bool,
    /// Call a stream method and print its items as they come
    #[arg(long, conflicts_with_all = ["repeat", "concurrency"])]
    pub stream: bool,
    /// Settings and log.
    #[command(flatten)]
    pub common: Common,
}

/// List what can be called.
#[derive(Debug, Clone, Args)]
pub struct Methods {
    /// Whom to ask.
    #[command(flatten)]
    pub direct: Direct,
    /// Time for the answer: 500ms, 10s, or seconds [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<CallTime>,
    /// Print an OpenRPC document
    #[arg(long)]
    pub json: bool,
    /// Settings and log.
    #[command(flatten)]
    pub common: Common,
}

/// List the instances a registry knows.
#[derive(Debug, Clone, Args)]
pub struct Instances {
    /// The registry.
    #[command(flatten)]
    pub through: Through,
    /// Time for the answer: 500ms, 10s, or seconds [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<CallTime>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Settings and log.
    #[command(flatten)]
    pub common: Common,
}

/// Ask a daemon, server or registry, whether it is well.
/// It reads no settings, so that a container's health depends on nothing else.
#[derive(Debug, Clone, Args)]
pub struct Health {
    /// HOST:PORT, an IPv6 address in brackets
    pub address: String,
    /// Time for the answer: 500ms, 2s, or seconds
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub timeout: CallTime,
}

/// Whom to call: one address, or whatever a registry lists. Without -m it is the address, where
/// one is given.
#[derive(Debug, Clone, Default, Args)]
pub struct Direct {
    /// server: the one at -i and -p; registry: any that the registry lists
    #[arg(
        short,
        long,
        value_name = "MODE",
        help_heading = "Whom to call",
        hide_possible_values = true
    )]
    pub mode: Option<Via>,
    /// The server's address or name [default: 127.0.0.1]
    #[arg(short = 'i', long, value_name = "HOST", help_heading = "Whom to call",
          value_parser = parse::host)]
    pub host: Option<String>,
    /// The server's port
    #[arg(short, long, value_name = "PORT", help_heading = "Whom to call",
          value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// The registry.
    #[command(flatten)]
    pub through: Through,
}

/// Which registry.
#[derive(Debug, Clone, Default, Args)]
pub struct Through {
    /// The registry [default: http://127.0.0.1:9999]
    #[arg(long, value_name = "URL", help_heading = "Whom to call")]
    pub registry: Option<String>,
}

/// How to get at a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// One server, by its address.
    Server,
    /// Any server that the registry lists.
    Registry,
}
