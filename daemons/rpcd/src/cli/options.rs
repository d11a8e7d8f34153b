//! The options that commands have in common: one word, one meaning.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rpc_settings::parse;

use super::CallTime;

/// Whom to ask, for how long, and how to print it.
#[derive(Debug, Clone, Default, Args)]
pub struct Asking {
    /// Whom to ask.
    #[command(flatten)]
    pub direct: Direct,
    /// Total time: 500ms, 10s, or seconds [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<CallTime>,
    /// Print JSON, errors included
    #[arg(long)]
    pub json: bool,
    /// Settings and log.
    #[command(flatten)]
    pub common: Common,
}

/// The same for what only a registry knows.
#[derive(Debug, Clone, Default, Args)]
pub struct AskingRegistry {
    /// The registry.
    #[command(flatten)]
    pub through: Through,
    /// Total time: 500ms, 10s, or seconds [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<CallTime>,
    /// Print JSON, errors included
    #[arg(long)]
    pub json: bool,
    /// Settings and log.
    #[command(flatten)]
    pub common: Common,
}

/// Settings file and logging, the same for every command.
#[derive(Debug, Clone, Default, Args)]
pub struct Common {
    /// Settings file [default: ./config.ini, else ~/.config/rpcd/config.ini]
    #[arg(long, value_name = "FILE", help_heading = "Settings and log")]
    pub config: Option<PathBuf>,
    /// Minimum level: off, error, warn, info, debug, trace; per target: info,rpc_server=debug
    #[arg(long, value_name = "LEVEL", help_heading = "Settings and log",
          value_parser = parse::log_level)]
    pub log_level: Option<String>,
    /// Also write daily log files to this folder
    #[arg(long, value_name = "DIR", help_heading = "Settings and log")]
    pub log_dir: Option<PathBuf>,
    /// text or json (one object per line)
    #[arg(long, value_name = "FORMAT", help_heading = "Settings and log",
          value_parser = parse::log_format)]
    pub log_format: Option<rpc_host::logging::LogFormat>,
}

/// One address, or any instance a registry lists. Without -m the address wins, where one is given.
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
    /// Registry: a URL, or the NAME of a [registry.NAME] section [default: http://127.0.0.1:9999]
    #[arg(long, value_name = "URL", help_heading = "Target")]
    pub registry: Option<String>,
}

/// How a server is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// One server, by its address.
    Server,
    /// Any server that the registry lists.
    Registry,
}
