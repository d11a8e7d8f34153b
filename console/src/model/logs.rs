//! Log lines of every source in one bounded ring, and which of them the filter lets through.

use std::collections::{BTreeMap, VecDeque};

use rpc_wire::report::{Level, LogLine};
use tui_input::Input;

use super::scroll::Step;
use crate::message::{Source, SourceState};

/// How many lines are kept unless the settings say otherwise.
pub const DEFAULT_LINES: usize = 100_000;
/// How long a line may be; the rest is cut.
pub const MAX_LINE_BYTES: usize = 8 * 1024;

/// One line.
#[derive(Debug, Clone)]
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

/// The log view.
#[derive(Debug)]
pub struct Logs {
    ring: VecDeque<Line>,
    /// Sequence numbers of the lines that pass the filters, ascending.
    shown: VecDeque<u64>,
    next_seq: u64,
    /// How many lines are kept; the oldest go first.
    pub limit: usize,
    /// The least severe level shown.
    pub level: Level,
    /// The only source shown, or all of them.
    pub source: Option<Source>,
    /// What lines must contain.
    pub filter: Input,
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
            next_seq: 0,
            limit: DEFAULT_LINES,
            level: Level::Info,
            source: None,
            filter: Input::default(),
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
    /// Adds lines of `source`.
    pub fn push(&mut self, source: &Source, lines: Vec<(LogLine, u64)>) {
        for (line, dropped) in lines {
            let mut text = line.text();
            cut(&mut text);
            let wall_ms = line.at_ms.saturating_add_signed(self.shift_ms);
            self.dropped += dropped;
            self.add(Line {
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
    }

    /// Draws a line under what is there.
    pub fn mark(&mut self, wall_ms: u64) {
        self.add(Line {
            seq: 0,
            source: Source::Console,
            wall_ms,
            level: Level::Error,
            target: String::new(),
            text: String::new(),
            dropped: 0,
            mark: true,
        });
    }

    fn add(&mut self, mut line: Line) {
        line.seq = self.next_seq;
        self.next_seq += 1;
        if self.passes(&line, &self.needle()) {
            self.shown.push_back(line.seq);
        }
        self.ring.push_back(line);
        if self.ring.len() > self.limit.max(1) {
            self.ring.pop_front();
        }
        let oldest = self.ring.front().map_or(self.next_seq, |line| line.seq);
        while self.shown.front().is_some_and(|seq| *seq < oldest) {
            self.shown.pop_front();
        }
    }

    fn needle(&self) -> String {
        self.filter.value().to_lowercase()
    }

    fn passes(&self, line: &Line, needle: &str) -> bool {
        line.mark
            || line.level >= self.level
                && self.source.as_ref().is_none_or(|source| *source == line.source)
                && (needle.is_empty()
                    || line.text.to_lowercase().contains(needle)
                    || line.target.to_lowercase().contains(needle))
    }

    /// To be called when level, source or filter changed.
    pub fn refilter(&mut self) {
        let needle = self.needle();
        self.shown =
            self.ring.iter().filter(|line| self.passes(line, &needle)).map(|l| l.seq).collect();
    }

    /// The line of that number.
    pub fn get(&self, seq: u64) -> Option<&Line> {
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
