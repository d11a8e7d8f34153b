//! Numbers and times for people.

use std::time::Duration;

/// Three digits and a unit: `18.3 µs`, `402 µs`, `1.25 ms`, `12.0 s`.
pub fn time(time: Duration) -> String {
    let nanos = time.as_nanos() as f64;
    // What rounds to 1000 of a unit is 1 of the next.
    let (value, unit) = match nanos {
        nanos if nanos < 999_500.0 => (nanos / 1e3, "µs"),
        nanos if nanos < 999_500_000.0 => (nanos / 1e6, "ms"),
        nanos => (nanos / 1e9, "s"),
    };
    let digits = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The two largest units of a long time: `2h13m`.
pub fn two_units(ms: u64) -> String {
    let seconds = ms / 1000;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s:02}s"),
        (0, h, m, _) => format!("{h}h{m:02}m"),
        (d, h, _, _) => format!("{d}d{h:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        for (nanos, shown) in [
            (0, "0.00 µs"),
            (18_340, "18.3 µs"),
            (402_000, "402 µs"),
            (999_600, "1.00 ms"),
            (1_250_000, "1.25 ms"),
            (99_960_000, "100 ms"),
            (12_000_000_000, "12.0 s"),
        ] {
            assert_eq!(time(Duration::from_nanos(nanos)), shown);
        }
        assert_eq!([grouped(0), grouped(999), grouped(1_234_567)], ["0", "999", "1,234,567"]);
    }

    #[test]
    fn times_are_shown_in_their_two_largest_units() {
        for (ms, shown) in [(999, "0s"), (61_000, "1m01s"), (90_000_000, "1d01h")] {
            assert_eq!(two_units(ms), shown);
        }
    }
}
