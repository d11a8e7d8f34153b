//! The brake on mass expiry: when many instances fall silent at once, the fault is more likely between
//! them and this registry, and removing them all would make it an outage.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::RegistryOptions;

/// Decides whether silent instances are removed or held.
#[derive(Debug)]
pub(super) struct Brake {
    share: f64,
    min: usize,
    /// How long it holds at most; zero: never.
    window: Duration,
    ttl: Duration,
    /// Removals count together for this long: those of one cause are found by three checks, as the last
    /// heartbeats before it were up to a TTL apart.
    memory: Duration,
    /// While it holds: until when at most.
    until: Option<Instant>,
    /// An operator released it: it holds nobody until then.
    off_until: Option<Instant>,
    /// The silent instances that were removed lately, by time.
    removed: VecDeque<(Instant, usize)>,
    /// How many these are.
    removed_count: usize,
}

/// What happens to the silent instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Remove,
    /// The brake holds them until then.
    Hold(Instant),
    /// So many are still to be probed that it may yet hold.
    Wait,
}

/// Instances, as the brake counts them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) listed: usize,
    /// Those whose probes failed without being refused.
    pub(super) silent: usize,
    /// Those whose probes may yet fail.
    pub(super) undecided: usize,
}

impl Brake {
    pub(super) fn new(options: &RegistryOptions) -> Self {
        Self {
            share: options.brake_share,
            min: options.brake_min,
            window: options.brake_window,
            ttl: options.ttl,
            memory: options.ttl + 2 * options.check_interval,
            until: None,
            off_until: None,
            removed: VecDeque::new(),
            removed_count: 0,
        }
    }

    /// Until when it holds, if it does.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// What happens to the silent instances now.
    pub(super) fn verdict(&mut self, counts: Counts, now: Instant) -> Verdict {
        if let Some(until) = self.until {
            return Verdict::Hold(until);
        }
        while let Some((_, count)) = self.removed.pop_front_if(|(at, _)| *at + self.memory <= now) {
            self.removed_count -= count;
        }
        let all = counts.listed + self.removed_count;
        let going = counts.silent + self.removed_count;
        let is_mass = |going: usize| going >= self.min && going as f64 >= self.share * all as f64;
        let is_off = self.window.is_zero() || self.off_until.is_some_and(|until| now < until);
        if is_off || !is_mass(going + counts.undecided) {
            return Verdict::Remove;
        }
        // The last silent one may have beaten again.
        if counts.silent == 0 || !is_mass(going) {
            return Verdict::Wait;
        }
        let until = now + self.window;
        self.until = Some(until);
        Verdict::Hold(until)
    }

    /// A silent instance was removed.
    pub(super) fn count_removed(&mut self, now: Instant) {
        self.removed_count += 1;
        match self.removed.back_mut() {
            Some((at, count)) if *at == now => *count += 1,
            _ => self.removed.push_back((now, 1)),
        }
    }

    /// A pause of this process is no time that passed for the instances.
    pub(super) fn extend(&mut self, late: Duration, now: Instant) {
        self.until = self.until.map(|until| (until + late).min(now + self.window));
        self.removed.iter_mut().for_each(|(at, _)| *at = (*at + late).min(now));
    }

    /// The same on an operator's word, who does not want others to be held right after these.
    pub(super) fn release_by_operator(&mut self, now: Instant) {
        self.release();
        self.off_until = Some(now + self.ttl);
    }

    /// It holds no longer. What it held and is removed now starts no other brake.
    pub(super) fn release(&mut self) {
        self.until = None;
        self.removed.clear();
        self.removed_count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn brake() -> Brake {
        Brake::new(&RegistryOptions::default())
    }

    fn counts(listed: usize, silent: usize, undecided: usize) -> Counts {
        Counts { listed, silent, undecided }
    }

    #[test]
    fn it_holds_a_share_of_all_and_at_least_a_number() {
        let now = Instant::now();
        let hold = Verdict::Hold(now + 60 * SECOND);
        for (listed, silent, undecided, expected) in [
            (4, 4, 0, Verdict::Remove),
            (5, 5, 0, hold),
            (16, 5, 0, hold),
            (17, 5, 0, Verdict::Remove),
            (100, 29, 0, Verdict::Remove),
            (100, 30, 0, hold),
            (100, 29, 1, Verdict::Wait),
            (100, 0, 100, Verdict::Wait),
        ] {
            let found = brake().verdict(counts(listed, silent, undecided), now);
            assert_eq!(found, expected, "{silent} of {listed}, {undecided} undecided");
        }
    }

    #[test]
    fn those_removed_within_a_ttl_and_two_checks_count_together() {
        let start = Instant::now();
        let mut brake = brake();
        assert_eq!(brake.verdict(counts(100, 20, 0), start), Verdict::Remove);
        (0..20).for_each(|_| brake.count_removed(start));
        let later = start + 19 * SECOND;
        assert_eq!(brake.verdict(counts(80, 9, 0), later), Verdict::Remove);
        assert!(matches!(brake.verdict(counts(80, 10, 0), later), Verdict::Hold(_)));
        brake.release();
        assert_eq!(brake.verdict(counts(80, 10, 0), later), Verdict::Remove);
    }

    #[test]
    fn removals_of_before_that_do_not_count() {
        let start = Instant::now();
        let mut brake = brake();
        (0..20).for_each(|_| brake.count_removed(start));
        let later = start + 20 * SECOND;
        assert_eq!(brake.verdict(counts(80, 10, 0), later), Verdict::Remove);
    }

    #[test]
    fn released_by_an_operator_it_holds_nobody_for_a_ttl() {
        let start = Instant::now();
        let mut brake = brake();
        assert!(matches!(brake.verdict(counts(10, 10, 0), start), Verdict::Hold(_)));
        brake.release_by_operator(start);
        assert_eq!(brake.verdict(counts(10, 10, 0), start + 9 * SECOND), Verdict::Remove);
        let later = brake.verdict(counts(10, 10, 0), start + 10 * SECOND);
        assert_eq!(later, Verdict::Hold(start + 70 * SECOND));
    }

    #[test]
    fn a_window_of_zero_switches_it_off() {
        let options = RegistryOptions { brake_window: Duration::ZERO, ..Default::default() };
        let found = Brake::new(&options).verdict(counts(100, 100, 0), Instant::now());
        assert_eq!(found, Verdict::Remove);
    }

    #[test]
    fn a_pause_extends_it_by_as_much_but_never_beyond_its_window() {
        let start = Instant::now();
        let mut brake = brake();
        brake.verdict(counts(10, 10, 0), start);
        let now = start + 70 * SECOND;
        brake.extend(40 * SECOND, now);
        assert_eq!(brake.until(), Some(start + 100 * SECOND));
        brake.extend(1000 * SECOND, now);
        assert_eq!(brake.until(), Some(now + 60 * SECOND));
    }
}
