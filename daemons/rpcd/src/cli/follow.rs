//! `rpcd watch` and `rpcd logs`, as typed.

use clap::Args;
use rpc_wire::report::Level;

use super::Asking;

pub(super) const WATCH: &str = "\
Examples:
  rpcd watch
  rpcd watch --service orders              the instances of one service
  rpcd watch -p 9999                       the registry at this port
  rpcd watch --beats --json | jq .event

The first line is a snapshot. When the connection to the registry is lost, a line says so, and it is \
retried until it succeeds. An older registry cannot send events: its list is polled at \
[client] refresh_interval.";

pub(super) const LOGS: &str = "\
Examples:
  rpcd logs                                the registry and every instance, until interrupted
  rpcd logs 127.0.0.1:8089 registry        these two
  rpcd logs --service orders               the instances of one service
  rpcd logs --level warn -n 50 --no-follow

A daemon keeps no lines below its own log level. An older server has no log to print.";

/// Print changes of instances.
#[derive(Debug, Clone, Args)]
pub struct Watch {
    /// Include heartbeats
    #[arg(long)]
    pub beats: bool,
    /// The registry.
    #[command(flatten)]
    pub asking: Asking,
}

/// Print logs.
#[derive(Debug, Clone, Args)]
pub struct Logs {
    /// HOST:PORT, as instances lists it, or registry [default: the registry and every instance]
    #[arg(value_name = "INSTANCE")]
    pub instances: Vec<String>,
    /// Minimum level: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = level)]
    pub level: Level,
    /// Only lines with this text
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub contains: String,
    /// Recent lines of each daemon to print first
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub lines: u32,
    /// Exit after the recent lines
    #[arg(long)]
    pub no_follow: bool,
    /// The target.
    #[command(flatten)]
    pub asking: Asking,
}

fn level(text: &str) -> Result<Level, String> {
    let names = Level::ALL.map(Level::as_str).join(", ");
    Level::from_name(text).ok_or_else(|| format!("expected one of {names}"))
}
