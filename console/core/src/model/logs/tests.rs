//! Log lines: order, limits, filters, search and following.

use rpc_wire::report::{Level, LogLine};
use tui_input::Input;

use super::*;
use crate::model::scroll::Step;

fn line(level: Level, text: &str) -> (LogLine, u64) {
    let line = LogLine {
        seq: 0,
        at_ms: 0,
        level,
        target: "t".to_owned(),
        message: text.to_owned(),
        fields: serde_json::Map::new(),
    };
    (line, 0)
}

fn numbered(count: usize) -> Logs {
    let mut logs = Logs::default();
    for n in 0..count {
        logs.push(&Source::Registry, vec![line(Level::Info, &n.to_string())]);
    }
    logs
}

fn search(logs: &mut Logs, text: &str) {
    logs.search = Input::new(text.to_owned());
    logs.restart_search();
}

#[test]
fn a_search_counts_and_steps_through_its_matches() {
    let mut logs = numbered(30);
    search(&mut logs, "1");
    logs.newest_match(5);
    assert_eq!(logs.match_counts(), (Some(12), 12), "1, 10 to 19, 21");
    search(&mut logs, "1x");
    assert_eq!(logs.match_counts().1, 0);
    search(&mut logs, "15");
    logs.newest_match(5);
    assert_eq!((logs.match_counts(), bottom(&logs)), ((Some(1), 1), "17"), "in the middle");
    logs.push(&Source::Registry, vec![line(Level::Info, "x15"), line(Level::Debug, "15")]);
    assert_eq!(logs.match_counts(), (Some(1), 2), "new lines are searched, hidden ones are not");
    assert_eq!(logs.next_match(1, 5), SearchStep::Found);
    assert_eq!(logs.get(logs.current_match.unwrap()).unwrap().text, "x15");
    assert_eq!(
        (logs.next_match(1, 5), logs.match_counts().0),
        (SearchStep::Found, Some(1)),
        "wrapped around"
    );
    logs.step_level(-1);
    assert_eq!(logs.match_counts().1, 3, "lines shown by a filter change are searched");
    search(&mut logs, "");
    assert_eq!((logs.next_match(1, 5), logs.current_match), (SearchStep::NoMatch, None));
}

#[test]
fn late_lines_of_another_source_are_sorted_by_time_down_to_a_marker() {
    let at = |at_ms: u64| (LogLine { at_ms, ..line(Level::Info, &at_ms.to_string()).0 }, 0);
    let texts = |logs: &Logs| -> Vec<String> {
        logs.lines().iter().map(|line| line.text.clone()).collect()
    };
    let mut logs = Logs::default();
    logs.push(&Source::Registry, vec![at(1), at(3), at(5)]);
    logs.push(&Source::Console, vec![at(2), at(4), at(6)]);
    assert_eq!(texts(&logs), ["1", "2", "3", "4", "5", "6"]);
    let numbers: Vec<u64> = logs.lines().iter().map(|line| line.seq).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
    logs.mark(6);
    logs.push(&Source::Console, vec![at(3)]);
    assert_eq!(texts(&logs)[6..], ["", "3"]);
    logs.toggle_follow();
    logs.push(&Source::Registry, vec![at(2)]);
    assert_eq!(texts(&logs).last().unwrap(), "2", "no sorting while the log is stopped");
}

fn bottom(logs: &Logs) -> &str {
    logs.upwards().next().map_or("", |line| &line.text)
}

#[test]
fn lines_must_pass_level_filter_and_source() {
    let mut logs = Logs::default();
    logs.push(&Source::Registry, vec![line(Level::Debug, "quiet"), line(Level::Warn, "Loud")]);
    logs.push(&Source::Console, vec![line(Level::Info, "loud too")]);
    assert_eq!(logs.counts(), (2, 3));
    logs.step_level(-1);
    assert_eq!(logs.counts(), (3, 3));
    logs.filter = Input::new("LOUD".to_owned());
    logs.refilter();
    assert_eq!(logs.counts(), (2, 3));
    logs.source = Some(Source::Console);
    logs.refilter();
    assert_eq!(bottom(&logs), "loud too");
}

#[test]
fn scrolling_up_stops_following_and_the_bottom_follows_again() {
    let mut logs = numbered(20);
    assert_eq!(bottom(&logs), "19");
    logs.step(Step::By(-1), 5);
    logs.push(&Source::Registry, vec![line(Level::Info, "new")]);
    assert_eq!((bottom(&logs), logs.below()), ("18", 2));
    logs.step(Step::First, 5);
    assert_eq!(bottom(&logs), "4", "the first page stays full");
    logs.step(Step::By(100), 5);
    assert_eq!((bottom(&logs), logs.bottom), ("new", None));
}

#[test]
fn a_stopped_log_stays_at_its_line() {
    let mut logs = numbered(3);
    logs.toggle_follow();
    logs.push(&Source::Registry, vec![line(Level::Info, "new")]);
    assert_eq!((bottom(&logs), logs.below()), ("2", 1));
    logs.toggle_follow();
    assert_eq!(bottom(&logs), "new");
}

#[test]
fn the_ring_drops_the_oldest_lines() {
    let mut logs = Logs { limit: 100, ..Logs::default() };
    for n in 0..110 {
        logs.push(&Source::Registry, vec![line(Level::Info, &n.to_string())]);
    }
    assert_eq!(logs.counts(), (100, 100));
    logs.step(Step::First, 1);
    assert_eq!(bottom(&logs), "10");
}

#[test]
fn filtering_in_slices_while_lines_arrive_finds_every_match() {
    let mut logs = Logs { limit: 50_000, ..Logs::default() };
    let text = |n: usize| format!("line {n} {}", if n.is_multiple_of(3) { "three" } else { "" });
    let add = |logs: &mut Logs, from: usize, count: usize| {
        let lines = (from..from + count).map(|n| line(Level::Info, &text(n))).collect();
        logs.push(&Source::Registry, lines);
    };
    add(&mut logs, 0, 50_000);
    logs.search = Input::new("7".to_owned());
    logs.filter = Input::new("three".to_owned());
    logs.refilter();
    assert_eq!((logs.counts().0, logs.unfiltered()), (6_667, 30_000), "the newest first");
    assert!(logs.is_searching());
    let found = logs.next_match(1, 5);
    assert_eq!(found, SearchStep::Pending, "older lines are not searched yet");
    let mut next = 50_000;
    while logs.has_pending_work() {
        add(&mut logs, next, 1_000);
        next += 1_000;
        logs.tick(5);
    }
    let expected: Vec<String> = (next - 50_000..next).map(text).collect();
    let expected: Vec<_> = expected.iter().filter(|text| text.contains("three")).collect();
    let lines = logs.lines();
    assert_eq!(lines.iter().map(|line| &line.text).collect::<Vec<_>>(), expected);
    let matches = expected.iter().filter(|text| text.contains('7')).count();
    assert_eq!(logs.match_counts().1, matches);
    assert_eq!(logs.next_match(1, 5), SearchStep::Found);
}

#[test]
fn long_lines_are_cut_and_the_oldest_are_dropped_beyond_the_limit_of_bytes() {
    let mut logs = Logs { max_bytes: 40 * 1024, ..Logs::default() };
    let huge = "é".repeat(1 << 20);
    for _ in 0..10 {
        logs.push(&Source::Registry, vec![line(Level::Info, &huge)]);
    }
    let lines = logs.lines();
    assert!((3..=5).contains(&lines.len()), "{}", lines.len());
    let text = &lines[0].text;
    assert!(text.len() <= MAX_LINE_BYTES + 3 && text.ends_with('…'));
    assert!(text.capacity() < 2 * MAX_LINE_BYTES, "{}", text.capacity());
}

#[test]
fn a_line_that_waits_takes_no_more_than_its_text() {
    let nested = serde_json::json!({"a": vec![serde_json::json!([]); 1 << 16], "b": "é"});
    let sent = LogLine {
        fields: nested.as_object().unwrap().clone(),
        target: "t".repeat(1 << 20),
        message: String::with_capacity(1 << 20),
        ..line(Level::Info, "").0
    };
    let kept = bounded(sent);
    assert!(kept.fields.is_empty() && kept.message.starts_with(" a=[[],[]"), "{kept:?}");
    let capacity = kept.message.capacity() + kept.target.capacity();
    assert!(capacity <= MAX_LINE_BYTES + MAX_TARGET_BYTES + 6, "{capacity}");
    let short =
        bounded(LogLine { message: String::with_capacity(1 << 20), ..line(Level::Info, "").0 });
    assert_eq!(
        (short.message.capacity(), size(&short)),
        (0, size_of::<Line>() + short.target.len())
    );
}

#[test]
fn sources_that_are_gone_are_forgotten_before_they_are_too_many() {
    let mut logs = Logs::default();
    for port in 1..=5_000 {
        let source = Source::Server(rpc_wire::instance::Instance::new("h", port).key());
        logs.set_source(source.clone(), SourceState::Lost("x".repeat(1 << 16)));
        logs.source_gone(&source);
    }
    assert!(logs.sources.len() <= 2_000, "{}", logs.sources.len());
    logs.set_source(Source::Registry, SourceState::Lost("x".repeat(1 << 20)));
    let SourceState::Lost(why) = &logs.sources[&Source::Registry] else { panic!("it is lost") };
    assert!(why.len() < 600, "{}", why.len());
}

fn filtered(logs: &mut Logs, text: &str) -> usize {
    logs.filter = Input::new(text.to_owned());
    logs.refilter();
    logs.counts().0
}

#[test]
fn a_filter_is_a_regex_its_negation_or_fuzzy() {
    let mut logs = numbered(30);
    assert_eq!(filtered(&mut logs, "^1.$"), 10);
    assert_eq!(filtered(&mut logs, "!^1.$"), 20);
    assert_eq!(filtered(&mut logs, "~29"), 1);
    assert_eq!(filtered(&mut logs, "[2"), 0, "not a regex: literally");
    filtered(&mut logs, "^4");
    logs.push(&Source::Registry, vec![line(Level::Info, "40"), line(Level::Info, "50")]);
    assert_eq!(logs.counts().0, 2, "new lines are filtered, too");
}

#[test]
fn a_search_is_a_regex() {
    let mut logs = numbered(30);
    search(&mut logs, "^1[5-7]$");
    assert_eq!(logs.match_counts().1, 3);
    assert_eq!(logs.searched().find("16"), Some(0..2));
}

#[test]
fn levels_that_no_source_sends_are_known() {
    let mut logs = numbered(3);
    assert!(!logs.lacks_verbose_lines(), "level info");
    logs.step_level(-1);
    assert!(logs.lacks_verbose_lines());
    logs.push(&Source::Registry, vec![line(Level::Debug, "fine")]);
    assert!(!logs.lacks_verbose_lines());
}
