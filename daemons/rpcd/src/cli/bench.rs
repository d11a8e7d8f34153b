//! `rpcd bench`, as typed.

use clap::Args;
use rpc_client::Balance;
use rpc_settings::parse;

use super::{Asking, CallTime, Described, Given, values};

pub(super) const BENCH: &str = "\
Examples:
  rpcd bench add 1 2                            maximum throughput of one caller
  rpcd bench add 1 2 --rate 1000 --duration 30s at a fixed rate
  rpcd bench echo -d @order.json --concurrency 64 --json

Without --rate (closed loop) each of --concurrency callers starts its next call when the last one \
ends: this measures the maximum throughput. With --rate (open loop) calls start on schedule, however \
slow the server is, and latency counts from the scheduled start: this is what independent users see.

A method that does not say that it is read-only or idempotent is loaded only after a question, unless \
all its instances are on a loopback address or --yes is given; without a terminal to ask on, --yes is \
required (exit 2).

Arguments are read as by rpcd call. Each connection makes one extra call first, which is not \
measured. Ctrl-C stops and prints the results so far.

Exit codes: 0 success; 1 more calls failed than --max-error-ratio allows; 2 wrong arguments; \
3 unreachable.";

/// Load-test a method.
#[derive(Debug, Clone, Args)]
pub struct Bench {
    /// What to call.
    #[command(flatten)]
    pub given: Given,
    /// Start N calls per second (open loop)
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,
    /// Calls in flight at once; with --rate the maximum [default: 1 per connection, with --rate 240]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub concurrency: Option<u32>,
    /// Connections per server [default: 1 per 240 of --concurrency]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: Option<u32>,
    /// Client threads, at most one per connection [default: half the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: Option<u32>,
    /// Measure for this long [default: 10s]
    #[arg(long, value_name = "TIME", conflicts_with = "count")]
    pub duration: Option<CallTime>,
    /// Measure N calls
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Warm-up time before measuring [default: 1s, with --count 0s]
    #[arg(long, value_name = "TIME")]
    pub warmup: Option<values::Pause>,
    /// random, round_robin, weighted_random or least_in_flight [default: random]
    #[arg(long, value_name = "POLICY", value_parser = parse::balance)]
    pub balance: Option<Balance>,
    /// Executing it twice does no harm: retry it on another instance even if it may have been executed.
    /// Methods that say that they are read-only or idempotent are retried like this without it
    #[arg(long)]
    pub idempotent: bool,
    /// Allowed failure ratio, 0 to 1
    #[arg(long, value_name = "RATIO", default_value_t = 0.0, value_parser = values::ratio)]
    pub max_error_ratio: f64,
    /// Do not ask before loading a method that may change something
    #[arg(short, long)]
    pub yes: bool,
    /// The methods.
    #[command(flatten)]
    pub described: Described,
    /// The target; the timeout is that of each call.
    #[command(flatten)]
    pub asking: Asking,
}
