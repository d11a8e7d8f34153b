//! The level setting: a level, or levels per target, parsed strictly.

use rpc_wire::report::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use super::layer::DAEMON_TARGET;
use super::wire_level;

/// Libraries logged below `warn` only if the setting names them.
const NOISY: [&str; 8] =
    ["hyper", "hyper_util", "reqwest", "h2", "tower", "axum", "mio", "tokio_util"];

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// An invalid level setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad log level {given:?}: {reason}")]
pub struct BadLevel {
    given: String,
    reason: String,
}

impl BadLevel {
    /// What was expected, or what was probably meant.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// Checks a level setting: `debug`, or `info,rpc_server=debug`.
///
/// # Errors
/// Says what is wrong, with the level that was probably meant.
pub fn check_level(given: &str) -> Result<(), BadLevel> {
    filter(given).map(drop)
}

pub(super) fn filter(given: &str) -> Result<EnvFilter, BadLevel> {
    let bad = |reason: String| BadLevel { given: given.to_owned(), reason };
    let mut general = None;
    for part in given.split(',').map(str::trim) {
        if part.is_empty() {
            return Err(bad("expected a level such as info, or info,rpc_server=debug".to_owned()));
        }
        // `EnvFilter` takes an unknown word for a target, so a typo would silence everything.
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        let known = level_named(level).ok_or_else(|| bad(unknown(level)))?;
        if !part.contains('=') {
            general = Some(known);
        }
    }
    let general = general.unwrap_or(LevelFilter::OFF);
    let quiet = general.min(LevelFilter::WARN);
    let mut directives = format!("{general},{DAEMON_TARGET}=error");
    for library in NOISY {
        directives.push_str(&format!(",{library}={quiet}"));
    }
    // The user's directives come last and win.
    for part in given.split(',').map(str::trim).filter(|part| part.contains('=')) {
        directives.push(',');
        directives.push_str(part);
    }
    EnvFilter::builder().parse(directives).map_err(|error| bad(error.to_string()))
}

/// The minimum level that the filter lets through.
pub(super) fn lowest(filter: &EnvFilter) -> Level {
    let hint = filter.max_level_hint().and_then(LevelFilter::into_level);
    hint.map_or(Level::Error, wire_level)
}

fn level_named(name: &str) -> Option<LevelFilter> {
    LEVELS.iter().find(|level| level.eq_ignore_ascii_case(name))?.parse().ok()
}

fn unknown(level: &str) -> String {
    let lower = level.to_lowercase();
    match rpc_wire::nearest(&lower, LEVELS) {
        Some(near) => format!("no level {level:?}; did you mean {near:?}?"),
        None => format!("expected {}", LEVELS.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_and_levels_by_target_are_understood() {
        for (given, at_least) in [
            ("debug", Level::Debug),
            ("INFO", Level::Info),
            ("info,rpc_server=debug", Level::Debug),
            ("warn, rpc_registry::http=trace", Level::Trace),
            ("off", Level::Error),
        ] {
            assert_eq!(lowest(&filter(given).unwrap()), at_least, "{given}");
        }
    }

    #[test]
    fn a_typo_is_an_error() {
        let error = check_level("inof").unwrap_err().to_string();
        assert_eq!(error, r#"bad log level "inof": no level "inof"; did you mean "info"?"#);
        assert_eq!(
            check_level("x").unwrap_err().reason(),
            "expected off, error, warn, info, debug, trace"
        );
        for given in ["", ",", "info,", "rpc_server", "rpc_server=loud", "=x", "info,[=debug"] {
            assert!(check_level(given).is_err(), "{given}");
        }
    }
}
