//! Durations, counts, rates and sizes as short text, the same in every program.

use std::time::Duration;

/// An age: `1.2s`, `45s`, `12m`, `2h13m`, `3d04h`. Whole seconds from ten on; minutes and hours are rounded to
/// the nearest.
pub fn age(age: Duration) -> String {
    let s = age.as_secs();
    let (minutes, hours) = (s.saturating_add(30) / 60, s.saturating_add(1800) / 3600);
    match (s, minutes) {
        (0..=9, _) => format!("{s}.{}s", age.subsec_millis() / 100),
        (10..=119, _) => format!("{s}s"),
        (_, 0..=59) => format!("{minutes}m"),
        (_, 60..=1439) => format!("{}h{:02}m", minutes / 60, minutes % 60),
        _ => format!("{}d{:02}h", hours / 24, hours % 24),
    }
}

/// As [`age`], but in whole seconds below ten too: for countdowns and outages.
pub fn seconds(duration: Duration) -> String {
    if duration.as_secs() < 10 { format!("{}s", duration.as_secs()) } else { age(duration) }
}

/// A latency in milliseconds, below a second, so that a column compares at a glance: `0.42ms`,
/// `4.1ms`, `120ms`, `1.24s`.
pub fn latency(latency: Duration) -> String {
    let ms = latency.as_secs_f64() * 1000.0;
    match ms {
        ..0.995 => format!("{ms:.2}ms"),
        ..9.95 => format!("{ms:.1}ms"),
        ..999.5 => format!("{ms:.0}ms"),
        _ => format!("{:.2}s", ms / 1000.0),
    }
}

/// A latency to three digits: `18.3µs`, `402µs`, `1.25ms`, `12.0s`.
pub fn precise(latency: Duration) -> String {
    let us = latency.as_secs_f64() * 1e6;
    // 999.6µs would round to 1000µs; it is 1.00ms.
    let (value, unit) = match us {
        ..999.5 => (us, "µs"),
        ..999_500.0 => (us / 1e3, "ms"),
        _ => (us / 1e6, "s"),
    };
    let digits = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}{unit}")
}

/// A duration as flags accept it: `10s`, `1500ms`.
pub fn flag_duration(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}

/// A count with its thousands separated: `1,234,567`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A rate per second, without its unit: `0.50`, `9.9`, `1,000`.
pub fn rate(per_second: f64) -> String {
    match per_second {
        ..0.995 => format!("{per_second:.2}"),
        ..9.95 => format!("{per_second:.1}"),
        // A float-to-integer cast saturates.
        _ => grouped(per_second.round() as u64),
    }
}

/// A ratio in percent: `0%`, `0.012%`, `1.2%`, `50%`. Only zero is shown as zero.
pub fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    match percent {
        0.0 | 10.0.. => format!("{percent:.0}%"),
        0.1.. => format!("{percent:.1}%"),
        0.0005.. => format!("{percent:.3}%"),
        _ => "<0.001%".to_owned(),
    }
}

/// A size: `58 B`, `1.2 KiB`, `3.4 MiB`.
pub fn bytes(bytes: usize) -> String {
    const KIB: f64 = 1024.0;
    let b = bytes as f64;
    match bytes {
        0..=1023 => format!("{bytes} B"),
        1024..=1_048_575 => format!("{:.1} KiB", b / KIB),
        _ => format!("{:.1} MiB", b / KIB / KIB),
    }
}

/// Values as a row of small bars, scaled to the largest.
pub fn sparkline(values: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let top = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let bar = |value: &f64| {
        let step = (value / top * 7.0).round().clamp(0.0, 7.0) as usize;
        BARS.get(step).copied().unwrap_or('█')
    };
    values.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let ms = Duration::from_millis;
        assert_eq!(
            [ms(1234), ms(45_000), ms(130_000), ms(7_980_000), ms(273_600_000)].map(age),
            ["1.2s", "45s", "2m", "2h13m", "3d04h"]
        );
        let near = [599_000, 3_569_000, 3_570_000, 86_399_000, 259_000_000].map(ms).map(age);
        assert_eq!(near, ["10m", "59m", "1h00m", "1d00h", "3d00h"]);
        assert_eq!([ms(1234), ms(45_000)].map(seconds), ["1s", "45s"]);
        assert_eq!(
            [ms(0), ms(4), ms(120), ms(1240)].map(latency),
            ["0.00ms", "4.0ms", "120ms", "1.24s"]
        );
        assert_eq!([ms(10_000), ms(1500)].map(flag_duration), ["10s", "1500ms"]);
    }

    #[test]
    fn precise_durations_have_three_digits_and_a_unit() {
        for (nanos, shown) in [
            (0, "0.00µs"),
            (18_000, "18.0µs"),
            (18_340, "18.3µs"),
            (402_000, "402µs"),
            (999_600, "1.00ms"),
            (1_250_000, "1.25ms"),
            (99_960_000, "100ms"),
            (999_600_000, "1.00s"),
            (12_000_000_000, "12.0s"),
        ] {
            assert_eq!(precise(Duration::from_nanos(nanos)), shown);
        }
    }

    #[test]
    fn counts_rates_ratios_and_sizes_are_short() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.5, 9.9, 1_000.4].map(rate), ["0.50", "9.9", "1,000"]);
        let ratios = [0.0, 0.000_001, 0.000_012, 0.000_12, 0.012, 0.5, 1.0];
        let shown = ["0%", "<0.001%", "0.001%", "0.012%", "1.2%", "50%", "100%"];
        assert_eq!(ratios.map(percent), shown);
        assert_eq!([58, 1_300, 3_500_000].map(bytes), ["58 B", "1.3 KiB", "3.3 MiB"]);
    }

    #[test]
    fn a_sparkline_is_scaled_to_the_largest_value() {
        assert_eq!(sparkline(&[1.0, 4.0, 8.0]), "▂▅█");
        assert_eq!(sparkline(&[0.0, 0.0]), "▁▁");
    }
}
