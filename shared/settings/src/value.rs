//! The types of values: how each is read from text and written as text.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use rpc_client::Balance;
use rpc_host::logging::LogFormat;
use rpc_security::{Require, TlsVersion};

/// No duration is longer than a year, so that no deadline overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// An enum whose variants have names in files, flags and variables.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    /// Every variant with its name, in order.
    const ALL: &'static [(&'static str, Self)];
}

impl Choice for Balance {
    const ALL: &'static [(&'static str, Self)] = &Balance::ALL;
}

impl Choice for Require {
    const ALL: &'static [(&'static str, Self)] = &Require::ALL;
}

impl Choice for TlsVersion {
    const ALL: &'static [(&'static str, Self)] = &TlsVersion::ALL;
}

impl Choice for LogFormat {
    const ALL: &'static [(&'static str, Self)] = &LogFormat::ALL;
}

/// Declares such an enum.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl Choice for $name {
            const ALL: &'static [(&'static str, Self)] = &[$(($text, Self::$variant)),+];
        }
    };
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
    /// The console's symbols.
    Glyphs {
        /// By locale and terminal: ASCII where they name one without Unicode.
        #[default]
        Auto = "auto",
        /// Lines, blocks and bullets.
        Unicode = "unicode",
        /// For terminals and fonts without them.
        Ascii = "ascii",
    }
}

choice! {
    /// The colour of a registry's name in the console.
    Colour {
        /// As everything else.
        #[default]
        None = "none",
        /// Red.
        Red = "red",
        /// Yellow.
        Yellow = "yellow",
        /// Green.
        Green = "green",
        /// Blue.
        Blue = "blue",
        /// Magenta.
        Magenta = "magenta",
        /// Cyan.
        Cyan = "cyan",
    }
}

choice! {
    /// What `rpcd registry` keeps registrations in.
    StoreKind {
        /// A database in a folder.
        #[default]
        Redb = "redb",
        /// An etcd cluster, which several registries share.
        Etcd = "etcd",
        /// Nothing: they are gone with the process.
        None = "none",
    }
}

/// One of a few names.
pub(crate) mod choice {
    use super::Choice;

    pub(crate) fn read<T: Choice>(text: &str) -> Result<T, String> {
        let found = T::ALL.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        found.ok_or_else(|| {
            let names: Vec<&str> = T::ALL.iter().map(|(name, _)| *name).collect();
            let meant = rpc_wire::nearest(text, names.iter().copied())
                .map(|near| format!("; did you mean {near}?"))
                .unwrap_or_default();
            format!("expected one of {}{meant}", names.join(", "))
        })
    }

    pub(crate) fn show<T: Choice>(value: &T) -> String {
        let name = T::ALL.iter().find(|(_, named)| named == value).map(|(name, _)| *name);
        name.unwrap_or_default().to_owned()
    }
}

/// `yes` or `no`, the answer to a question; `true` and `false` mean the same.
pub(crate) mod answer {
    pub(crate) fn read(text: &str) -> Result<bool, String> {
        match text {
            "yes" | "true" => Ok(true),
            "no" | "false" => Ok(false),
            _ => Err("expected yes or no".to_owned()),
        }
    }

    pub(crate) fn show(value: &bool) -> String {
        if *value { "yes".to_owned() } else { "no".to_owned() }
    }
}

/// `true` or `false`.
pub(crate) mod switch {
    pub(crate) fn read(text: &str) -> Result<bool, String> {
        text.parse().map_err(|_| "expected true or false".to_owned())
    }

    pub(crate) fn show(value: &bool) -> String {
        value.to_string()
    }
}

/// A TCP port.
pub(crate) mod port {
    pub(crate) fn read(text: &str) -> Result<u16, String> {
        match text.parse() {
            Ok(0) | Err(_) => Err("expected a port from 1 to 65535".to_owned()),
            Ok(port) => Ok(port),
        }
    }

    pub(crate) fn show(value: &u16) -> String {
        value.to_string()
    }
}

/// An IP literal (IPv6 bare or in brackets) or a name; kept without brackets.
pub(crate) mod host {
    pub(crate) fn read(text: &str) -> Result<String, String> {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        let is_address = bare.parse::<std::net::Ipv6Addr>().is_ok();
        // Names in brackets are accepted too; the underscore is common in container networks.
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
        };
        let name = bare.strip_suffix('.').unwrap_or(bare);
        if !is_address && (bare.len() > 253 || !name.split('.').all(is_label)) {
            return Err("expected an IP address or a host name, without scheme or port".to_owned());
        }
        Ok(bare.to_owned())
    }

    pub(crate) fn show(value: &str) -> String {
        value.to_owned()
    }
}

/// The address a server registers, if it is not the one it listens on. Displays as `HOST` or
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

/// The name of a service.
pub(crate) mod service {
    use rpc_wire::instance::is_service_name;

    pub(crate) fn read(text: &str) -> Result<String, String> {
        if is_service_name(text) {
            Ok(text.to_owned())
        } else {
            Err("expected 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'".to_owned())
        }
    }

    pub(crate) fn show(value: &str) -> String {
        value.to_owned()
    }
}

/// The name of a service, or nothing: any service.
pub(crate) mod any_service {
    use super::service;

    pub(crate) fn read(text: &str) -> Result<Option<String>, String> {
        if text.is_empty() { Ok(None) } else { service::read(text).map(Some) }
    }

    pub(crate) fn show(value: &Option<String>) -> String {
        value.clone().unwrap_or_default()
    }
}

/// The folder for lists of instances: `auto`, that of the user; empty: none.
pub(crate) mod list_cache {
    use rpc_client::ListCache;

    const USER: &str = "auto";

    pub(crate) fn read(text: &str) -> Result<ListCache, String> {
        Ok(match text {
            "" => ListCache::Off,
            USER => ListCache::User,
            folder => ListCache::Folder(folder.into()),
        })
    }

    pub(crate) fn show(value: &ListCache) -> String {
        match value {
            ListCache::Off => String::new(),
            ListCache::User => USER.to_owned(),
            ListCache::Folder(folder) => folder.display().to_string(),
        }
    }
}

/// [`Advertised`](super::Advertised), or nothing.
pub(crate) mod advertised {
    use super::Advertised;

    pub(crate) fn read(text: &str) -> Result<Option<Advertised>, String> {
        if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
    }

    pub(crate) fn show(value: &Option<Advertised>) -> String {
        value.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

/// The share of one peer: `quarter`, a count, or 0 for none.
pub(crate) mod share {
    use rpc_host::shares::Share;

    use super::count;

    pub(crate) fn read(text: &str) -> Result<Share, String> {
        match text {
            "quarter" => Ok(Share::Quarter),
            "0" => Ok(Share::Whole),
            _ => count::read(text)
                .map(Share::AtMost)
                .map_err(|_| "expected quarter, a whole number, or 0 for no share".to_owned()),
        }
    }

    pub(crate) fn show(value: &Share) -> String {
        match value {
            Share::Quarter => "quarter".to_owned(),
            Share::Whole => "0".to_owned(),
            Share::AtMost(most) => count::show(most),
        }
    }
}

/// When a call is hedged: `off`, `p95`, or a time.
pub(crate) mod hedge {
    use rpc_client::Hedge;

    pub(crate) fn read(text: &str) -> Result<Hedge, String> {
        match text {
            "off" => Ok(Hedge::Off),
            "p95" => Ok(Hedge::P95),
            _ => super::duration::read(text)
                .map(Hedge::After)
                .map_err(|_| "expected off, p95, or a time such as 50ms".to_owned()),
        }
    }

    pub(crate) fn show(value: &Hedge) -> String {
        match value {
            Hedge::After(delay) => super::duration::show(delay),
            Hedge::P95 => "p95".to_owned(),
            _ => "off".to_owned(),
        }
    }
}

/// A count; zero would switch something off by accident.
pub(crate) mod count {
    const MAX: usize = 100_000_000;

    pub(crate) fn read(text: &str) -> Result<usize, String> {
        within(text, MAX)
    }

    pub(crate) fn within(text: &str, most: usize) -> Result<usize, String> {
        let digits = text.replace('_', "");
        match digits.parse() {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => Err(format!("expected a whole number from 1 to {most}")),
        }
    }

    pub(crate) fn show(value: &usize) -> String {
        value.to_string()
    }
}

/// How deep JSON may be nested: serde_json itself ends at 128.
pub(crate) mod depth {
    pub(crate) fn read(text: &str) -> Result<u32, String> {
        super::count::within(text, 128).map(|depth| depth as u32)
    }

    pub(crate) fn show(value: &u32) -> String {
        value.to_string()
    }
}

/// Connections in a listener's queue: the system takes an `i32`.
pub(crate) mod backlog {
    pub(crate) fn read(text: &str) -> Result<u32, String> {
        super::count::within(text, 1 << 20).map(|number| number as u32)
    }

    pub(crate) use super::depth::show;
}

/// Attempts: the first is always made.
pub(crate) mod attempts {
    pub(crate) fn read(text: &str) -> Result<u32, String> {
        super::count::within(text, 100).map(|number| number as u32)
    }

    pub(crate) use super::depth::show;
}

/// Retries at once: 0 switches them off on purpose.
pub(crate) mod burst {
    const MAX: u32 = 1_000_000;

    pub(crate) fn read(text: &str) -> Result<u32, String> {
        let number = text.parse().ok().filter(|number| *number <= MAX);
        number.ok_or_else(|| format!("expected a whole number from 0 to {MAX}"))
    }

    pub(crate) use super::depth::show;
}

/// A fraction: `0`, `0.2`, `1`.
pub(crate) mod ratio {
    pub(crate) fn read(text: &str) -> Result<f64, String> {
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.ok_or_else(|| "expected a number from 0 to 1, such as 0.2".to_owned())
    }

    pub(crate) fn show(value: &f64) -> String {
        value.to_string()
    }
}

/// Bytes: `1048576`, `1024KiB`, `1MiB`.
pub(crate) mod bytes {
    const UNITS: [(&str, usize); 4] =
        [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
    const MAX: usize = 16 << 30;

    pub(crate) fn read(text: &str) -> Result<usize, String> {
        let wrong = || "expected a size from 1 to 16GiB, such as 65536, 64KiB or 4MiB".to_owned();
        let unit = UNITS.iter().find_map(|(name, factor)| Some((text.strip_suffix(name)?, factor)));
        let (digits, factor) = unit.unwrap_or((text, &1));
        let number: usize = digits.trim().parse().map_err(|_| wrong())?;
        let size = number.checked_mul(*factor).filter(|size| (1..=MAX).contains(size));
        size.ok_or_else(wrong)
    }

    pub(crate) fn show(value: &usize) -> String {
        let fits = |factor: usize| factor > 1 && value.is_multiple_of(factor);
        match UNITS.iter().find(|(_, factor)| fits(*factor)) {
            Some((name, factor)) => format!("{}{name}", value / factor),
            None => value.to_string(),
        }
    }
}

/// A duration: `500ms`, `10s`, `1m 30s`; not zero.
pub(crate) mod duration {
    use super::{Duration, LONGEST};

    pub(crate) fn read(text: &str) -> Result<Duration, String> {
        let duration = super::pause::read(text)?;
        if duration.is_zero() {
            return Err("expected a time longer than zero".to_owned());
        }
        Ok(duration)
    }

    const UNITS: [(&str, u128); 5] = [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1000),
    ];

    /// One number with the largest unit that it has a whole number of.
    pub(crate) fn show(value: &Duration) -> String {
        let nanoseconds = (*value).min(LONGEST).as_nanos();
        let whole = |unit: u128| nanoseconds >= unit && nanoseconds.is_multiple_of(unit);
        match UNITS.iter().find(|(_, unit)| whole(*unit)) {
            Some((name, unit)) => format!("{}{name}", nanoseconds / unit),
            None if nanoseconds == 0 => "0s".to_owned(),
            None => format!("{nanoseconds}ns"),
        }
    }
}

/// A duration that may be zero.
pub(crate) mod pause {
    use super::{Duration, LONGEST};

    pub(crate) fn read(text: &str) -> Result<Duration, String> {
        match humantime::parse_duration(text) {
            Ok(duration) if duration <= LONGEST => Ok(duration),
            _ => Err("expected a time with its unit, such as 500ms, 10s or 1m (at most a year)"
                .to_owned()),
        }
    }

    pub(crate) use super::duration::show;
}

/// Host names, comma-separated; empty text is an empty list.
pub(crate) mod names {
    pub(crate) fn read(text: &str) -> Result<Vec<String>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        text.split(',').map(|name| super::host::read(name.trim())).collect()
    }

    pub(crate) fn show(value: &[String]) -> String {
        value.join(", ")
    }
}

/// Addresses, comma-separated; empty text is an empty list.
pub(crate) mod addresses {
    use rpc_wire::target::parse_address;

    pub(crate) fn read(text: &str) -> Result<Vec<String>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let address = |item: &str| match parse_address(item.trim()) {
            Ok(_) => Ok(item.trim().to_owned()),
            Err(error) => Err(format!("expected HOST:PORT, comma-separated: {error}")),
        };
        text.split(',').map(address).collect()
    }

    pub(crate) fn show(value: &[String]) -> String {
        value.join(", ")
    }
}

/// Networks, comma-separated; empty text is an empty list. An address is a network of its own.
pub(crate) mod networks {
    use std::net::IpAddr;

    use rpc_registry::IpNet;

    pub(crate) fn read(text: &str) -> Result<Vec<IpNet>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let wrong = || "expected ADDRESS/BITS, comma-separated, such as 10.0.0.0/8".to_owned();
        text.split(',').map(|item| one(item.trim()).ok_or_else(wrong)).collect()
    }

    fn one(text: &str) -> Option<IpNet> {
        text.parse().ok().or_else(|| text.parse().ok().map(|address: IpAddr| address.into()))
    }

    pub(crate) fn show(value: &[IpNet]) -> String {
        let shown: Vec<_> = value.iter().map(ToString::to_string).collect();
        shown.join(", ")
    }
}

/// Web origins, comma-separated; empty text is an empty list. Browsers send an origin in lower case
/// and without a path, and it is compared as text.
pub(crate) mod origins {
    pub(crate) fn read(text: &str) -> Result<Vec<String>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let wrong = || "expected scheme://host[:port], comma-separated".to_owned();
        text.split(',').map(|item| one(item.trim()).ok_or_else(wrong)).collect()
    }

    fn one(text: &str) -> Option<String> {
        let (scheme, address) = text.split_once("://")?;
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
        let is_scheme =
            scheme.starts_with(|c: char| c.is_ascii_lowercase()) && scheme.chars().all(letters);
        // IPv6 has brackets here, with or without a port.
        let host_only = (!address.contains(':') || address.ends_with(']'))
            .then(|| super::host::read(address).ok())
            .flatten();
        let with_port = || {
            let (host, port) = address.rsplit_once(':')?;
            let is_bare_ipv6 = host.contains(':') && !host.starts_with('[');
            super::host::read(host).ok().filter(|_| !is_bare_ipv6)?;
            super::port::read(port).ok()
        };
        let lower = !address.contains(|c: char| c.is_uppercase());
        (is_scheme && lower && (host_only.is_some() || with_port().is_some()))
            .then(|| text.to_owned())
    }

    pub(crate) fn show(value: &[String]) -> String {
        value.join(", ")
    }
}

/// A log level, or levels by target.
pub(crate) mod level {
    pub(crate) fn read(text: &str) -> Result<String, String> {
        rpc_host::logging::check_level(text).map_err(|error| error.reason().to_owned())?;
        Ok(text.to_owned())
    }

    pub(crate) fn show(value: &str) -> String {
        value.to_owned()
    }
}

/// A directory, or none.
pub(crate) mod any_folder {
    use std::path::PathBuf;

    use super::folder;

    pub(crate) fn read(text: &str) -> Result<Option<PathBuf>, String> {
        if text.is_empty() { Ok(None) } else { folder::read(text).map(Some) }
    }

    pub(crate) fn show(value: &Option<PathBuf>) -> String {
        value.as_deref().map(folder::show).unwrap_or_default()
    }
}

/// A file; empty text is none.
pub(crate) mod any_file {
    pub(crate) use super::any_folder::{read, show};
}

/// A file with a secret, never the secret; empty text is none.
pub(crate) mod secret_file {
    use std::path::PathBuf;

    use rpc_security::secret;

    pub(crate) fn read(text: &str) -> Result<Option<PathBuf>, String> {
        if secret::looks_like_one(text) {
            return Err("expected a file with the token, not the token".to_owned());
        }
        super::any_folder::read(text)
    }

    pub(crate) use super::any_folder::show;
}

/// How strictly is decided; empty text: as the tokens say.
pub(crate) mod auth {
    use rpc_security::Auth;

    pub(crate) fn read(text: &str) -> Result<Option<Auth>, String> {
        let auth = (!text.is_empty()).then(|| text.parse());
        auth.transpose().map_err(|_| "expected off, warn or required, or nothing".to_owned())
    }

    pub(crate) fn show(value: &Option<Auth>) -> String {
        value.map(|auth| auth.to_string()).unwrap_or_default()
    }
}

/// Roles, comma-separated; `none`.
pub(crate) mod roles {
    use rpc_security::Roles;

    pub(crate) fn read(text: &str) -> Result<Roles, String> {
        let wrong = "expected none, or call, observe, register and operate, comma-separated";
        text.parse().map_err(|_| wrong.to_owned())
    }

    pub(crate) fn show(value: &Roles) -> String {
        value.to_string()
    }
}

/// What keys begin with.
pub(crate) mod prefix {
    pub(crate) fn read(text: &str) -> Result<String, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        match (1..=64).contains(&text.len()) && text.chars().all(allowed) {
            true => Ok(text.to_owned()),
            false => Err("expected 1 to 64 of a-z A-Z 0-9 / . _ -".to_owned()),
        }
    }

    pub(crate) fn show(value: &str) -> String {
        value.to_owned()
    }
}

/// The name of a user; empty text is none.
pub(crate) mod user {
    pub(crate) fn read(text: &str) -> Result<Option<String>, String> {
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    pub(crate) fn show(value: &Option<String>) -> String {
        value.clone().unwrap_or_default()
    }
}

/// A directory.
pub(crate) mod folder {
    use std::path::{Path, PathBuf};

    pub(crate) fn read(text: &str) -> Result<PathBuf, String> {
        if text.is_empty() || text.contains('\0') {
            return Err("expected a directory".to_owned());
        }
        Ok(PathBuf::from(text))
    }

    pub(crate) fn show(value: &Path) -> String {
        value.display().to_string()
    }
}
