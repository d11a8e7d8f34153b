//! A latency distribution as a few bars, for display.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::report::Bar;

/// Maximum number of bars.
const BARS: usize = 16;

/// The distribution as at most 16 bars, each wider than the previous one by the same factor, from
/// the fastest call to the slowest.
pub(super) fn bars(latency: &Histogram<u64>) -> Vec<Bar> {
    if latency.is_empty() {
        return Vec::new();
    }
    let bounds = bounds(latency.min().max(1), latency.max().max(1));
    let mut counts = vec![0; bounds.len()];
    for value in latency.iter_recorded() {
        let bar = bounds.partition_point(|bound| *bound < value.value_iterated_to());
        if let Some(count) = counts.get_mut(bar.min(bounds.len() - 1)) {
            *count += value.count_at_value();
        }
    }
    let bar = |(bound, count)| Bar { up_to: Duration::from_nanos(bound), count };
    bounds.into_iter().zip(counts).map(bar).collect()
}

/// Upper bounds with two significant digits, ascending; the last is at least `max`.
fn bounds(min: u64, max: u64) -> Vec<u64> {
    // Below a factor of 1.1, rounding to two digits would make the widths uneven.
    let factor = (max as f64 / min as f64).powf(1.0 / BARS as f64).max(1.1);
    let mut bounds: Vec<u64> = Vec::with_capacity(BARS);
    let mut bound = min as f64;
    while bounds.last().is_none_or(|last| *last < max) && bounds.len() < BARS {
        bound = (bound * factor).min(max as f64);
        let rounded = two_digits(bound);
        if bounds.last() != Some(&rounded) {
            bounds.push(rounded);
        }
    }
    if let Some(last) = bounds.last_mut() {
        *last = (*last).max(two_digits(max as f64));
    }
    bounds
}

/// Rounded up to two significant digits.
fn two_digits(value: f64) -> u64 {
    let mut unit = 1;
    while value / unit as f64 > 100.0 {
        unit *= 10;
    }
    (value / unit as f64).ceil() as u64 * unit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tally;
    use proptest::prelude::*;

    #[test]
    fn bounds_have_two_digits() {
        assert_eq!(two_digits(123_456.0), 130_000);
        assert_eq!(two_digits(99.5), 100);
        assert_eq!(bounds(1000, 1000), [1000]);
        let wide = bounds(15_000, 20_000_000);
        assert_eq!((wide.len(), wide[0], wide[15]), (16, 24_000, 20_000_000));
    }

    #[test]
    fn an_empty_histogram_has_no_bars() {
        assert_eq!(bars(&tally::histogram()), []);
    }

    proptest! {
        #[test]
        fn every_call_is_in_one_bar(values in prop::collection::vec(0u64..4_000_000_000_000, 1..50)) {
            let mut latency = tally::histogram();
            for value in &values {
                latency.saturating_record(*value);
            }
            let bars = bars(&latency);
            prop_assert!(bars.len() <= BARS);
            prop_assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), values.len() as u64);
            prop_assert!(bars.windows(2).all(|pair| pair[0].up_to < pair[1].up_to));
        }
    }
}
