//! How the values of flags are parsed.

use std::str::FromStr;
use std::time::Duration;

use rpc_settings::parse;
use rpc_wire::target::parse_url;

/// A host, or the URL of a server that takes JSON-RPC.
pub(super) fn host_or_url(text: &str) -> Result<String, String> {
    if !text.contains("://") {
        return parse::host(text);
    }
    parse_url(text).map(|_| text.to_owned()).map_err(|error| error.why.to_owned())
}

/// A fraction.
pub(super) fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "expected a number from 0 to 1, such as 0.01".to_owned())
}

/// The timeout of a call: with a unit, or in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallTime(pub Duration);

/// The same, or zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause(pub Duration);

impl FromStr for Pause {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "0" | "0s" => Ok(Self(Duration::ZERO)),
            _ => text.parse().map(|CallTime(time)| Self(time)),
        }
    }
}

impl FromStr for CallTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = if text.ends_with(|c: char| c.is_ascii_digit()) {
            text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        } else {
            None
        };
        match seconds {
            Some(time) => parse::duration(&format!("{}ns", time.as_nanos())),
            None => parse::duration(text),
        }
        .map(Self)
    }
}
