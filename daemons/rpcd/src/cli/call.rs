//! `rpcd call`, as typed.

use clap::Args;
use rpc_client::Balance;
use rpc_settings::parse;

use super::{Asking, Described};

pub(super) const CALL: &str = "\
Examples:
  rpcd call add 1 2 c=3                        by the registry, positional and by name
  rpcd call -p 8089 to_uppercase 12            one server; the schema makes 12 a string
  rpcd call echo -d @order.json                arguments from a file
  rpcd call --service orders get 7             an instance of this service
  rpcd call add 1 2 -v                         who replied, and what took how long
  rpcd call --notify log 'disk is full'        no reply is waited for
  rpcd call -i http://127.0.0.1:8545/rpc add 1 2    any JSON-RPC server; at HOST:PORT by -i and -p

VALUE and NAME=VALUE are read as the method's schema says: a string is taken as it is, without \
the quotes if it has those of JSON; anything else must be JSON. Where the schema is unknown, what parses as JSON is JSON, anything else a string. \
NAME:=JSON is always JSON. After -- nothing is an option. A string result prints without quotes, any \
other as JSON, indented and coloured on a terminal. A stream is printed as it arrives.
Without -m: with -i or -p one server is called, else any instance that the registry lists and that \
offers the method. If services offer it with different signatures, --service must choose one. A call of \
a deprecated method is warned about on standard error.";

/// Call a method.
#[derive(Debug, Clone, Args)]
pub struct Call {
    /// What to call.
    #[command(flatten)]
    pub given: Given,
    /// Number of calls [default: the value of --concurrency]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub repeat: Option<u64>,
    /// Calls in flight at once
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub concurrency: u32,
    /// random, round_robin, weighted_random or least_in_flight [default: random]
    #[arg(long, value_name = "POLICY", value_parser = parse::balance)]
    pub balance: Option<Balance>,
    /// Executing it twice does no harm: retry it on another instance even if it may have been executed.
    /// Methods that say that they are read-only or idempotent are retried like this without it
    #[arg(long)]
    pub idempotent: bool,
    /// Call a streaming method even if the server does not describe it as one
    #[arg(long, conflicts_with_all = ["repeat", "concurrency"])]
    pub stream: bool,
    /// Send a notification: nobody replies, and it is done when it is sent. Whether the method ran, or exists, is
    /// not told
    #[arg(long, conflicts_with = "stream")]
    pub notify: bool,
    /// Print to standard error where the call went and why, who replied, and what the time was spent on
    #[arg(short, long)]
    pub verbose: bool,
    /// The methods.
    #[command(flatten)]
    pub described: Described,
    /// The target.
    #[command(flatten)]
    pub asking: Asking,
}

/// A method and its arguments.
#[derive(Debug, Clone, Args)]
pub struct Given {
    /// Name of the method
    pub method: String,
    /// Arguments: 1 -2.5 true '[1, 2]' text NAME=VALUE NAME:=JSON
    #[arg(allow_negative_numbers = true)]
    pub args: Vec<String>,
    /// All arguments as JSON: an array (positional) or object (by name); @FILE reads a file, - standard
    /// input, which must end within --timeout
    #[arg(short, long, value_name = "JSON", conflicts_with = "args")]
    pub data: Option<String>,
}
