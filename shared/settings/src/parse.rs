//! Reads flags like the values of keys.

use std::time::Duration;

use rpc_client::Balance;
use rpc_host::logging::LogFormat;

use super::value::{self, StoreKind};

/// An IP literal (IPv6 bare or in brackets) or a name, returned without brackets.
///
/// # Errors
/// Names what was expected.
pub fn host(text: &str) -> Result<String, String> {
    value::host::read(text)
}

/// A duration with its unit, longer than zero and at most a year.
///
/// # Errors
/// Names what was expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    value::duration::read(text)
}

/// The name of a service.
///
/// # Errors
/// Names what was expected.
pub fn service(text: &str) -> Result<String, String> {
    value::service::read(text)
}

/// The same, or nothing: any service.
///
/// # Errors
/// Names what was expected.
pub fn any_service(text: &str) -> Result<String, String> {
    value::any_service::read(text).map(Option::unwrap_or_default)
}

/// A balancing policy by its name.
///
/// # Errors
/// Lists the names.
pub fn balance(text: &str) -> Result<Balance, String> {
    value::choice::read(text)
}

/// What a registry keeps registrations in, by its name.
///
/// # Errors
/// Lists the names.
pub fn store(text: &str) -> Result<StoreKind, String> {
    value::choice::read(text)
}

/// A log format by its name.
///
/// # Errors
/// Lists the names.
pub fn log_format(text: &str) -> Result<LogFormat, String> {
    value::choice::read(text)
}

/// A log level, or levels by target.
///
/// # Errors
/// Names what was expected, and what was probably meant.
pub fn log_level(text: &str) -> Result<String, String> {
    value::level::read(text)
}
