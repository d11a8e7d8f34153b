//! The command line as typed, and the help; [`plan`](crate::plan) resolves what it means.

mod ask;
mod bench;
mod call;
mod daemon;
mod follow;
mod mcp;
mod mistake;
mod operate;
mod options;
mod token;
mod values;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

pub use ask::{Describe, Health, Instances, Methods, Stats};
pub use bench::Bench;
pub use call::{Call, Given};
pub use daemon::{Registry, Serve};
pub use follow::{Logs, Watch};
pub use mcp::Mcp;
pub use operate::{AskingRegistry, Drain, ReleaseBrake, Undrain};
pub use options::{Asking, Common, Described, Direct, Through, Via};
pub use token::{NewToken, Token, TokenAction};
pub use values::{CallTime, Pause};

use crate::failure::Failure;

/// RPC over TCP: a server, a registry, and a client
#[derive(Debug, Parser)]
#[command(name = "rpcd", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Typed {
    /// The command and its flags.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  rpcd registry -p 9999 -l 127.0.0.1    run a registry
  rpcd serve -p 8089 -l 127.0.0.1       run a server that registers there
  rpcd call add 1 2                     call a method, on any instance that offers it
  rpcd help call                        all about one command

Exit codes: 0 success; 1 the call returned an error, or a daemon failed; 2 wrong arguments or \
settings; 3 unreachable, or cannot listen; 4 timed out; 130 on a second signal.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a server with the built-in methods, or those of a program
    #[command(after_help = daemon::SERVE)]
    Serve(Serve),
    /// Run the registry
    #[command(after_help = daemon::REGISTRY)]
    Registry(Registry),
    /// Serve methods as tools to agents (MCP)
    #[command(after_help = mcp::MCP)]
    Mcp(Box<Mcp>),
    /// Call a method
    #[command(after_help = call::CALL)]
    Call(Box<Call>),
    /// Load-test a method
    #[command(after_help = bench::BENCH)]
    Bench(Box<Bench>),
    /// List methods
    #[command(after_help = ask::METHODS)]
    Methods(Methods),
    /// Describe a method: parameters, types, defaults, result, how to call it
    #[command(after_help = ask::DESCRIBE)]
    Describe(Describe),
    /// List instances
    #[command(alias = "ls", after_help = ask::INSTANCES, mut_args(options::of_a_registry))]
    Instances(Instances),
    /// Print changes of instances, one per line, until interrupted
    #[command(after_help = follow::WATCH, mut_args(options::of_a_registry))]
    Watch(Watch),
    /// Print the logs of the registry and of instances
    #[command(after_help = follow::LOGS)]
    Logs(Logs),
    /// Print calls, errors and latencies per method and instance
    #[command(after_help = ask::STATS)]
    Stats(Stats),
    /// Take an instance out of use: no new calls
    #[command(after_help = operate::DRAIN, mut_args(options::of_a_registry))]
    Drain(Drain),
    /// Bring a drained instance back
    #[command(after_help = operate::UNDRAIN, mut_args(options::of_a_registry))]
    Undrain(Undrain),
    /// Remove the silent instances that the registry holds
    #[command(after_help = operate::RELEASE_BRAKE, mut_args(options::of_a_registry))]
    ReleaseBrake(ReleaseBrake),
    /// Make and look at tokens
    #[command(after_help = token::TOKEN)]
    Token(Token),
    /// Check a daemon's health
    #[command(after_help = ask::HEALTH, mut_args(options::of_any_daemon))]
    Health(Health),
}

impl Command {
    /// What is asked, and whether by TLS; `None`: the command is a daemon's.
    pub fn direct(&self) -> Option<&Direct> {
        Some(match self {
            Self::Serve(_) | Self::Registry(_) | Self::Token(_) => return None,
            Self::Mcp(typed) => &typed.direct,
            Self::Call(typed) => &typed.asking.direct,
            Self::Bench(typed) => &typed.asking.direct,
            Self::Methods(typed) => &typed.asking.direct,
            Self::Describe(typed) => &typed.asking.direct,
            Self::Instances(typed) => &typed.asking.direct,
            Self::Watch(typed) => &typed.asking.direct,
            Self::Logs(typed) => &typed.asking.direct,
            Self::Stats(typed) => &typed.asking.direct,
            Self::Drain(typed) => &typed.asking.direct,
            Self::Undrain(typed) => &typed.asking.direct,
            Self::ReleaseBrake(typed) => &typed.asking.direct,
            Self::Health(typed) => &typed.direct,
        })
    }

    /// Settings and log, where it has any.
    pub fn common(&self) -> Option<&Common> {
        Some(match self {
            Self::Serve(typed) => &typed.common,
            Self::Registry(typed) => &typed.common,
            Self::Mcp(typed) => &typed.common,
            Self::Call(typed) => &typed.asking.common,
            Self::Bench(typed) => &typed.asking.common,
            Self::Methods(typed) => &typed.asking.common,
            Self::Describe(typed) => &typed.asking.common,
            Self::Instances(typed) => &typed.asking.common,
            Self::Watch(typed) => &typed.asking.common,
            Self::Logs(typed) => &typed.asking.common,
            Self::Stats(typed) => &typed.asking.common,
            Self::Drain(typed) => &typed.asking.common,
            Self::Undrain(typed) => &typed.asking.common,
            Self::ReleaseBrake(typed) => &typed.asking.common,
            Self::Health(typed) => &typed.common,
            Self::Token(_) => return None,
        })
    }
}

impl Typed {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// It is invalid, in one line; or help or version was requested.
    pub fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        let line: Vec<OsString> = line.into_iter().collect();
        Self::try_parse_from(&line).map_err(|error| mistake::failure(&error, line.get(1)))
    }

    /// Whether errors are to be JSON too: `--json` was typed, also when the rest is a mistake.
    pub fn wants_json(line: &[OsString]) -> bool {
        line.iter().take_while(|word| *word != "--").any(|word| word == "--json")
    }
}

#[cfg(test)]
mod tests;
