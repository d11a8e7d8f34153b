//! The bodies that are arriving: bounded in sum by ending the connections whose bodies have been arriving
//! for the longest time.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// A smaller body has room in the buffer that its connection has anyway.
const SMALL: usize = 4 * 1024;

/// The bodies of all connections. None is refused: an honest sender's is whole soon, so that those which
/// are never whole make room.
#[derive(Debug)]
pub(super) struct Arriving {
    max_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: usize,
    last: u64,
    /// In the order in which they began.
    bodies: BTreeMap<u64, Body>,
}

#[derive(Debug)]
struct Body {
    bytes: usize,
    /// Ends its connection.
    cut: CancellationToken,
}

/// The room of one body until it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    arriving: &'a Arriving,
    /// `None` for a small body.
    number: Option<u64>,
}

impl Arriving {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, state: Mutex::default() }
    }

    /// Room for a body of at most that many bytes, whose connection `cut` ends.
    pub(super) fn enter(&self, bytes: usize, cut: &CancellationToken) -> Place<'_> {
        if bytes <= SMALL {
            return Place { arriving: self, number: None };
        }
        let mut ended = Vec::new();
        let mut state = self.lock();
        while state.bytes + bytes > self.max_bytes
            && let Some((_, oldest)) = state.bodies.pop_first()
        {
            state.bytes -= oldest.bytes;
            ended.push(oldest.cut);
        }
        state.bytes += bytes;
        state.last += 1;
        let number = state.last;
        state.bodies.insert(number, Body { bytes, cut: cut.clone() });
        drop(state);
        // Outside the lock: a waker runs foreign code.
        ended.iter().for_each(CancellationToken::cancel);
        Place { arriving: self, number: Some(number) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code in here panics halfway through a change, so a poisoned state is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.arriving.lock();
        if let Some(body) = state.bodies.remove(&number) {
            state.bytes -= body.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_that_has_been_arriving_longest_makes_room_for_the_next_one() {
        let arriving = Arriving::new(100 * 1024);
        let cuts = [(); 4].map(|()| CancellationToken::new());
        let [first, second, third, small] = &cuts;
        let _first = arriving.enter(40 * 1024, first);
        let second_place = arriving.enter(40 * 1024, second);
        let _small = arriving.enter(SMALL, small);
        assert!(!first.is_cancelled());
        let _third = arriving.enter(40 * 1024, third);
        assert_eq!(
            cuts.each_ref().map(CancellationToken::is_cancelled),
            [true, false, false, false]
        );
        drop(second_place);
        assert_eq!(arriving.lock().bytes, 40 * 1024);
    }

    #[test]
    fn one_that_is_larger_than_all_room_ends_the_others_and_arrives() {
        let arriving = Arriving::new(10 * 1024);
        let (first, large) = (CancellationToken::new(), CancellationToken::new());
        let _first = arriving.enter(8 * 1024, &first);
        let place = arriving.enter(20 * 1024, &large);
        assert!(first.is_cancelled() && !large.is_cancelled());
        drop(place);
        assert_eq!(arriving.lock().bytes, 0);
    }
}
