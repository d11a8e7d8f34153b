//! Which of several instances gets a call: pure, the random generator is passed in.

use rand::{Rng, RngExt};

use crate::Balance;

/// What a choice is made from.
pub(crate) struct Choice<'a, L> {
    /// How many instances there are.
    pub(crate) count: usize,
    /// Running totals of the weights, one per instance.
    pub(crate) weights: &'a [u64],
    /// Counts up with every call.
    pub(crate) turn: usize,
    /// What a call to the instance with that index would cost.
    pub(crate) cost: L,
}

impl<L: Fn(usize) -> u64> Choice<'_, L> {
    /// The index of the instance to call; `None` if there is none.
    pub(crate) fn choose(&self, policy: Balance, rng: &mut (impl Rng + ?Sized)) -> Option<usize> {
        match self.count {
            0 => return None,
            1 => return Some(0),
            _ => {}
        }
        Some(match policy {
            Balance::Random => rng.random_range(0..self.count),
            Balance::RoundRobin => self.turn % self.count,
            Balance::WeightedRandom => self.weighted(rng),
            Balance::LeastInFlight => {
                let first = rng.random_range(0..self.count);
                // Another one: the offset never leads back to the first.
                let second = (first + rng.random_range(1..self.count)) % self.count;
                if (self.cost)(second) < (self.cost)(first) { second } else { first }
            }
        })
    }

    fn weighted(&self, rng: &mut (impl Rng + ?Sized)) -> usize {
        match self.weights.last() {
            None | Some(0) => rng.random_range(0..self.count),
            Some(&total) => {
                let point = rng.random_range(0..total);
                self.weights.partition_point(|&below| below <= point).min(self.count - 1)
            }
        }
    }
}

/// Running totals of `weights`.
pub(crate) fn running_totals(weights: impl Iterator<Item = u16>) -> Vec<u64> {
    weights
        .scan(0, |total, weight| {
            *total += u64::from(weight);
            Some(*total)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    fn shares(policy: Balance, weights: &[u16], costs: &[u64]) -> Vec<usize> {
        let totals = running_totals(weights.iter().copied());
        let mut rng = SmallRng::seed_from_u64(7);
        let mut shares = vec![0; weights.len()];
        for turn in 0..12_000 {
            let cost = |index: usize| costs[index];
            let choice = Choice { count: weights.len(), weights: &totals, turn, cost };
            shares[choice.choose(policy, &mut rng).unwrap()] += 1;
        }
        shares
    }

    fn close_to(shares: &[usize], expected: &[usize]) {
        for (share, expected) in shares.iter().zip(expected) {
            assert!(share.abs_diff(*expected) < 400, "{shares:?}");
        }
    }

    #[test]
    fn round_robin_is_fair_to_the_call() {
        assert_eq!(shares(Balance::RoundRobin, &[1; 3], &[0; 3]), [4000; 3]);
    }

    #[test]
    fn random_is_fair_in_the_long_run() {
        close_to(&shares(Balance::Random, &[1; 3], &[0; 3]), &[4000; 3]);
    }

    #[test]
    fn weights_are_chances_and_zero_means_none() {
        close_to(&shares(Balance::WeightedRandom, &[1, 0, 3], &[0; 3]), &[3000, 0, 9000]);
        assert_eq!(shares(Balance::WeightedRandom, &[1, 0, 3], &[0; 3])[1], 0);
    }

    #[test]
    fn when_all_weights_are_zero_all_are_equal() {
        close_to(&shares(Balance::WeightedRandom, &[0; 3], &[0; 3]), &[4000; 3]);
    }

    #[test]
    fn the_costliest_of_all_is_never_chosen_by_power_of_two() {
        let shares = shares(Balance::LeastInFlight, &[1; 3], &[5, 9, 1]);
        assert_eq!(shares[1], 0);
        close_to(&shares, &[4000, 0, 8000]);
    }

    proptest! {
        #[test]
        fn a_choice_is_always_an_existing_instance(
            weights in prop::collection::vec(any::<u16>(), 0..20),
            turn in any::<usize>(), seed in any::<u64>(), policy in 0usize..4,
        ) {
            let totals = running_totals(weights.iter().copied());
            let cost = |index: usize| u64::from(weights[index]);
            let choice = Choice { count: weights.len(), weights: &totals, turn, cost };
            let chosen = choice.choose(Balance::ALL[policy].1, &mut SmallRng::seed_from_u64(seed));
            match chosen {
                None => prop_assert!(weights.is_empty()),
                Some(index) => {
                    prop_assert!(index < weights.len());
                    if policy == 2 && weights.iter().any(|weight| *weight > 0) && weights.len() > 1 {
                        prop_assert!(weights[index] > 0);
                    }
                }
            }
        }
    }
}
