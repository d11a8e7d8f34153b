//! The parts of a JSONPath.

use serde_json::Value;

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    pub(super) segments: Vec<Segment>,
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Segment {
    /// `..`: applies to every value inside, too.
    pub(super) descends: bool,
    pub(super) selectors: Vec<Selector>,
}

/// What a step selects.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Selector {
    All,
    Name(String),
    Index(i64),
    /// Start, end and step.
    Slice(Option<i64>, Option<i64>, i64),
    Filter(Test),
}

impl Query {
    /// Whether it selects at most one value.
    pub(super) fn is_single(&self) -> bool {
        self.segments.iter().all(|segment| {
            !segment.descends
                && matches!(&segment.selectors[..], [Selector::Name(_) | Selector::Index(_)])
        })
    }
}

/// A test of a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Any(Vec<Test>),
    All(Vec<Test>),
    Not(Box<Test>),
    Exists(Query),
    Compare(Comparison),
}

/// A comparison of a value with a constant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Comparison {
    pub(super) query: Query,
    pub(super) operator: Operator,
    pub(super) value: Value,
}

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    /// Every operator; of two that start alike the longer one first.
    pub(super) const ALL: [(&'static str, Self); 6] = [
        ("==", Self::Equal),
        ("!=", Self::Unequal),
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("<", Self::Less),
        (">", Self::Greater),
    ];
}
