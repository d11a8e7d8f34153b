//! `rpcd serve` and `rpcd registry`, as typed.

use std::path::PathBuf;

use clap::Args;
use rpc_settings::{Advertised, StoreKind, parse};
use rpc_worker::Program;

use super::Common;

pub(super) const SERVE: &str = "\
Examples:
  rpcd serve -p 8089 -l 127.0.0.1               register with the registry on this machine
  rpcd serve -p 8089 -l 127.0.0.1 --no-registry
  rpcd serve -p 8089 --registry http://10.0.0.5:9999 --advertise 10.0.0.7
  rpcd serve -p 8089 -l 127.0.0.1 --worker 'python3 methods.py' --watch-files

A worker is a program that reads calls from its standard input and writes replies to its standard output, \
one line of JSON each (docs/worker.md). Its command is split into words like a shell does it, without a \
shell; a method of its takes the place of a built-in one with the same name.

SIGINT, SIGTERM, SIGQUIT or a closed terminal: unregister, finish calls in flight (8 s at most, and 2 s \
for a worker that hangs), exit 0. A second signal: exit 130 at once. Without a terminal SIGHUP changes \
nothing: settings are read at the start, and a log file that was moved is opened again by itself.";

pub(super) const REGISTRY: &str = "\
Examples:
  rpcd registry -p 9999 -l 127.0.0.1            this machine only
  rpcd registry -p 9999                         every network
  rpcd registry -p 9999 --store none            forget everything at the end
  rpcd registry -p 9999 --recover               save what is readable of a damaged store

Registrations, overrides and what unregistered lately are kept in a database, in registry-PORT below \
$STATE_DIRECTORY, $XDG_STATE_HOME/rpcd or ~/.local/state/rpcd; with port 0 only in a --data-dir.

SIGINT, SIGTERM, SIGQUIT or a closed terminal: close event streams, exit 0 within 2 s. A second signal: \
exit 130 at once. Without a terminal SIGHUP changes nothing.";

/// Run a server with the built-in methods, or those of a program.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// Port to listen on; 0: any free one
    #[arg(short, long, value_name = "PORT")]
    pub port: u16,
    /// Address or name to listen on; :: is IPv4 and IPv6 [default: 0.0.0.0]
    #[arg(short, long, value_name = "HOST", value_parser = parse::host)]
    pub listen: Option<String>,
    /// Name of the service [default: rpcd]
    #[arg(long, value_name = "NAME", value_parser = parse::service)]
    pub service: Option<String>,
    /// Registry to register with [default: http://127.0.0.1:9999]
    #[arg(long, value_name = "URL")]
    pub registry: Option<String>,
    /// Do not register
    #[arg(long, conflicts_with = "registry")]
    pub no_registry: bool,
    /// Address to register [default: the local address that reaches the registry]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub advertise: Option<Advertised>,
    /// Serve the methods of a program: 'python3 methods.py'
    #[arg(long, value_name = "COMMAND", value_parser = program)]
    pub worker: Option<Program>,
    /// Processes of it [default: 1]
    #[arg(long, value_name = "N", requires = "worker", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub workers: Option<u32>,
    /// Calls in flight of each process [default: 1]
    #[arg(long, value_name = "N", requires = "worker", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub worker_concurrency: Option<u32>,
    /// Restart it when a file changes that the command names, or one beside it of the same kind
    #[arg(long, requires = "worker")]
    pub watch_files: bool,
    /// Do not serve the built-in methods
    #[arg(long, requires = "worker")]
    pub no_builtin: bool,
    /// Settings and log.
    #[command(flatten)]
    pub common: Common,
}

fn program(text: &str) -> Result<Program, String> {
    Program::parse(text).map_err(|error| format!("{error}; expected such as 'python3 methods.py'"))
}

/// Run the registry.
#[derive(Debug, Clone, Args)]
pub struct Registry {
    /// Port to listen on; 0: any free one
    #[arg(short, long, value_name = "PORT")]
    pub port: u16,
    /// Address or name to listen on; :: is IPv4 and IPv6 [default: 0.0.0.0]
    #[arg(short, long, value_name = "HOST", value_parser = parse::host)]
    pub listen: Option<String>,
    /// What registrations are kept in: redb, etcd or none [default: redb]
    #[arg(long, value_name = "STORE", value_parser = parse::store)]
    pub store: Option<StoreKind>,
    /// Folder of the store [default: registry-PORT in the folder for programs' state]
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Do not serve: save what is readable of a damaged store, and keep the damaged one beside it
    #[arg(long)]
    pub recover: bool,
    /// Settings and log.
    #[command(flatten)]
    pub common: Common,
}
