//! Log lines of every source in one bounded ring, and which of them the filter lets through.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rpc_wire::report::{Level, LogLine};
use tui_input::Input;

use super::scroll::Step;
use crate::message::{Source, SourceState};
use crate::text::Needle;

/// How many lines are kept unless the settings say otherwise.
pub const DEFAULT_LINES: usize = 100_000;
/// How long a line may be; the rest is cut.
pub const MAX_LINE_BYTES: usize = 8 * 1024;

/// How many lines are searched before the screen is looked at again.
const SLICE: usize = 20_000;
/// How many lines are sorted by time again when older ones arrive late.
const MAX_SORTED: usize = 5_000;

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Counts every line ever seen; its identity.
    pub seq: u64,
    /// Whose.
    pub source: Source,
    /// Local wall time, milliseconds.
    pub wall_ms: u64,
    /// Severity.
    pub level: Level,
    /// The part of the program that speaks.
    pub target: String,
    /// Message and fields, as they came.
    pub text: String,
    /// Lines of this source lost just before.
    pub dropped: u64,
    /// A mark made by the person, not a line of a log.
    pub mark: bool,
}

impl Line {
    /// Whether it contains the text searched.
    pub fn contains(&self, needle: &Needle) -> bool {
        !self.mark && (needle.is_in(&self.text) || needle.is_in(&self.target))
    }
}

/// The log view.
#[derive(Debug)]
pub struct Logs {
    ring: VecDeque<Arc<Line>>,
    /// Sequence numbers of the lines that pass the filters, ascending.
    shown: VecDeque<u64>,
    /// Those of them that contain what is searched, ascending.
    hits: VecDeque<u64>,
    /// What `hits` contain.
    searched: String,
    /// How many of the oldest lines shown are yet to be searched: it goes on slice by slice.
    unsearched: usize,
    /// Whether the first hit found shall be gone to.
    seeking: bool,
    next_seq: u64,
    /// How many lines are kept; the oldest go first.
    pub limit: usize,
    /// The least severe level shown.
    pub level: Level,
    /// The only source shown, or all of them.
    pub source: Option<Source>,
    /// What lines must contain.
    pub filter: Input,
    /// What is searched in the lines shown.
    pub search: Input,
    /// Whether the search is what is being typed, not the filter.
    pub searching: bool,
    /// The hit that was last gone to.
    pub hit: Option<u64>,
    /// The state of each source.
    pub sources: BTreeMap<Source, SourceState>,
    /// The line at the bottom; `None` follows the newest.
    pub bottom: Option<u64>,
    /// Whether long lines are wrapped.
    pub wrap: bool,
    /// Whether the time is shown.
    pub time: bool,
    /// Lines lost before they reached us, of all sources.
    pub dropped: u64,
    /// Milliseconds to add to a line's time to get local time.
    pub shift_ms: i64,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            ring: VecDeque::new(),
            shown: VecDeque::new(),
            hits: VecDeque::new(),
            searched: String::new(),
            unsearched: 0,
            seeking: false,
            next_seq: 0,
            limit: DEFAULT_LINES,
            level: Level::Info,
            source: None,
            filter: Input::default(),
            search: Input::default(),
            searching: false,
            hit: None,
            sources: BTreeMap::new(),
            bottom: None,
            wrap: false,
            time: true,
            dropped: 0,
            shift_ms: 0,
        }
    }
}

impl Logs {
    /// Adds lines of `source`. While the newest line is followed, older lines of another source
    /// that arrive late (the first ones do) are put where their time says.
    pub fn push(&mut self, source: &Source, lines: Vec<(LogLine, u64)>) {
        let first = lines.first().map(|(line, _)| self.local(line.at_ms));
        let newer = first.map_or_else(Vec::new, |first| self.take_newer(first));
        let sorts = !newer.is_empty();
        let mut arrived = newer;
        for (line, dropped) in lines {
            let mut text = line.text();
            cut(&mut text);
            let wall_ms = self.local(line.at_ms);
            self.dropped += dropped;
            arrived.push(Line {
                seq: 0,
                source: source.clone(),
                wall_ms,
                level: line.level,
                target: line.target,
                text,
                dropped,
                mark: false,
            });
        }
        if sorts {
            // Stable: lines of one source keep their order.
            arrived.sort_by_key(|line| line.wall_ms);
        }
        let (filter, search) = (self.needle(), Needle::new(&self.searched));
        for line in arrived {
            self.add(line, &filter, &search);
        }
    }

    fn local(&self, at_ms: u64) -> u64 {
        at_ms.saturating_add_signed(self.shift_ms)
    }

    /// Takes the lines newer than `wall_ms` off the end again: a few, no mark, and only while
    /// nobody looks at one of them.
    fn take_newer(&mut self, wall_ms: u64) -> Vec<Line> {
        if self.bottom.is_some() {
            return Vec::new();
        }
        let newer = self.ring.iter().rev().take(MAX_SORTED);
        let count = newer.take_while(|line| !line.mark && line.wall_ms > wall_ms).count();
        let taken = self.ring.split_off(self.ring.len() - count);
        self.next_seq -= u64::try_from(count).unwrap_or(0);
        for list in [&mut self.shown, &mut self.hits] {
            list.truncate(list.partition_point(|seq| *seq < self.next_seq));
        }
        self.unsearched = self.unsearched.min(self.shown.len());
        taken.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// Draws a line under what is there.
    pub fn mark(&mut self, wall_ms: u64) {
        let mark = Line {
            seq: 0,
            source: Source::Console,
            wall_ms,
            level: Level::Error,
            target: String::new(),
            text: String::new(),
            dropped: 0,
            mark: true,
        };
        self.add(mark, &self.needle(), &Needle::new(""));
    }

    fn add(&mut self, mut line: Line, filter: &Needle, search: &Needle) {
        line.seq = self.next_seq;
        self.next_seq += 1;
        if self.passes(&line, filter) {
            self.shown.push_back(line.seq);
            if !self.searched.is_empty() && line.contains(search) {
                self.hits.push_back(line.seq);
            }
        }
        self.ring.push_back(Arc::new(line));
        if self.ring.len() > self.limit.max(1) {
            self.ring.pop_front();
        }
        let oldest = self.ring.front().map_or(self.next_seq, |line| line.seq);
        while self.shown.front().is_some_and(|seq| *seq < oldest) {
            self.shown.pop_front();
            self.unsearched = self.unsearched.saturating_sub(1);
        }
        while self.hits.front().is_some_and(|seq| *seq < oldest) {
            self.hits.pop_front();
        }
    }

    fn needle(&self) -> Needle {
        Needle::new(self.filter.value())
    }

    fn passes(&self, line: &Line, needle: &Needle) -> bool {
        line.mark
            || line.level >= self.level
                && self.source.as_ref().is_none_or(|source| *source == line.source)
                && (needle.is_in(&line.text) || needle.is_in(&line.target))
    }

    /// To be called when what is searched changed.
    pub fn search_again(&mut self) {
        self.searched = self.search.value().to_lowercase();
        self.hits.clear();
        self.hit = None;
        self.seeking = false;
        self.unsearched = if self.searched.is_empty() { 0 } else { self.shown.len() };
        self.search_on();
    }

    /// Searches one more slice, from the newest lines to the oldest.
    pub fn search_on(&mut self) {
        let needle = Needle::new(&self.searched);
        let from = self.unsearched.saturating_sub(SLICE);
        for at in (from..self.unsearched).rev() {
            let Some(seq) = self.shown.get(at).copied() else { continue };
            if self.get(seq).is_some_and(|line| line.contains(&needle)) {
                self.hits.push_front(seq);
            }
        }
        self.unsearched = from;
    }

    /// Whether lines are yet to be searched.
    pub fn is_searching(&self) -> bool {
        self.unsearched > 0
    }

    /// How many lines contain what is searched, and which of them was gone to, from 1.
    pub fn hit_counts(&self) -> (Option<usize>, usize) {
        let at = self.hit.and_then(|hit| self.hits.binary_search(&hit).ok());
        (at.map(|at| at + 1), self.hits.len())
    }

    /// To the newest hit that is not below the bottom of the screen.
    pub fn newest_hit(&mut self, height: usize) {
        let bottom = self.bottom.unwrap_or(u64::MAX);
        let at = self.hits.partition_point(|seq| *seq <= bottom);
        let found = at.checked_sub(1).and_then(|at| self.hits.get(at)).or(self.hits.front());
        self.seeking = found.is_none() && self.is_searching();
        if let Some(seq) = found.copied() {
            self.show(seq, height);
        }
    }

    /// Goes on with a search under way, and to its first hit if that is wanted.
    pub fn pass(&mut self, height: usize) {
        if self.is_searching() {
            self.search_on();
            if self.seeking {
                self.newest_hit(height);
            }
        }
    }

    /// To the next hit below (`1`) or above (`-1`), around at the ends. Whether there is any.
    pub fn next_hit(&mut self, by: isize, height: usize) -> bool {
        let from = self.hit.or(self.bottom).unwrap_or(u64::MAX);
        while self.is_searching() && self.hits.front().is_none_or(|oldest| *oldest >= from) {
            self.search_on();
        }
        let to = if by > 0 {
            self.hits.get(self.hits.partition_point(|seq| *seq <= from)).or(self.hits.front())
        } else {
            let at = self.hits.partition_point(|seq| *seq < from);
            at.checked_sub(1).and_then(|at| self.hits.get(at)).or(self.hits.back())
        };
        let Some(seq) = to.copied() else { return false };
        self.show(seq, height);
        true
    }

    /// Stops with that line in the middle of the screen.
    fn show(&mut self, seq: u64, height: usize) {
        let at = self.shown.partition_point(|shown| *shown < seq);
        let least = height.min(self.shown.len()).saturating_sub(1);
        let bottom = (at + height / 2).max(least).min(self.shown.len().saturating_sub(1));
        self.hit = Some(seq);
        self.bottom = self.shown.get(bottom).copied();
    }

    /// Every line that passes the filters, oldest first.
    pub fn lines(&self) -> Vec<Arc<Line>> {
        self.shown.iter().filter_map(|seq| self.at(*seq)).cloned().collect()
    }

    /// To be called when level, source or filter changed.
    pub fn refilter(&mut self) {
        let needle = self.needle();
        self.shown =
            self.ring.iter().filter(|line| self.passes(line, &needle)).map(|l| l.seq).collect();
        // What was searched is searched anew in what is shown now.
        self.searched.clear();
        self.search_again();
    }

    /// The line of that number.
    pub fn get(&self, seq: u64) -> Option<&Line> {
        self.at(seq).map(Arc::as_ref)
    }

    fn at(&self, seq: u64) -> Option<&Arc<Line>> {
        let first = self.ring.front()?.seq;
        self.ring.get(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    /// Lines that pass the filters, from the bottom of the screen upwards.
    pub fn upwards(&self) -> impl Iterator<Item = &Line> {
        let end = self.end();
        self.shown.range(..end).rev().filter_map(|seq| self.get(*seq))
    }

    /// One past the place in `shown` of the line at the bottom.
    fn end(&self) -> usize {
        match self.bottom {
            None => self.shown.len(),
            Some(seq) => self.shown.partition_point(|shown| *shown <= seq),
        }
    }

    /// How many lines pass the filters, and how many there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.shown.len(), self.ring.len())
    }

    /// How many lines that pass came below the bottom of the screen.
    pub fn below(&self) -> usize {
        self.shown.len() - self.end()
    }

    /// Scrolls; at the very bottom it follows again. `height` rows are visible.
    pub fn step(&mut self, step: Step, height: usize) {
        let len = self.shown.len();
        if len == 0 {
            return;
        }
        let least = height.min(len) - 1;
        let at = self.end().saturating_sub(1);
        let to = step.from(at, len).max(least);
        let last = len - 1;
        let follows = match step {
            Step::Last => true,
            _ => to >= last && (to > at || self.bottom.is_none()),
        };
        self.bottom = if follows { None } else { self.shown.get(to).copied() };
    }

    /// Follows the newest line, or stops at the one now at the bottom.
    pub fn toggle_follow(&mut self) {
        self.bottom = match self.bottom {
            Some(_) => None,
            None => Some(self.shown.back().copied().unwrap_or(0)),
        };
    }

    /// The next less (`-1`) or more (`1`) severe level.
    pub fn step_level(&mut self, by: isize) {
        let at = Level::ALL.iter().position(|level| *level == self.level).unwrap_or(2);
        let to = at.saturating_add_signed(by).min(Level::ALL.len() - 1);
        self.level = Level::ALL[to];
        self.refilter();
    }

    /// The next source, and after the last all of them again.
    pub fn next_source(&mut self) {
        let sources: Vec<_> = self.sources.keys().cloned().collect();
        self.source = match &self.source {
            None => sources.first().cloned(),
            Some(now) => {
                sources.iter().position(|s| s == now).and_then(|at| sources.get(at + 1)).cloned()
            }
        };
        self.refilter();
    }
}

fn cut(text: &mut String) {
    if text.len() > MAX_LINE_BYTES {
        let mut end = MAX_LINE_BYTES;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        logs.search_again();
    }

    #[test]
    fn a_search_counts_its_hits_and_goes_from_one_to_the_next() {
        let mut logs = numbered(30);
        search(&mut logs, "1");
        logs.newest_hit(5);
        assert_eq!(logs.hit_counts(), (Some(12), 12), "1, 10 to 19, 21");
        search(&mut logs, "1x");
        assert_eq!(logs.hit_counts().1, 0);
        search(&mut logs, "15");
        logs.newest_hit(5);
        assert_eq!((logs.hit_counts(), bottom(&logs)), ((Some(1), 1), "17"), "in the middle");
        logs.push(&Source::Registry, vec![line(Level::Info, "x15"), line(Level::Debug, "15")]);
        assert_eq!(logs.hit_counts(), (Some(1), 2), "what comes is searched, what is hidden not");
        assert!(logs.next_hit(1, 5));
        assert_eq!(logs.get(logs.hit.unwrap()).unwrap().text, "x15");
        assert!(logs.next_hit(1, 5) && logs.hit_counts().0 == Some(1), "around");
        logs.step_level(-1);
        assert_eq!(logs.hit_counts().1, 3, "what is shown now is searched too");
        search(&mut logs, "");
        assert!(!logs.next_hit(1, 5) && logs.hit.is_none());
    }

    #[test]
    fn late_lines_of_another_source_stand_where_their_time_says_but_not_above_a_mark() {
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
        assert_eq!(texts(&logs).last().unwrap(), "2", "nothing moves while somebody reads");
    }

    fn bottom(logs: &Logs) -> &str {
        logs.upwards().next().map_or("", |line| &line.text)
    }

    #[test]
    fn level_and_filter_and_source_let_through_what_fits() {
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
    fn it_follows_until_scrolled_up_and_again_at_the_bottom() {
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
    fn a_stop_stays_at_its_line() {
        let mut logs = numbered(3);
        logs.toggle_follow();
        logs.push(&Source::Registry, vec![line(Level::Info, "new")]);
        assert_eq!((bottom(&logs), logs.below()), ("2", 1));
        logs.toggle_follow();
        assert_eq!(bottom(&logs), "new");
    }

    #[test]
    fn the_ring_is_bounded_and_forgets_the_oldest() {
        let mut logs = Logs { limit: 100, ..Logs::default() };
        for n in 0..110 {
            logs.push(&Source::Registry, vec![line(Level::Info, &n.to_string())]);
        }
        assert_eq!(logs.counts(), (100, 100));
        logs.step(Step::First, 1);
        assert_eq!(bottom(&logs), "10");
    }
}
