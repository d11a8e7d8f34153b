//! The command line, and what every scenario needs.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::pin::Pin;

/// Measures rpcd as shipped, each figure beside that of a server without a protocol.
#[derive(Debug, Parser)]
pub struct Typed {
    /// What to measure.
    #[command(subcommand)]
    pub group: Group,
}

/// A table of scenarios.
#[derive(Debug, Subcommand)]
pub enum Group {
    /// Calls: one connection, many, new ones, large arguments, slow calls, idle connections
    Rpc(Options),
    /// Calls inside TLS, and handshakes
    Tls(Options),
    /// Calls over HTTP
    Http(Options),
    /// Heartbeats, lists, unchanged lists, watchers
    Registry(Options),
    /// 0.5, 1, 2 and 10 times the capacity: good calls, refusals, health, registration
    Overload(OverloadOptions),
    /// How time and memory grow with connections, bytes, instances, methods, contracts and watchers
    Growth(Options),
    /// Draw what growth measured
    Plot(PlotOptions),
    /// Run the limit: an echo, or fixed replies (used by the others)
    #[command(hide = true)]
    Raw(RawOptions),
    /// Run the limit of HTTP: axum, which echoes (used by http)
    #[command(hide = true)]
    Axum,
    /// Run the library with a method that computes (used by overload)
    #[command(hide = true)]
    Burn(BurnOptions),
    /// Run the library with many methods, or many servers (used by growth)
    #[command(hide = true)]
    Many(ManyOptions),
}

/// How to measure.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Only these scenarios or rows, as KEY or KEY:TEXT (B, C:library, H64, L1@1000)
    #[arg(long, value_delimiter = ',', value_name = "KEY[:TEXT]")]
    pub only: Vec<String>,
    /// Processors of server and load: one each, the same one, or as the kernel chooses
    #[arg(long, value_enum, default_value_t = Pin::Split)]
    pub pin: Pin,
    /// Rounds; each runs every row once, the table shows medians
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
    /// Measuring window of a row, at most 0.8s if every call opens a connection [default:
    /// 2s for rpc, 1s for registry]
    #[arg(long, value_parser = seconds)]
    pub measure: Option<Duration>,
    /// Warm-up time before measuring
    #[arg(long, default_value = "0.5s", value_parser = seconds)]
    pub warm_up: Duration,
    /// Connections of scenario I
    #[arg(long, default_value_t = 10_000, value_name = "NUMBER")]
    pub idle: usize,
    /// File of the JSON [default: target/bench/GROUP-PIN.json]
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// How to measure an overload.
#[derive(Debug, Clone, Args)]
pub struct OverloadOptions {
    /// As for the others; runs of --measure 25s show whether heartbeats are kept.
    #[command(flatten)]
    pub options: Options,
    /// The calls that compute
    #[arg(long, value_enum, default_value_t = Computing::Burn)]
    pub computing: Computing,
    /// Processor time of one call of burn
    #[arg(long, default_value = "300us", value_name = "TIME", value_parser = seconds)]
    pub burn: Duration,
}

/// A call that computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Computing {
    /// `burn`: a server of the benchmark's own, made with the library
    Burn,
    /// `reverse_string` of 20 kB, by rpcd
    ReverseString,
}

/// Where the server with `burn` registers.
#[derive(Debug, Clone, Args)]
pub struct BurnOptions {
    /// The registry's URL
    #[arg(long)]
    pub registry: String,
}

/// What to draw.
#[derive(Debug, Clone, Args)]
pub struct PlotOptions {
    /// The JSON of growth
    #[arg(value_name = "JSON")]
    pub figures: PathBuf,
    /// The picture
    #[arg(value_name = "SVG")]
    pub picture: PathBuf,
}

/// How many methods and servers.
#[derive(Debug, Clone, Args)]
pub struct ManyOptions {
    /// Methods of each server
    #[arg(long, default_value_t = 1)]
    pub methods: usize,
    /// Servers
    #[arg(long, default_value_t = 1)]
    pub servers: usize,
    /// Each server has other methods
    #[arg(long)]
    pub different: bool,
    /// The URL of the registry at which they register
    #[arg(long)]
    pub registry: Option<String>,
}

/// What the limit replies.
#[derive(Debug, Clone, Args)]
pub struct RawOptions {
    /// Echo inside TLS, with the PEM files of a certificate and its key
    #[arg(long, num_args = 2, value_names = ["CERT", "KEY"], conflicts_with = "request_bytes")]
    pub tls: Option<Vec<PathBuf>>,
    /// Instead of echoing, reply to every N bytes with the bytes of standard input
    #[arg(long)]
    pub request_bytes: Option<usize>,
    /// Reply on all connections
    #[arg(long, requires = "request_bytes")]
    pub to_all: bool,
}

impl Options {
    /// Whether any row of a scenario is wanted. `H64` means `H64@1`, `H64@1000` and so on.
    pub fn wants_scenario(&self, key: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| is_key(only, key))
    }

    /// Whether a row of a scenario is wanted.
    pub fn wants_row(&self, key: &str, row: &str) -> bool {
        self.only.is_empty()
            || self.only.iter().any(|only| {
                let text = only.split_once(':').map_or("", |(_, text)| text.trim());
                is_key(only, key) && row.contains(text)
            })
    }
}

fn is_key(only: &str, key: &str) -> bool {
    let wanted = only.split_once(':').map_or(only, |(wanted, _)| wanted).trim();
    key == wanted || key.split('@').next() == Some(wanted)
}

/// `2s`, `500ms`, and also `0.2s`, up to ten minutes.
fn seconds(text: &str) -> Result<Duration, String> {
    let fraction = text.strip_suffix('s').and_then(|number| number.parse::<f64>().ok());
    let parsed = match fraction {
        Some(number) => Duration::try_from_secs_f64(number).ok(),
        None => humantime::parse_duration(text).ok(),
    };
    parsed
        .filter(|time| *time > Duration::ZERO && *time <= Duration::from_secs(600))
        .ok_or_else(|| "a time such as 2s, 0.2s or 500ms, up to 600s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(only: &str) -> Options {
        let typed = Typed::try_parse_from(["rpc-bench", "rpc", "--only", only]).unwrap();
        let Group::Rpc(options) = typed.group else { panic!("rpc was typed") };
        options
    }

    #[test]
    fn only_names_scenarios_and_rows() {
        let some = options("B,C:library,H64");
        assert!(some.wants_row("B", "raw"));
        assert!(some.wants_row("C", "rpcd, library"));
        assert!(!some.wants_row("C", "rpcd, bare socket"));
        assert!(some.wants_scenario("H64@1000") && !some.wants_scenario("H1@1000"));
        assert!(!some.wants_scenario("A"));
    }

    #[test]
    fn times_are_positive_and_bounded() {
        assert_eq!(seconds("0.2s"), Ok(Duration::from_millis(200)));
        assert_eq!(seconds("300ms"), Ok(Duration::from_millis(300)));
        for wrong in ["", "0s", "-1s", "1h", "two"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
