//! The command line.

use clap::{Args, Parser, Subcommand};

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
