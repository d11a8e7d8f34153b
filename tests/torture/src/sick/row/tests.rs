//! Rows of calls that are known.

use super::*;
use crate::callers::Attempt;
use crate::outcome::{Method, Why};

const MS: u64 = 1000;
const TIMES: Times = Times {
    well: 0,
    from: 2_000 * MS,
    sick: 2_000 * MS,
    to: 10_000 * MS,
    again: 10_000 * MS,
    end: 16_000 * MS,
    timeout: 1_000 * MS,
};
const SICK: u16 = 7;

/// Calls of 20 ms each 10 ms, read-only and not in turn, to three instances in turn, without the sick one while
/// it is.
fn called() -> Called {
    let mut called = Called::default();
    for id in 0..1600 {
        let due = id * 10 * MS;
        let method = if id % 2 == 0 { Method::LookFor } else { Method::RunFor };
        let is_sick = (TIMES.from..TIMES.to).contains(&due);
        let port = if id % 3 == 0 && !is_sick { SICK } else { 8 };
        called.outcomes.push(Outcome { id, method, due, took: 20 * MS, port, fate: Fate::Ok });
        called.attempts.push(Attempt { port, at: due });
    }
    called
}

fn failing(mut called: Called, method: Method, from: u64, count: usize) -> Called {
    let failing = called.outcomes.iter_mut().filter(|it| it.method == method && it.due >= from);
    for outcome in failing.take(count) {
        outcome.fate = Fate::Failed { why: Why::Timeout, may_have_run: true };
        outcome.port = SICK;
    }
    called
}

fn broken(called: &Called) -> Vec<String> {
    OpenRow::of(called, &TIMES, SICK, 3).broken()
}

#[test]
fn nothing_is_broken_where_only_the_calls_of_half_a_second_fail() {
    assert_eq!(broken(&called()), Vec::<String>::new());
    let row = OpenRow::of(&called(), &TIMES, SICK, 3);
    // 50 per second, a third of them, for half a second: 8.3, and 8.7 more by chance; 1 % of 375 afterwards.
    assert_eq!((row.calls, row.others_allowed), (1600, 20));
    let some = failing(called(), Method::RunFor, TIMES.from, 20);
    assert_eq!(broken(&some), Vec::<String>::new());
}

#[test]
fn each_broken_promise_of_an_open_loop_is_found() {
    let more = failing(called(), Method::RunFor, TIMES.from, 21);
    assert_eq!(broken(&more), ["21 other calls failed, more than 20"]);
    let read_only = failing(called(), Method::LookFor, TIMES.from, 1);
    assert_eq!(broken(&read_only), ["1 read-only calls failed"]);
    let mut hole = called();
    let late = (0..8).map(|n| Attempt { port: SICK, at: 2_500 * MS + n });
    hole.attempts.extend(late);
    assert_eq!(broken(&hole), ["1.1 % of the calls went there"]);
    let mut late = called();
    late.outcomes[700].took = 1_600 * MS;
    assert_eq!(broken(&late), ["1 calls took longer than their timeout"]);
    let mut away = called();
    for outcome in away.outcomes.iter_mut().filter(|it| it.due > TIMES.to) {
        outcome.port = 8;
    }
    let said = ["not back after its recovery", "well again, it gets 0.0 % of the calls"];
    assert_eq!(broken(&away), said);
}

#[test]
fn each_broken_promise_of_a_closed_loop_is_found() {
    let row = |called: &Called| ClosedRow::of(called, &TIMES, SICK);
    assert_eq!(row(&called()).broken(), Vec::<String>::new());
    let mut slower = called();
    slower.outcomes.retain(|it| it.due < TIMES.from + SETTLED || it.id % 2 == 0);
    assert_eq!(row(&slower).broken(), ["50 calls/s of 99 are left after 3 s"]);
    let failed = failing(called(), Method::LookFor, TIMES.from, 1);
    assert_eq!(row(&failed).broken(), ["1 calls failed in a closed loop"]);
    let mut late = called();
    late.outcomes.retain(|it| it.port != SICK || it.due < TIMES.to + 5_500 * MS);
    for outcome in late.outcomes.iter_mut().filter(|it| it.due >= TIMES.to && it.port == SICK) {
        outcome.due += 5_500 * MS;
    }
    assert_eq!(row(&late).broken(), ["back only 5.5 s after its recovery"]);
}
