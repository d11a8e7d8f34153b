//! The kinds of values: how each is read from text and shown as text.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// No duration is longer than a year, so that no deadline overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// An enum whose variants have names in the file.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every name, in order.
            pub const NAMES: &'static [&'static str] = &[$($text),+];

            /// The name in files, flags and variables.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(not_a_choice(text, Self::NAMES)),
                }
            }
        }
    };
}

choice! {
    /// How a client chooses among instances.
    Balance {
        /// Any of them, as in the older system.
        #[default]
        Random = "random",
        /// One after the other.
        RoundRobin = "round_robin",
        /// By `parameters.weight`.
        WeightedRandom = "weighted_random",
        /// The less busy of two.
        LeastInFlight = "least_in_flight",
    }
}

choice! {
    /// How log lines look to a person or a collector.
    LogFormat {
        /// One line of text: time, level, target, message, `key=value`.
        #[default]
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

choice! {
    /// The console's colours.
    Theme {
        /// By the terminal's own 16 colours; mono where `NO_COLOR` is set.
        #[default]
        Auto = "auto",
        /// For a dark background.
        Dark = "dark",
        /// For a light background.
        Light = "light",
        /// None.
        Mono = "mono",
    }
}

choice! {
    /// The console's signs.
    Glyphs {
        /// Lines, blocks and bullets.
        #[default]
        Unicode = "unicode",
        /// For terminals and fonts without them.
        Ascii = "ascii",
    }
}

fn not_a_choice(text: &str, names: &[&str]) -> String {
    let meant = rpc_wire::nearest(text, names.iter().copied())
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default();
    format!("expected one of {}{meant}", names.join(", "))
}

/// One of a few names.
pub(super) mod choice {
    use super::{Display, FromStr};

    pub(in super::super) fn read<T: FromStr<Err = String>>(text: &str) -> Result<T, String> {
        text.parse()
    }

    pub(in super::super) fn show(value: &impl Display) -> String {
        value.to_string()
    }
}

/// `true` or `false`.
pub(super) mod switch {
    pub(in super::super) fn read(text: &str) -> Result<bool, String> {
        text.parse().map_err(|_| "expected true or false".to_owned())
    }

    pub(in super::super) fn show(value: &bool) -> String {
        value.to_string()
    }
}

/// A TCP port.
pub(super) mod port {
    pub(in super::super) fn read(text: &str) -> Result<u16, String> {
        match text.parse() {
            Ok(0) | Err(_) => Err("expected a port from 1 to 65535".to_owned()),
            Ok(port) => Ok(port),
        }
    }

    pub(in super::super) fn show(value: &u16) -> String {
        value.to_string()
    }
}

/// An IP literal (IPv6 bare or in brackets) or a name; kept without brackets.
pub(super) mod host {
    pub(in super::super) fn read(text: &str) -> Result<String, String> {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        let strange =
            |c: char| c.is_whitespace() || c.is_control() || "/\\@?#[]\"'<>^`{|}".contains(c);
        let colon = bare.contains(':') && bare.parse::<std::net::Ipv6Addr>().is_err();
        if bare.is_empty() || bare.len() > 253 || bare.contains(strange) || colon {
            return Err("expected an IP address or a host name, without scheme or port".to_owned());
        }
        Ok(bare.to_owned())
    }

    pub(in super::super) fn show(value: &str) -> String {
        value.to_owned()
    }
}

/// The address a server registers, where it is not the one it listens on. Displays as `HOST` or
/// `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// An IP literal (IPv6 without brackets) or a name.
    pub host: String,
    /// `None`: the port it listens on.
    pub port: Option<u16>,
}

impl FromStr for Advertised {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(host) = host::read(text) {
            return Ok(Self { host, port: None });
        }
        let both = text.rsplit_once(':').and_then(|(host, port)| {
            Some(Self { host: host::read(host).ok()?, port: Some(port::read(port).ok()?) })
        });
        both.ok_or_else(|| "expected HOST or HOST:PORT (IPv6 with a port: [HOST]:PORT)".to_owned())
    }
}

impl Display for Advertised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            Some(port) => f.write_str(&rpc_wire::instance::host_port(&self.host, port)),
            None => f.write_str(&self.host),
        }
    }
}

/// [`Advertised`](super::Advertised), or nothing.
pub(super) mod advertised {
    use super::Advertised;

    pub(in super::super) fn read(text: &str) -> Result<Option<Advertised>, String> {
        if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
    }

    pub(in super::super) fn show(value: &Option<Advertised>) -> String {
        value.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

/// A whole number of things; zero would switch something off by accident.
pub(super) mod count {
    const MOST: usize = 100_000_000;

    pub(in super::super) fn read(text: &str) -> Result<usize, String> {
        within(text, MOST)
    }

    pub(super) fn within(text: &str, most: usize) -> Result<usize, String> {
        let digits = text.replace('_', "");
        match digits.parse() {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => Err(format!("expected a whole number from 1 to {most}")),
        }
    }

    pub(in super::super) fn show(value: &usize) -> String {
        value.to_string()
    }
}

/// How deep JSON may be nested: serde_json itself ends at 128.
pub(super) mod depth {
    pub(in super::super) fn read(text: &str) -> Result<u32, String> {
        super::count::within(text, 128).map(|depth| depth as u32)
    }

    pub(in super::super) fn show(value: &u32) -> String {
        value.to_string()
    }
}

/// Connections in a listener's queue: the system takes an `i32`.
pub(super) mod backlog {
    pub(in super::super) fn read(text: &str) -> Result<u32, String> {
        super::count::within(text, 1 << 20).map(|number| number as u32)
    }

    pub(in super::super) use super::depth::show;
}

/// Attempts: the first is always made.
pub(super) mod attempts {
    pub(in super::super) fn read(text: &str) -> Result<u32, String> {
        super::count::within(text, 100).map(|number| number as u32)
    }

    pub(in super::super) use super::depth::show;
}

/// Retries at once: none switches them off on purpose.
pub(super) mod burst {
    const MOST: u32 = 1_000_000;

    pub(in super::super) fn read(text: &str) -> Result<u32, String> {
        let number = text.parse().ok().filter(|number| *number <= MOST);
        number.ok_or_else(|| format!("expected a whole number from 0 to {MOST}"))
    }

    pub(in super::super) use super::depth::show;
}

/// A part of the whole: `0`, `0.2`, `1`.
pub(super) mod ratio {
    pub(in super::super) fn read(text: &str) -> Result<f64, String> {
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.ok_or_else(|| "expected a number from 0 to 1, such as 0.2".to_owned())
    }

    pub(in super::super) fn show(value: &f64) -> String {
        value.to_string()
    }
}

/// Bytes: `1048576`, `1024KiB`, `1MiB`.
pub(super) mod bytes {
    const UNITS: [(&str, usize); 4] =
        [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
    const MOST: usize = 16 << 30;

    pub(in super::super) fn read(text: &str) -> Result<usize, String> {
        let wrong = || "expected a size from 1 to 16GiB, such as 65536, 64KiB or 4MiB".to_owned();
        let unit = UNITS.iter().find_map(|(name, factor)| Some((text.strip_suffix(name)?, factor)));
        let (digits, factor) = unit.unwrap_or((text, &1));
        let number: usize = digits.trim().parse().map_err(|_| wrong())?;
        let size = number.checked_mul(*factor).filter(|size| (1..=MOST).contains(size));
        size.ok_or_else(wrong)
    }

    pub(in super::super) fn show(value: &usize) -> String {
        let fits = |factor: usize| factor > 1 && value.is_multiple_of(factor);
        match UNITS.iter().find(|(_, factor)| fits(*factor)) {
            Some((name, factor)) => format!("{}{name}", value / factor),
            None => value.to_string(),
        }
    }
}

/// A time: `500ms`, `10s`, `1m 30s`; more than none.
pub(super) mod duration {
    use super::{Duration, LONGEST};

    pub(in super::super) fn read(text: &str) -> Result<Duration, String> {
        let duration = super::pause::read(text)?;
        if duration.is_zero() {
            return Err("expected a time longer than zero".to_owned());
        }
        Ok(duration)
    }

    pub(in super::super) fn show(value: &Duration) -> String {
        humantime::format_duration((*value).min(LONGEST)).to_string()
    }
}

/// A time that may be none.
pub(super) mod pause {
    use super::{Duration, LONGEST};

    pub(in super::super) fn read(text: &str) -> Result<Duration, String> {
        match humantime::parse_duration(text) {
            Ok(duration) if duration <= LONGEST => Ok(duration),
            _ => Err("expected a time with its unit, such as 500ms, 10s or 1m (at most a year)"
                .to_owned()),
        }
    }

    pub(in super::super) use super::duration::show;
}

/// Things between commas; nothing is none of them.
pub(super) mod list {
    pub(in super::super) fn read(text: &str) -> Result<Vec<String>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let items: Vec<String> = text.split(',').map(|item| item.trim().to_owned()).collect();
        if items.iter().any(|item| item.is_empty() || item.contains(char::is_whitespace)) {
            return Err("expected a list such as a, b".to_owned());
        }
        Ok(items)
    }

    pub(in super::super) fn show(value: &[String]) -> String {
        value.join(", ")
    }
}

/// A log level, or levels by target.
pub(super) mod level {
    pub(in super::super) fn read(text: &str) -> Result<String, String> {
        crate::logging::check_level(text).map_err(|error| error.to_string())?;
        Ok(text.to_owned())
    }

    pub(in super::super) fn show(value: &str) -> String {
        value.to_owned()
    }
}

/// A folder.
pub(super) mod folder {
    use std::path::{Path, PathBuf};

    pub(in super::super) fn read(text: &str) -> Result<PathBuf, String> {
        if text.is_empty() || text.contains('\0') {
            return Err("expected a folder".to_owned());
        }
        Ok(PathBuf::from(text))
    }

    pub(in super::super) fn show(value: &Path) -> String {
        value.display().to_string()
    }
}
