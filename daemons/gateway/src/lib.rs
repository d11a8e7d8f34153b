//! Every live method of rpc servers as a tool for agents: a server of the Model Context Protocol.
//!
//! ```no_run
//! use rpc_client::{Client, ClientOptions};
//! use rpc_gateway::{Gateway, GatewayOptions};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::through_registry("http://127.0.0.1:9999", ClientOptions::default())?;
//! let gateway = Gateway::new(client, GatewayOptions::default());
//! gateway.serve_lines(tokio::io::empty(), tokio::io::sink()).await?;
//! # Ok(()) }
//! ```
//!
//! In reading order:
//!
//! - [`Gateway`]: the tools of what a client calls.
//! - [`GatewayOptions`]: every limit and time, with its default; [`Exposure`]: which methods are tools.
//! - [`Endpoint`]: the same by HTTP; [`HttpOptions`]: who may come, and the limits of that; [`routes`]: what its
//!   routes need.
//!
//! # Inside
//!
//! Without I/O:
//!
//! - `message`: bytes become a request or a notification; `problem`: or why not.
//! - `era`: whether a request says all, or belongs to a session; `headers`: what repeats it over HTTP.
//! - `exposure`, `schema`, `tools`: what methods are offered, and as what.
//! - `protocol`: what a message asks for; `outcome`: how a call ended, `strict`: and whether
//!   agents can read its result; `reply`: both as JSON; `list`: that of the tools.
//!
//! With it:
//!
//! - `listing`: keeps the tools; `caller`: makes calls; `audit`: notes them; `gateway`: all of that, with the limits.
//! - `stdio`: messages as `lines` of a pipe, answered through its `output`; `http`: as requests.
//!
//! Inside: `stdio → output → outcome`, `stdio → gateway → caller → outcome → protocol → tools → schema`, `gateway → audit → protocol`, `gateway → listing → tools`, `http → gateway`,
//! `protocol → headers → era → message → problem`, `outcome → strict`.
//!
//! Needs Rust 1.95 or later.

mod audit;
mod caller;
mod era;
mod exposure;
mod gateway;
mod headers;
mod http;
mod http_options;
mod lines;
mod list;
mod listing;
mod message;
mod options;
mod outcome;
mod output;
mod problem;
mod protocol;
mod reply;
mod schema;
mod stdio;
mod strict;
mod tools;

pub use exposure::{Exposure, Glob, NotAGlob};
pub use gateway::Gateway;
pub use http::{Endpoint, routes};
pub use http_options::HttpOptions;
pub use options::GatewayOptions;
