//! Compares what callers were told with what was executed. Pure.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::outcome::{Fate, Outcome, Why};

/// Ids of calls that are named; the others are counted.
const NAMED: usize = 5;

/// What the comparison comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Calls made.
    pub calls: u64,
    /// Calls with a result.
    pub ok: u64,
    /// Calls that failed, by kind and by whether their error says that they may have run.
    pub failed: BTreeMap<(Why, bool), u64>,
    /// Calls whose caller was told nothing.
    pub untold: u64,
    /// Executions of calls that may be repeated, beyond the first.
    pub repeated: u64,
    /// Calls that ran twice and must not.
    pub twice: Ids,
    /// Calls with a result that never ran.
    pub never_run: Ids,
    /// Calls that ran although their error says that they did not.
    pub run_all_the_same: Ids,
    /// Executions of ids that nobody called.
    pub invented: u64,
}

/// How many calls, and some of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids {
    /// How many.
    pub count: u64,
    /// The first few.
    pub some: Vec<u64>,
}

impl Ids {
    fn add(&mut self, id: u64) {
        self.count += 1;
        if self.some.len() < NAMED {
            self.some.push(id);
        }
    }
}

/// Compares the outcomes of `calls` calls with how often each was executed; `None` if nobody counted.
pub fn judge(calls: u64, outcomes: &[Outcome], executions: Option<&HashMap<u64, u32>>) -> Verdict {
    let mut verdict = Verdict { calls, untold: calls, ..Verdict::default() };
    let mut known = 0;
    for outcome in outcomes {
        verdict.untold = verdict.untold.saturating_sub(1);
        let may_have_run = match outcome.fate {
            Fate::Ok => {
                verdict.ok += 1;
                true
            }
            Fate::Failed { why, may_have_run } => {
                *verdict.failed.entry((why, may_have_run)).or_default() += 1;
                may_have_run
            }
        };
        let Some(executions) = executions else { continue };
        let times = executions.get(&outcome.id).copied().unwrap_or(0);
        known += u64::from(times > 0);
        if times > 1 && outcome.method.may_repeat() {
            verdict.repeated += u64::from(times - 1);
        } else if times > 1 {
            verdict.twice.add(outcome.id);
        }
        if times == 0 && outcome.fate == Fate::Ok {
            verdict.never_run.add(outcome.id);
        }
        // One that is repeated may have run before the attempt that its error is about.
        if times > 0 && !may_have_run && !outcome.method.may_repeat() {
            verdict.run_all_the_same.add(outcome.id);
        }
    }
    let executed = executions.map_or(0, |executions| executions.len() as u64);
    verdict.invented = executed.saturating_sub(known + verdict.untold);
    verdict
}

impl Verdict {
    /// Calls that failed.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// What must never happen, whatever fails.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut must_not = |count: u64, some: &[u64], what: &str| {
            if count > 0 {
                broken.push(format!("{count} {what}{}", named(some)));
            }
        };
        must_not(self.untold, &[], "callers were told nothing");
        must_not(self.twice.count, &self.twice.some, "calls ran twice");
        must_not(self.never_run.count, &self.never_run.some, "calls with a result never ran");
        let ran = &self.run_all_the_same;
        must_not(ran.count, &ran.some, "calls ran whose error says that they did not");
        must_not(self.invented, &[], "executions that nobody called");
        broken
    }
}

fn named(ids: &[u64]) -> String {
    if ids.is_empty() { String::new() } else { format!(" ({ids:?} …)") }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>12}  calls", self.calls)?;
        writeln!(f, "{:>12}  failed", self.failures())?;
        for ((why, may_have_run), count) in &self.failed {
            let ran = if *may_have_run { "may have run" } else { "did not run" };
            writeln!(f, "{count:>12}    {why}; {ran}")?;
        }
        writeln!(f, "{:>12}  run twice", self.twice.count)?;
        writeln!(f, "{:>12}  repetitions of calls that may be", self.repeated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Method;

    fn outcome(id: u64, method: Method, fate: Fate) -> Outcome {
        Outcome { id, method, due: 0, took: 0, port: 1, fate }
    }

    const DID_NOT_RUN: Fate = Fate::Failed { why: Why::Refused, may_have_run: false };
    const MAY_HAVE_RUN: Fate = Fate::Failed { why: Why::Lost, may_have_run: true };

    #[test]
    fn nothing_is_wrong_where_all_were_told_what_happened() {
        let outcomes = [
            outcome(1, Method::Run, Fate::Ok),
            outcome(2, Method::Run, DID_NOT_RUN),
            outcome(3, Method::Run, MAY_HAVE_RUN),
            outcome(4, Method::RunFor, MAY_HAVE_RUN),
            outcome(5, Method::Put, Fate::Ok),
            outcome(6, Method::Look, DID_NOT_RUN),
        ];
        let executions = HashMap::from([(1, 1), (3, 1), (5, 2), (6, 3)]);
        let verdict = judge(6, &outcomes, Some(&executions));
        assert_eq!(verdict.broken(), Vec::<String>::new());
        assert_eq!((verdict.ok, verdict.failures(), verdict.repeated), (2, 4, 3));
        assert_eq!(verdict.failed[&(Why::Lost, true)], 2);
    }

    #[test]
    fn each_broken_promise_is_found() {
        for (outcomes, executed, broken) in [
            (vec![], vec![], "1 callers were told nothing"),
            (vec![outcome(1, Method::Run, Fate::Ok)], vec![(1, 2)], "1 calls ran twice"),
            (vec![outcome(1, Method::Put, Fate::Ok)], vec![], "1 calls with a result never ran"),
            (
                vec![outcome(1, Method::RunFor, DID_NOT_RUN)],
                vec![(1, 1)],
                "1 calls ran whose error says that they did not",
            ),
            (
                vec![outcome(1, Method::Run, Fate::Ok)],
                vec![(1, 1), (2, 1)],
                "1 executions that nobody called",
            ),
        ] {
            let verdict = judge(1, &outcomes, Some(&HashMap::from_iter(executed)));
            let said = verdict.broken();
            assert!(said.len() == 1 && said[0].starts_with(broken), "{said:?}, not {broken}");
        }
    }

    #[test]
    fn where_nobody_counts_executions_only_what_callers_were_told_is_judged() {
        let verdict = judge(1, &[outcome(1, Method::Run, Fate::Ok)], None);
        assert_eq!(verdict.broken(), Vec::<String>::new());
    }
}
