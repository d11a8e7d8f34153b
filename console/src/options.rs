//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// See every instance, call any method, read every log, without leaving the keyboard.
///
/// Press ? for every key. Without a registry the console starts all the same and finds it when it
/// comes; with --demo it brings its own, and three servers.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "rpc-console", version, about, max_term_width = 100)]
pub struct Options {
    /// Run an embedded registry and three servers, with live traffic: a look without any set-up
    #[arg(long, conflicts_with = "registry")]
    pub demo: bool,

    /// The registry to watch, for example http://127.0.0.1:9999
    #[arg(long, value_name = "URL")]
    pub registry: Option<String>,

    /// Settings; ./config.ini is read when it exists
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// What the console itself logs (shown in its Logs view), for example debug
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_demo_has_its_own_registry() {
        let both = ["rpc-console", "--demo", "--registry", "http://h:1"];
        assert!(Options::try_parse_from(both).is_err());
    }
}
