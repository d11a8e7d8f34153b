//! Values that say how much, how many or how long.

use std::time::Duration;

/// No duration is longer than a year, so that no deadline overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

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
