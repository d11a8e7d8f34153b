//! Log lines of every source in one bounded ring, the filters, and the scroll position.

mod position;
mod search;
mod source;
mod time;

pub use search::SearchStep;

pub use source::{Source, SourceState};
pub use time::Times;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rpc_wire::report::{Level, LogLine};
use tui_input::Input;

use super::filter::{Filter, Tester};
use super::pattern::Pattern;

/// Default number of lines kept.
pub const DEFAULT_LINES: usize = 100_000;
/// Default size of the lines kept, in bytes.
pub const DEFAULT_BYTES: usize = 64 << 20;
/// Maximum length of a line; the rest is cut.
pub const MAX_LINE_BYTES: usize = 8 * 1024;
/// Maximum length of a line's target; the rest is cut.
const MAX_TARGET_BYTES: usize = 256;

/// Maximum number of lines sorted again by time when older ones arrive late.
const MAX_SORTED: usize = 5_000;

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The sequence number, which identifies it.
    pub seq: u64,
    /// The source.
    pub source: Source,
    /// Local time in milliseconds.
    pub wall_ms: u64,
    /// Severity.
    pub level: Level,
    /// The module that logged it.
    pub target: String,
    /// Message and fields.
    pub text: String,
    /// Lines of this source lost just before it.
    pub dropped: u64,
    /// Whether it is a marker inserted by the user.
    pub mark: bool,
}

impl Line {
    /// Whether it matches a search.
    pub fn contains(&self, pattern: &Pattern) -> bool {
        !self.mark && (pattern.is_in(&self.text) || pattern.is_in(&self.target))
    }

    /// Its size in memory, nearly.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.len() + self.target.len()
    }
}

/// A received line as it is kept, with its fields in its message and cut to [`MAX_LINE_BYTES`]: a peer
/// may send any length, fields take many times their text, and lines are queued.
pub fn bounded(line: LogLine) -> LogLine {
    LogLine {
        message: shortened(line.text(), MAX_LINE_BYTES),
        fields: Default::default(),
        target: shortened(line.target, MAX_TARGET_BYTES),
        ..line
    }
}

/// What a [`bounded`] line takes in memory, nearly, in bytes.
pub fn size(line: &LogLine) -> usize {
    size_of::<Line>() + line.message.len() + line.target.len()
}

/// The state of the log view.
#[derive(Debug)]
pub struct Logs {
    ring: VecDeque<Arc<Line>>,
    /// Sequence numbers of the lines that pass the filters, ascending.
    shown: VecDeque<u64>,
    /// Number of oldest lines not yet filtered: filtering runs in slices.
    unfiltered: usize,
    /// The lines in `shown` that match the search, ascending.
    matches: VecDeque<u64>,
    /// What `matches` are for.
    searched: Pattern,
    /// Number of oldest shown lines not yet searched: searching runs in slices.
    unsearched: usize,
    /// Whether to jump to the first match once it is found.
    jump_pending: bool,
    next_seq: u64,
    /// Maximum number of lines kept; the oldest are dropped.
    pub limit: usize,
    /// Maximum size of the lines kept, in bytes of text; the oldest are dropped.
    pub max_bytes: usize,
    /// The size of the lines kept.
    bytes: usize,
    /// The minimum level shown.
    pub level: Level,
    /// The only source shown; `None`: all.
    pub source: Option<Source>,
    /// The filter of lines as typed.
    pub filter: Input,
    compiled: Filter,
    /// Whether a line below level info ever arrived.
    verbose: bool,
    /// Text searched in the lines shown.
    pub search: Input,
    /// Whether the search is being typed, not the filter.
    pub searching: bool,
    /// The match that was last jumped to.
    pub current_match: Option<u64>,
    /// The state of each source.
    pub sources: BTreeMap<Source, SourceState>,
    /// The line at the bottom of the screen; `None` follows the newest.
    pub bottom: Option<u64>,
    /// The sequence number after the newest line that was on screen.
    seen: u64,
    /// Whether long lines are wrapped.
    pub wrap: bool,
    /// How times are shown.
    pub time: Times,
    /// Lines of all sources lost before they arrived.
    pub dropped: u64,
    /// Milliseconds added to the time of lines to get local time.
    pub shift_ms: i64,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            ring: VecDeque::new(),
            shown: VecDeque::new(),
            unfiltered: 0,
            matches: VecDeque::new(),
            searched: Pattern::default(),
            unsearched: 0,
            jump_pending: false,
            next_seq: 0,
            limit: DEFAULT_LINES,
            max_bytes: DEFAULT_BYTES,
            bytes: 0,
            level: Level::Info,
            source: None,
            filter: Input::default(),
            compiled: Filter::default(),
            verbose: false,
            search: Input::default(),
            searching: false,
            current_match: None,
            sources: BTreeMap::new(),
            bottom: None,
            seen: 0,
            wrap: false,
            time: Times::default(),
            dropped: 0,
            shift_ms: 0,
        }
    }
}

impl Logs {
    /// Adds lines of `source`. While the newest line is followed, lines that arrive late are sorted
    /// in by time: the first lines of a source usually do.
    pub fn push(&mut self, source: &Source, lines: Vec<(LogLine, u64)>) {
        let first = lines.first().map(|(line, _)| self.local(line.at_ms));
        let newer = first.map_or_else(Vec::new, |first| self.take_newer(first));
        let must_sort = !newer.is_empty();
        let mut arrived = newer;
        for (line, dropped) in lines {
            let line = bounded(line);
            let text = line.message;
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
        if must_sort {
            // A stable sort keeps the order of each source.
            arrived.sort_by_key(|line| line.wall_ms);
        }
        let (mut filter, search) = (self.compiled.tester(), self.searched.clone());
        for line in arrived {
            self.verbose |= line.level < Level::Info;
            self.add(line, &mut filter, &search);
        }
    }

    fn local(&self, at_ms: u64) -> u64 {
        at_ms.saturating_add_signed(self.shift_ms)
    }

    /// Removes the lines newer than `wall_ms` from the end: at most a few, down to a marker, and
    /// only while the newest line is followed.
    fn take_newer(&mut self, wall_ms: u64) -> Vec<Line> {
        if self.bottom.is_some() {
            return Vec::new();
        }
        let newer = self.ring.iter().rev().take(MAX_SORTED);
        let count = newer.take_while(|line| !line.mark && line.wall_ms > wall_ms).count();
        let taken = self.ring.split_off(self.ring.len() - count);
        self.bytes -= taken.iter().map(|line| line.bytes()).sum::<usize>();
        self.next_seq -= u64::try_from(count).unwrap_or(0);
        for list in [&mut self.shown, &mut self.matches] {
            list.truncate(list.partition_point(|seq| *seq < self.next_seq));
        }
        self.unfiltered = self.unfiltered.min(self.ring.len());
        self.unsearched = self.unsearched.min(self.shown.len());
        taken.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// Inserts a marker after the last line.
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
        self.add(mark, &mut self.compiled.tester(), &Pattern::default());
    }

    fn add(&mut self, mut line: Line, filter: &mut Tester, search: &Pattern) {
        line.seq = self.next_seq;
        self.next_seq += 1;
        if self.passes(&line, filter) {
            self.shown.push_back(line.seq);
            if !self.searched.is_empty() && line.contains(search) {
                self.matches.push_back(line.seq);
            }
        }
        self.bytes += line.bytes();
        self.ring.push_back(Arc::new(line));
        while self.ring.len() > 1 && (self.ring.len() > self.limit || self.bytes > self.max_bytes) {
            let oldest = self.ring.pop_front();
            self.bytes -= oldest.map_or(0, |line| line.bytes());
            self.unfiltered = self.unfiltered.saturating_sub(1);
        }
        let oldest = self.ring.front().map_or(self.next_seq, |line| line.seq);
        while self.shown.front().is_some_and(|seq| *seq < oldest) {
            self.shown.pop_front();
            self.unsearched = self.unsearched.saturating_sub(1);
        }
        while self.matches.front().is_some_and(|seq| *seq < oldest) {
            self.matches.pop_front();
        }
    }

    fn passes(&self, line: &Line, filter: &mut Tester) -> bool {
        line.mark
            || line.level >= self.level
                && self.source.as_ref().is_none_or(|source| *source == line.source)
                && filter.passes(&[&line.text, &line.target])
    }

    /// The compiled filter.
    pub fn compiled_filter(&self) -> &Filter {
        &self.compiled
    }

    /// What is searched for.
    pub fn searched(&self) -> &Pattern {
        &self.searched
    }

    /// Whether levels below info are shown, but no source ever sent such a line.
    pub fn lacks_verbose_lines(&self) -> bool {
        self.level < Level::Info && !self.verbose
    }

    /// Every line that passes the filters, oldest first.
    pub fn lines(&self) -> Vec<Arc<Line>> {
        self.shown.iter().filter_map(|seq| self.at(*seq)).cloned().collect()
    }

    /// The line with this sequence number.
    pub fn get(&self, seq: u64) -> Option<&Line> {
        self.at(seq).map(Arc::as_ref)
    }

    fn at(&self, seq: u64) -> Option<&Arc<Line>> {
        let first = self.ring.front()?.seq;
        self.ring.get(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    /// Number of lines that pass the filters, and of all lines.
    pub fn counts(&self) -> (usize, usize) {
        (self.shown.len(), self.ring.len())
    }

    /// Shows one level less severe (`-1`) or more severe (`1`).
    pub fn step_level(&mut self, by: isize) {
        let at = Level::ALL.iter().position(|level| *level == self.level).unwrap_or(2);
        let to = at.saturating_add_signed(by).min(Level::ALL.len() - 1);
        self.level = Level::ALL[to];
        self.refilter();
    }

    /// Shows one source, or all, and follows the newest line.
    pub fn show_source(&mut self, source: Option<Source>) {
        (self.source, self.bottom) = (source, None);
        self.refilter();
    }
}

/// Cuts a text to `limit` bytes, in memory of its own: `truncate` would keep all of the old one's.
fn shortened(text: String, limit: usize) -> String {
    let kept = match text.len() > limit {
        true => format!("{}…", &text[..text.floor_char_boundary(limit)]),
        false => text,
    };
    // Its capacity grew while it was put together.
    kept.into_boxed_str().into_string()
}

#[cfg(test)]
mod tests;
