//! Rate and latency over time, in a bounded number of points.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::tally::{Tally, nanoseconds, small_histogram};
use crate::report::Point;

/// Maximum number of points; beyond it, pairs are merged and each point covers twice the time.
const MAX_POINTS: usize = 240;
/// Initial length of a point.
const WIDTH: Duration = Duration::from_secs(1);

/// Measurements by time.
#[derive(Debug)]
pub(super) struct Series {
    width: Duration,
    slots: Vec<Option<Slot>>,
}

#[derive(Debug)]
struct Slot {
    from: Duration,
    /// The part of its time that was measured.
    span: Duration,
    calls: u64,
    failed: u64,
    latency: Histogram<u32>,
}

impl Series {
    pub(super) fn new() -> Self {
        Self { width: WIDTH, slots: Vec::new() }
    }

    /// Adds the measurements between two times since the start of measuring.
    pub(super) fn add(&mut self, from: Duration, to: Duration, measured: &Tally) {
        let span = to.saturating_sub(from);
        let middle = from + span / 2;
        while self.slot_at(middle) >= MAX_POINTS {
            self.halve();
        }
        let index = self.slot_at(middle);
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        let Some(place) = self.slots.get_mut(index) else { return };
        let slot = place.get_or_insert_with(|| Slot::new(from));
        slot.span += span;
        slot.calls += measured.counts.calls;
        slot.failed += measured.counts.failed;
        for value in measured.latency.iter_recorded() {
            let count = u32::try_from(value.count_at_value()).unwrap_or(u32::MAX);
            slot.latency.saturating_record_n(value.value_iterated_to(), count);
        }
    }

    /// In order of time.
    pub(super) fn points(&self) -> Vec<Point> {
        self.slots.iter().flatten().map(Slot::point).collect()
    }

    fn slot_at(&self, time: Duration) -> usize {
        usize::try_from(time.as_nanos() / self.width.as_nanos()).unwrap_or(usize::MAX)
    }

    fn halve(&mut self) {
        self.width *= 2;
        let mut old = std::mem::take(&mut self.slots).into_iter();
        while let Some(first) = old.next() {
            let merged = match (first, old.next().flatten()) {
                (Some(first), Some(second)) => Some(first.merge(&second)),
                (one, other) => one.or(other),
            };
            self.slots.push(merged);
        }
    }
}

impl Slot {
    fn new(from: Duration) -> Self {
        let latency = small_histogram();
        Self { from, span: Duration::ZERO, calls: 0, failed: 0, latency }
    }

    fn merge(mut self, later: &Self) -> Self {
        self.span += later.span;
        self.calls += later.calls;
        self.failed += later.failed;
        // Histograms with the same bounds can always be merged.
        let _ = self.latency.add(&later.latency);
        self
    }

    fn point(&self) -> Point {
        let quantile = |q| nanoseconds(self.latency.value_at_quantile(q), &self.latency);
        let seconds = self.span.as_secs_f64();
        Point {
            at: self.from,
            span: self.span,
            calls: self.calls,
            failed: self.failed,
            rate: if seconds > 0.0 { self.calls as f64 / seconds } else { 0.0 },
            p50: quantile(0.5),
            p99: quantile(0.99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::caller::Outcome;
    use crate::engine::tally::Finished;

    fn measured(calls: u64, latency: Duration) -> Tally {
        let mut tally = Tally::new();
        for _ in 0..calls {
            let outcome = Outcome::default();
            let (behind, done) = (Duration::ZERO, Duration::ZERO);
            tally.record(Finished { latency, behind, done, in_time: true, outcome });
        }
        tally
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_second_is_one_point_even_if_collected_a_little_late() {
        let mut series = Series::new();
        for quarter in 0..8 {
            let (from, to) = (at(quarter * 250 + 1), at(quarter * 250 + 251));
            series.add(from, to, &measured(quarter + 1, at(quarter + 1)));
        }
        let points = series.points();
        assert_eq!(points.iter().map(|point| point.calls).collect::<Vec<_>>(), [10, 26]);
        assert_eq!((points[0].rate, points[1].rate), (10.0, 26.0));
        assert!(points[0].p99 >= at(4) && points[0].p99 < at(5), "{:?}", points[0]);
        assert!(points[1].p50 > at(5), "{:?}", points[1]);
    }

    #[test]
    fn however_long_it_takes_the_points_are_bounded_and_no_call_is_lost() {
        let mut series = Series::new();
        let one = measured(1, at(1));
        for second in 0..1000 {
            series.add(at(second * 1000), at(second * 1000 + 1000), &one);
        }
        let points = series.points();
        assert!(points.len() <= MAX_POINTS && points.len() > MAX_POINTS / 2, "{}", points.len());
        assert_eq!(points.iter().map(|point| point.calls).sum::<u64>(), 1000);
        assert!(points.iter().all(|point| (point.rate - 1.0).abs() < 1e-9));
        let far = Duration::from_secs(7 * 24 * 3600);
        series.add(far, far + at(1), &one);
        assert!(series.points().len() <= MAX_POINTS);
    }
}
