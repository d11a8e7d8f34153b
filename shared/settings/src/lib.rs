//! Settings of `rpcd` and `rpc-console`: flag > environment (`RPCD_SECTION_KEY`) >
//! `./config.ini` > `$XDG_CONFIG_HOME/rpcd/config.ini` > default, in both programs alike.
//!
//! In reading order:
//!
//! - [`Settings`]: every section. A section is the option type of the library it is for, so a
//!   default has one place, and what a program passes on is what was read.
//! - [`KEYS`]: the one table of keys. The reader, the environment and the documented `config.ini`
//!   ([`document`]) come from it.
//! - [`Sources`]: the files and variables to read; which file is passed over, and why.
//! - [`parse`]: flags are read as the values of keys are.
//!
//! Inside: `ini` reads lines, `value` has the kinds of values, `layers` puts one source over
//! another.

mod document;
mod error;
mod ini;
mod keys;
mod layers;
pub mod parse;
mod sections;
mod sources;
mod value;

#[cfg(test)]
mod tests;

pub use document::{KEYS_HEAD, document};
pub use error::SettingsError;
pub use keys::{KEYS, Key};
pub use sections::{Console, KeyLine, RegistryAddress, RegistryServer, Server, Settings};
pub use sources::Sources;
pub use value::{Advertised, Glyphs, Theme};

/// What the names of our environment variables begin with.
pub const ENVIRONMENT_PREFIX: &str = "RPCD_";
