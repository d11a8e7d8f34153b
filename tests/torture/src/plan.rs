//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::ledger_server::LedgerServerOptions;
use crate::mutants::MutantsOptions;
use crate::registries::RegistriesOptions;
use crate::registry::RegistryOptions;
use crate::replace::ReplaceOptions;
use crate::restarts::RestartsOptions;
use crate::sharing::SharingOptions;
use crate::sick::SickOptions;
use crate::soak::SoakOptions;
use crate::storm::StormOptions;

/// Shows what holds when things fail, with seeds to have it again.
#[derive(Debug, Parser)]
pub struct Typed {
    /// What to torture.
    #[command(subcommand)]
    pub torture: Torture,
}

/// A kind of torture.
#[derive(Debug, Subcommand)]
pub enum Torture {
    /// The registry's store, on a disk that loses power, fails and rots
    Disk(Options),
    /// The registry's list and events, with servers that start, stop, fall silent and come back
    Histories(Options),
    /// Both with planted defects, each of which must be found
    Planted(PlantedOptions),
    /// Servers that are restarted in turn while they are called
    Restarts(#[command(flatten)] Trying<RestartsOptions>),
    /// Servers whose places others take while they are called
    Replace(#[command(flatten)] Trying<ReplaceOptions>),
    /// Servers of which one falls sick while they are called
    Sick(#[command(flatten)] Trying<SickOptions>),
    /// Servers that all refuse at once, as if they were overloaded
    Storm(#[command(flatten)] Trying<StormOptions>),
    /// A registry that is killed, cut off or lies while its servers are called
    Registry(#[command(flatten)] Trying<RegistryOptions>),
    /// Registries that share an etcd cluster, all of which are ended, stopped and cut off
    Registries(#[command(flatten)] Trying<RegistriesOptions>),
    /// What it costs that registries share an etcd cluster, as figures
    Sharing(#[command(flatten)] Trying<SharingOptions>),
    /// All these faults at random
    Soak(#[command(flatten)] Trying<SoakOptions>),
    /// Programs with planted defects, each of which must be found
    Mutants(#[command(flatten)] Trying<MutantsOptions>),
    /// Serves methods that note each execution
    #[command(hide = true)]
    ServeLedger(LedgerServerOptions),
    /// Becomes another program, which is killed with the process that started this one
    #[command(hide = true)]
    Child {
        /// The process that started this one
        #[arg(long)]
        parent: u32,
        /// The program and its arguments
        #[arg(last = true)]
        command: Vec<OsString>,
    },
}

/// A trial of processes.
#[derive(Debug, Clone, Args)]
pub struct Trying<T: Args> {
    /// What is tried.
    #[command(flatten)]
    pub options: T,
    /// What all that is random follows from; the system's scheduling is not [default: a new one]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// The program `rpcd` [default: beside this one]
    #[arg(long, value_name = "PATH")]
    pub rpcd: Option<PathBuf>,
}

/// How long to torture.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Operations
    #[arg(long, default_value_t = 1_000_000, value_name = "NUMBER")]
    pub steps: u64,
    /// What everything follows from [default: a new one]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Only this run of all
    #[arg(long, value_name = "NUMBER")]
    pub run: Option<u64>,
}

/// How long to look for planted defects.
#[derive(Debug, Clone, Args)]
pub struct PlantedOptions {
    /// Operations for each defect
    #[arg(long, default_value_t = 200_000, value_name = "NUMBER")]
    pub steps: u64,
    /// What everything follows from [default: a new one]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}
