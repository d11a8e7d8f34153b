//! Incarnations: numbers that order the lives of a server at one address.
//!
//! An incarnation is the time of the start, to the millisecond, and a random part: a later start has a
//! higher one, and two starts within a millisecond differ. It fits into 53 bits, which every JSON reader
//! represents exactly.
//!
//! ```text
//! seconds since 1970 × 2^20  +  milliseconds × 2^10  +  random (10 bits)
//! ```

use std::time::Duration;

/// The highest incarnation.
pub const MAX_INCARNATION: u64 = (1 << 53) - 1;

/// The incarnation of a server that starts at this time; ten bits of `random` count.
pub fn incarnation(since_1970: Duration, random: u64) -> u64 {
    first_incarnation(since_1970) | (random & 0x3ff)
}

/// The lowest incarnation of the servers that start at this time.
pub fn first_incarnation(since_1970: Duration) -> u64 {
    let (seconds, millis) = (since_1970.as_secs(), u64::from(since_1970.subsec_millis()));
    // 33 bits of seconds last until 2242.
    (seconds.min(0x1_ffff_ffff) << 20) | (millis << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_start_has_a_higher_incarnation_whatever_its_random_part() {
        let start = Duration::from_millis(1_796_000_000_000);
        for millis in [1, 999, 1000, 1001, 86_400_000] {
            let later = start + Duration::from_millis(millis);
            assert!(incarnation(start, u64::MAX) < incarnation(later, 0), "{millis} ms");
        }
        assert_ne!(incarnation(start, 1), incarnation(start, 2));
    }

    #[test]
    fn an_incarnation_is_exact_in_every_json_reader() {
        for at in [Duration::ZERO, Duration::from_secs(1 << 32), Duration::MAX] {
            assert!(incarnation(at, u64::MAX) <= MAX_INCARNATION);
        }
    }

    /// Version 0.1 wrote seconds × 2^20 and twenty random bits.
    #[test]
    fn a_server_of_an_earlier_version_that_started_in_another_second_is_ordered_with_it() {
        let old = |seconds: u64| (seconds << 20) | 0xf_ffff;
        let start = Duration::new(1_796_000_000, 0);
        assert!(old(start.as_secs() - 1) < incarnation(start, 0));
        assert!(incarnation(start, u64::MAX) < (start.as_secs() + 1) << 20);
    }
}
