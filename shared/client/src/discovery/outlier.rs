//! Whether an instance fails, or is slow, where others are not: pure, from what was counted.

use std::time::Duration;

use tokio::time::Instant;

use crate::pool::{Load, Sample};
use crate::{EjectionOptions, Rounded};

/// A failure rate stands out from that of others if the difference has this many standard errors. With fewer,
/// a method that fails half of the time everywhere would have an instance ejected every few seconds: so long is
/// a row of failures that comes by chance.
const STANDARD_ERRORS: f64 = 4.0;
/// An instance in its slow start is given fewer chances: it failed before.
const FAILURES_IN_SLOW_START: u32 = 2;
/// The same for calls that are slow.
const CALLS_IN_SLOW_START: u32 = 3;

/// Calls of an instance that failed more often than allowed, if others did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failing {
    sample: Sample,
    /// All of them failed, one after the other.
    is_in_a_row: bool,
}

impl Failing {
    /// The calls that speak against an instance: its last ones failed, all of them, or too many of the latest.
    /// The latest are those of the last second, of the last two, and so on: one that begins to fail must not be
    /// covered by how well it was before.
    pub(super) fn of(
        load: &Load,
        is_in_slow_start: bool,
        now: Instant,
        options: &EjectionOptions,
    ) -> Option<Self> {
        let in_a_row = load.failures_in_a_row();
        let limit = options.max_consecutive_failures.max(1);
        let limit = if is_in_slow_start { limit.min(FAILURES_IN_SLOW_START) } else { limit };
        if in_a_row >= limit {
            let calls = u64::from(in_a_row);
            let sample = Sample { calls, failures: calls };
            return Some(Self { sample, is_in_a_row: true });
        }
        let mut sums = load.latest(now).scan(Sample::default(), |sum, (sample, _)| {
            *sum = sum.plus(sample);
            Some(*sum)
        });
        let is_too_many = |sum: &Sample| {
            sum.calls >= u64::from(options.min_calls.max(1))
                && rate(*sum) >= options.max_failure_ratio
        };
        let sample = sums.find(is_too_many)?;
        Some(Self { sample, is_in_a_row: false })
    }

    /// Whether others fare so much better that it is not the calls. Without calls of others only failures
    /// count that no caller can cause.
    pub(super) fn stands_out(self, others: Sample, is_its_fault: bool) -> bool {
        if others.calls == 0 {
            return is_its_fault;
        }
        // As if one more had failed and one more had not, so that a few calls without a failure prove little.
        let usual = (others.failures + 1) as f64 / (others.calls + 2) as f64;
        let spread = 1.0 / self.sample.calls as f64 + 1.0 / others.calls as f64;
        let error = (usual * (1.0 - usual) * spread).sqrt();
        rate(self.sample) - usual > STANDARD_ERRORS * error
    }

    /// For people.
    pub(super) fn describe(self, others: Sample) -> String {
        let Sample { calls, failures } = self.sample;
        let others = match others.calls {
            0 => String::new(),
            calls => format!(", of the others' {} of {calls}", others.failures),
        };
        if self.is_in_a_row {
            return format!("its last {failures} calls failed{others}");
        }
        format!("{failures} of its latest {calls} calls failed{others}")
    }
}

fn rate(sample: Sample) -> f64 {
    sample.failures as f64 / (sample.calls as f64).max(1.0)
}

/// The outcomes of all calls that are remembered.
pub(super) fn outcomes(load: &Load, now: Instant) -> Sample {
    load.latest(now).fold(Sample::default(), |sum, (sample, _)| sum.plus(sample))
}

/// How long the fastest of the latest calls took, if there were enough of them. The usual latency is no measure:
/// one call of a slow method would make a healthy instance ten times slower than the others.
pub(super) fn fastest(
    load: &Load,
    is_in_slow_start: bool,
    now: Instant,
    options: &EjectionOptions,
) -> Option<Duration> {
    let enough = options.min_calls.max(1);
    let enough = if is_in_slow_start { enough.min(CALLS_IN_SLOW_START) } else { enough };
    let mut calls = 0;
    let mut fastest = u64::MAX;
    for (sample, part) in load.latest(now) {
        calls += sample.calls;
        fastest = fastest.min(part.unwrap_or(u64::MAX));
        if calls >= u64::from(enough) && fastest < u64::MAX {
            return Some(Duration::from_micros(fastest));
        }
    }
    None
}

/// Why an instance whose latest calls took at least `own` is too slow, if it is, beside those of the others.
pub(super) fn too_slow(
    own: Duration,
    others: &mut [Duration],
    options: &EjectionOptions,
) -> Option<String> {
    others.sort_unstable();
    let usual = *others.get(others.len() / 2)?;
    let factor = options.max_latency_factor;
    let is_slow = factor > 0.0 && own.as_secs_f64() >= factor * usual.as_secs_f64();
    is_slow.then(|| {
        let (own, usual) = (Rounded(own), Rounded(usual));
        format!("its latest calls took at least {own}, those of the others {usual}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loads<const N: usize>() -> (Instant, [Load; N]) {
        let epoch = Instant::now();
        (epoch, std::array::from_fn(|_| Load::new(epoch, Duration::from_secs(10))))
    }

    fn call(load: &Load, fails: bool, now: Instant) {
        if fails { load.failed(now) } else { load.succeeded(Duration::from_millis(1), now) }
    }

    fn is_outlier(own: &Load, others: &[&Load], is_its_fault: bool, now: Instant) -> bool {
        let others = others.iter().map(|load| outcomes(load, now));
        let others = others.fold(Sample::default(), Sample::plus);
        Failing::of(own, false, now, &EjectionOptions::default())
            .is_some_and(|failing| failing.stands_out(others, is_its_fault))
    }

    #[test]
    fn one_that_fails_every_time_stands_out_after_a_few_calls() {
        let (now, [bad, good]) = loads();
        for calls in 1.. {
            call(&bad, true, now);
            call(&good, false, now);
            call(&good, false, now);
            if is_outlier(&bad, &[&good], false, now) {
                assert_eq!(calls, 5);
                break;
            }
        }
        assert!(!is_outlier(&good, &[&bad], false, now));
    }

    #[test]
    fn one_that_begins_to_fail_half_of_the_time_stands_out_within_a_second_or_two() {
        let (epoch, [bad, good]) = loads();
        for tick in 0..600 {
            let now = epoch + Duration::from_millis(20 * tick);
            call(&good, false, now);
            call(&bad, tick > 450 && tick % 2 == 0, now);
            if is_outlier(&bad, &[&good], false, now) {
                assert!((450..550).contains(&tick), "at call {tick}");
                return;
            }
        }
        panic!("it was never found");
    }

    #[test]
    fn a_method_that_fails_everywhere_makes_nobody_stand_out() {
        let (epoch, [one, two, three]) = loads();
        for tick in 0..3000u32 {
            let now = epoch + Duration::from_millis(u64::from(tick));
            for (index, load) in [&one, &two, &three].into_iter().enumerate() {
                // Four of seven fail, not on all of them at the same time.
                call(load, (tick + 3 * index as u32) % 7 < 4, now);
                assert!(!is_outlier(&one, &[&two, &three], true, now), "at call {tick}");
            }
        }
    }

    #[test]
    fn without_others_only_what_no_caller_can_cause_counts() {
        let (now, [alone]) = loads();
        (0..20).for_each(|_| call(&alone, true, now));
        assert!(is_outlier(&alone, &[], true, now));
        assert!(!is_outlier(&alone, &[], false, now));
    }

    #[test]
    fn the_fastest_of_enough_calls_is_compared_so_that_one_slow_method_is_no_sign() {
        let (now, [slow, mixed, few]) = loads();
        let options = EjectionOptions::default();
        for call in 0..10 {
            slow.succeeded(Duration::from_millis(200 + call), now);
            mixed.succeeded(Duration::from_millis(if call == 0 { 20 } else { 2000 }), now);
        }
        (0..9).for_each(|_| few.succeeded(Duration::from_millis(1), now));
        let fastest = |load| super::fastest(load, false, now, &options);
        assert_eq!(fastest(&slow), Some(Duration::from_millis(200)));
        assert_eq!(fastest(&mixed), Some(Duration::from_millis(20)));
        assert_eq!(fastest(&few), None);
        // It was slow before it came back.
        let again = super::fastest(&few, true, now, &options);
        assert_eq!(again, Some(Duration::from_millis(1)));
        let ms = Duration::from_millis;
        assert!(too_slow(ms(200), &mut [ms(20)], &options).is_some());
        assert!(too_slow(ms(199), &mut [ms(20)], &options).is_none());
        assert!(too_slow(ms(200), &mut [ms(1), ms(30), ms(21)], &options).is_none());
        assert!(too_slow(ms(200), &mut [], &options).is_none());
    }
}
