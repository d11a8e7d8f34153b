//! The command line as typed, and the help; [`plan`](crate::plan) resolves what it means.

mod bench;
mod call;
mod daemon;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use rpc_settings::parse;

pub use bench::Bench;
pub use call::{Call, Direct, Health, Instances, Methods, Through, Via};
pub use daemon::{Registry, Serve};
pub use values::{CallTime, Pause};

use crate::failure::{Exit, Failure};

/// RPC over TCP: a server, a registry, and a client
#[derive(Debug, Parser)]
#[command(name = "rpcd", version, max_term_width = 100, disable_help_subcommand = true,
          after_help = EXIT_CODES)]
pub struct Typed {
    /// The command and its flags.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 success; 1 the call returned an error, or a daemon failed; 2 wrong arguments or
settings; 3 unreachable, or cannot listen; 4 timed out; 130 on a second signal.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a server with the built-in methods
    #[command(after_help = daemon::SERVE_ENDS)]
    Serve(Serve),
    /// Run the registry
    #[command(after_help = daemon::REGISTRY_ENDS)]
    Registry(Registry),
    /// Call a method
    #[command(after_help = call::HOW_ARGUMENTS_ARE_READ)]
    Call(Call),
    /// Load-test a method
    #[command(after_help = bench::HOW_IT_MEASURES)]
    Bench(Box<Bench>),
    /// List methods
    Methods(Methods),
    /// List instances
    Instances(Instances),
    /// Check a daemon's health
    Health(Health),
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
    /// Also write daily log files to this directory
    #[arg(long, value_name = "DIR", help_heading = "Settings and log")]
    pub log_dir: Option<PathBuf>,
    /// text or json (one object per line)
    #[arg(long, value_name = "FORMAT", help_heading = "Settings and log",
          value_parser = parse::log_format)]
    pub log_format: Option<rpc_host::logging::LogFormat>,
}

impl Typed {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// It is invalid, in one line; or help or version was requested.
    pub fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        let line: Vec<OsString> = line.into_iter().collect();
        Self::try_parse_from(&line).map_err(|error| {
            let text = error.render().to_string();
            let exit = match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Exit::Usage,
                _ => return Failure::usage(in_one_line(&text, line.get(1))),
            };
            Failure::help(exit, text.trim_end().to_owned() + "\n")
        })
    }
}

/// clap prints a paragraph and the usage; one line suits logs and supervisors.
fn in_one_line(paragraph: &str, command: Option<&OsString>) -> String {
    let what = paragraph.strip_prefix("error: ").unwrap_or(paragraph);
    let what = what.split("\n\nUsage: ").next().unwrap_or(what);
    let what = what.split("\n\nFor more information").next().unwrap_or(what);
    let what: Vec<&str> = what.split_whitespace().collect();
    let known = Typed::command();
    let command = command
        .and_then(|typed| {
            known.get_subcommands().find(|known| typed.as_os_str() == known.get_name())
        })
        .map(|known| format!("rpcd {}", known.get_name()));
    format!("{}; see {} --help", what.join(" "), command.as_deref().unwrap_or("rpcd"))
}

#[cfg(test)]
mod tests;
