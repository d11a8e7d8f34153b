//! Parses a JSONPath.

use super::syntax::{Comparison, Operator, Query, Segment, Selector, Test};

/// Maximum nesting of filters in filters.
const MAX_NESTING: usize = 8;

impl Query {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let full = match text.chars().next() {
            Some('$') => text.to_owned(),
            None | Some('.' | '[') => format!("${text}"),
            Some(_) => format!("$.{text}"),
        };
        let mut parser = Parser { rest: full.strip_prefix('$').unwrap_or_default(), nesting: 0 };
        let query = parser.query()?;
        parser.skip_blank();
        if parser.rest.is_empty() { Ok(query) } else { Err(parser.unexpected()) }
    }
}

struct Parser<'a> {
    rest: &'a str,
    nesting: usize,
}

impl Parser<'_> {
    fn skip_blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Skips `token`, if it is next.
    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        self.skip_blank();
        if self.eat(token) { Ok(()) } else { Err(self.missing(token)) }
    }

    fn missing(&self, what: &str) -> String {
        match crate::text::prefix(self.rest, 20) {
            "" => format!("{what} is missing at the end"),
            rest => format!("{what} is missing before {rest:?}"),
        }
    }

    fn unexpected(&self) -> String {
        format!("unexpected {:?}", crate::text::prefix(self.rest, 20))
    }

    fn query(&mut self) -> Result<Query, String> {
        let mut segments = Vec::new();
        loop {
            // White space may separate segments, but also ends a path in a filter.
            let before = self.rest;
            self.skip_blank();
            let segment = if self.eat("..") {
                let selectors =
                    if self.eat("[") { self.bracket()? } else { vec![self.name_or_all()?] };
                Segment { descends: true, selectors }
            } else if self.eat(".") {
                Segment { descends: false, selectors: vec![self.name_or_all()?] }
            } else if self.eat("[") {
                Segment { descends: false, selectors: self.bracket()? }
            } else {
                self.rest = before;
                return Ok(Query { segments });
            };
            segments.push(segment);
        }
    }

    fn name_or_all(&mut self) -> Result<Selector, String> {
        if self.eat("*") {
            return Ok(Selector::All);
        }
        // Names with `-` are common, and nothing else can follow them.
        let is_name = |c: char| c == '_' || c == '-' || c.is_ascii_alphanumeric() || !c.is_ascii();
        let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            return Err(self.missing("a name"));
        }
        self.rest = rest;
        Ok(Selector::Name(name.to_owned()))
    }

    fn bracket(&mut self) -> Result<Vec<Selector>, String> {
        let mut selectors = Vec::new();
        loop {
            self.skip_blank();
            selectors.push(self.selector()?);
            self.skip_blank();
            if !self.eat(",") {
                self.expect("]")?;
                return Ok(selectors);
            }
        }
    }

    fn selector(&mut self) -> Result<Selector, String> {
        if self.eat("*") {
            return Ok(Selector::All);
        }
        if self.eat("?") {
            return Ok(Selector::Filter(self.any_of()?));
        }
        if let Some(text) = self.string()? {
            return Ok(Selector::Name(text));
        }
        let start = self.integer();
        self.skip_blank();
        if !self.eat(":") {
            let what = "a name in quotes, a number, * or ?";
            return start.map(Selector::Index).ok_or_else(|| self.missing(what));
        }
        self.skip_blank();
        let end = self.integer();
        self.skip_blank();
        let step = if self.eat(":") {
            self.skip_blank();
            self.integer()
        } else {
            None
        };
        Ok(Selector::Slice(start, end, step.unwrap_or(1)))
    }

    fn integer(&mut self) -> Option<i64> {
        let is_digit = |(at, c): (usize, char)| c.is_ascii_digit() || at == 0 && c == '-';
        let end = self.rest.char_indices().take_while(|pair| is_digit(*pair)).count();
        let number = self.rest.get(..end)?.parse().ok()?;
        self.rest = self.rest.get(end..)?;
        Some(number)
    }

    /// A string in either kind of quotes; `None` if none is next.
    fn string(&mut self) -> Result<Option<String>, String> {
        let quote = match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => quote,
            _ => return Ok(None),
        };
        let (mut text, mut escaped) = (String::from("\""), false);
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                _ if escaped => {
                    // JSON has no \'.
                    text.push_str(if c == '\'' { "'" } else { "\\" });
                    if c != '\'' {
                        text.push(c);
                    }
                    escaped = false;
                }
                '\\' => escaped = true,
                c if c == quote => {
                    text.push('"');
                    let read = serde_json::from_str(&text).map_err(|_| self.unexpected())?;
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Ok(Some(read));
                }
                '"' => text.push_str("\\\""),
                c => text.push(c),
            }
        }
        self.rest = "";
        Err(self.missing(&quote.to_string()))
    }

    fn any_of(&mut self) -> Result<Test, String> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err("too many filters inside each other".to_owned());
        }
        let mut alternatives = vec![self.all_of()?];
        while self.eat_operator("||") {
            alternatives.push(self.all_of()?);
        }
        self.nesting -= 1;
        Ok(Test::Any(alternatives))
    }

    fn all_of(&mut self) -> Result<Test, String> {
        let mut conditions = vec![self.condition()?];
        while self.eat_operator("&&") {
            conditions.push(self.condition()?);
        }
        Ok(Test::All(conditions))
    }

    fn eat_operator(&mut self, token: &str) -> bool {
        self.skip_blank();
        self.eat(token)
    }

    fn condition(&mut self) -> Result<Test, String> {
        let mut is_negated = false;
        while self.eat_operator("!") {
            is_negated = !is_negated;
        }
        let test = self.plain_condition()?;
        Ok(if is_negated { Test::Not(Box::new(test)) } else { test })
    }

    fn plain_condition(&mut self) -> Result<Test, String> {
        if self.eat("(") {
            let test = self.any_of()?;
            self.expect(")")?;
            return Ok(test);
        }
        self.expect("@")?;
        let query = self.query()?;
        self.skip_blank();
        let found = Operator::ALL.into_iter().find(|(token, _)| self.eat(token));
        let Some((_, operator)) = found else { return Ok(Test::Exists(query)) };
        self.skip_blank();
        let value = self.literal()?;
        Ok(Test::Compare(Comparison { query, operator, value }))
    }

    fn literal(&mut self) -> Result<serde_json::Value, String> {
        if let Some(text) = self.string()? {
            return Ok(text.into());
        }
        let ends = |c: char| c.is_whitespace() || matches!(c, ']' | ')' | ',' | '&' | '|');
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        let value = serde_json::from_str(text).map_err(|_| self.missing("a value"))?;
        self.rest = rest;
        Ok(value)
    }
}

/// The places that a slice selects in a list of `len`.
pub(super) fn slice(
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
    len: usize,
) -> Box<dyn Iterator<Item = usize>> {
    let bounded = |index: i64| usize::try_from(super::from_end(index, len)).unwrap_or(0).min(len);
    let by = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
    match step {
        0 => Box::new(std::iter::empty()),
        1.. => {
            let (start, end) = (start.map_or(0, bounded), end.map_or(len, bounded));
            Box::new((start..end).step_by(by))
        }
        _ => {
            // Downwards: from `start` (included) to `end` (not included).
            let first = start.map_or(len, |start| bounded(start.saturating_add(1)));
            let first = if start == Some(-1) { len } else { first };
            let last = match end {
                Some(end) if super::from_end(end, len) >= 0 => bounded(end).saturating_add(1),
                _ => 0,
            };
            Box::new((last.min(len)..first).rev().step_by(by))
        }
    }
}
