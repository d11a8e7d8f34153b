//! Settings of `rpcd` and `rpc-console`: flag > environment (`RPCD_SECTION_KEY`) >
//! `./config.ini` > `$XDG_CONFIG_HOME/rpcd/config.ini` > default, in both programs alike.
//!
//! In reading order:
//!
//! - [`Settings`]: every section. A section is the option type of the library it configures, so a
//!   default has one place, and programs pass options on as they were read.
//! - [`KEYS`]: the table of keys. The parser, the environment and the documented `config.ini`
//!   ([`document`]) are derived from it.
//! - [`Sources`]: the files and variables to read; which file is ignored, and why.
//! - [`Security`]: the guard of a daemon; `token`: where a program's own token comes from.
//! - [`parse`]: flags are read like the values of keys.
//!
//! Inside: `ini` reads lines, `value` has the types of values, `layers` applies one source over
//! another.
//!
//! Needs Rust 1.95 or later.

mod document;
mod error;
mod ini;
mod keys;
mod layers;
pub mod parse;
mod sections;
mod security;
mod sources;
mod token;
mod value;

#[cfg(test)]
mod tests;

pub use document::{KEYS_HEAD, document};
pub use error::SettingsError;
pub use keys::{KEYS, Key};
pub use sections::{Console, KeyLine, RegistryAddress, RegistryServer, Server, Settings};
pub use security::Security;
pub use sources::Sources;
pub use token::{SECRET_VARIABLES, TOKEN_VARIABLE};
pub use value::{Advertised, Colour, Glyphs, StoreKind, Theme};

/// The prefix of our environment variables.
pub const ENVIRONMENT_PREFIX: &str = "RPCD_";
