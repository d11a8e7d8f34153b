//! `rpcd mcp`, as typed.

use clap::Args;
use rpc_gateway::Glob;
use rpc_settings::parse;

use super::{CallTime, Common, Described, Direct};

pub(super) const MCP: &str = "\
Examples:
  rpcd mcp                                      for an agent that starts it: messages on stdin and stdout
  rpcd mcp --allow 'orders.*' --deny '*.delete'
  rpcd mcp --listen 127.0.0.1:8765              for agents that connect, to http://127.0.0.1:8765/mcp

Every method of a live instance is a tool for agents by the Model Context Protocol (docs/mcp.md), by \
default only methods that say of themselves that they are read-only. A glob is METHOD or SERVICE.METHOD, in \
which * stands for any text and ? for one character; --deny wins over --allow and --all. A tool is called as rpcd call \
calls a method: on any instance that offers it, with failover.

Each call is a line of the log, on standard error: who, which tool, how it ended and how long it took. \
The end of standard input: answer what was asked, exit 0. A signal: exit 0 at once, with --listen once \
calls in flight are done (8 s at most). With [security] tokens callers by HTTP show a token with the role \
call, and see and call only what it may.";

/// Serve methods as tools to agents.
#[derive(Debug, Clone, Args)]
pub struct Mcp {
    /// Listen for HTTP at this address, with the path /mcp; a port alone: on 127.0.0.1
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub listen: Option<(String, u16)>,
    /// Methods with such names, too, whatever they change; may be repeated
    #[arg(long, value_name = "GLOB", help_heading = "Tools")]
    pub allow: Vec<Glob>,
    /// No methods with such names; may be repeated
    #[arg(long, value_name = "GLOB", help_heading = "Tools")]
    pub deny: Vec<Glob>,
    /// All methods, whatever they change
    #[arg(long, help_heading = "Tools")]
    pub all: bool,
    /// What the name of each tool begins with
    #[arg(long, value_name = "TEXT", help_heading = "Tools", value_parser = prefix)]
    pub prefix: Option<String>,
    /// Time for a call: 500ms, 10s, or seconds; what a stream has sent by then is its result [default: 30s]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<CallTime>,
    /// The methods.
    #[command(flatten)]
    pub described: Described,
    /// The target.
    #[command(flatten)]
    pub direct: Direct,
    /// Only instances of this service; '': of any [default: any]
    #[arg(long, value_name = "NAME", help_heading = "Target", value_parser = parse::any_service)]
    pub service: Option<String>,
    /// Settings and log.
    #[command(flatten)]
    pub common: Common,
}

fn address(text: &str) -> Result<(String, u16), String> {
    if let Ok(port) = text.parse() {
        return Ok(("127.0.0.1".to_owned(), port));
    }
    let (host, port) = text.rsplit_once(':').ok_or("expected HOST:PORT or a port")?;
    let port = port.parse().map_err(|_| format!("{port:?} is no port"))?;
    Ok((parse::host(host)?, port))
}

fn prefix(text: &str) -> Result<String, String> {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match text.len() <= 64 && text.chars().all(is_usual) {
        true => Ok(text.to_owned()),
        false => Err("expected at most 64 letters, digits, '_', '-' and '.'".to_owned()),
    }
}
