//! The tests of a filter: `?@.price < 10 && @.name`.

use std::cmp::Ordering;
use std::sync::atomic::AtomicBool;

use serde_json::Value;

use super::syntax::{Comparison, Operator, Test};
use crate::model::json::Document;

impl Test {
    /// Whether the value on a line passes.
    pub(super) fn holds(&self, document: &Document, line: usize, stop: &AtomicBool) -> bool {
        match self {
            Self::Any(tests) => tests.iter().any(|test| test.holds(document, line, stop)),
            Self::All(tests) => tests.iter().all(|test| test.holds(document, line, stop)),
            Self::Not(test) => !test.holds(document, line, stop),
            Self::Exists(query) => !document.lines_of(query, line, stop).is_empty(),
            Self::Compare(comparison) => comparison.holds(document, line, stop),
        }
    }
}

impl Comparison {
    fn holds(&self, document: &Document, line: usize, stop: &AtomicBool) -> bool {
        let found = document.lines_of(&self.query, line, stop);
        let value = found
            .first()
            .and_then(|line| serde_json::from_str::<Value>(document.value(*line)).ok());
        let Some(value) = value else { return self.operator == Operator::Unequal };
        let order = match (&value, &self.value) {
            (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
            (Value::Number(one), Value::Number(other)) => {
                one.as_f64().zip(other.as_f64()).and_then(|(one, other)| one.partial_cmp(&other))
            }
            (one, other) => (one == other).then_some(Ordering::Equal),
        };
        let is_scalar = value.is_string() || value.is_number();
        match self.operator {
            Operator::Equal => order == Some(Ordering::Equal),
            Operator::Unequal => order != Some(Ordering::Equal),
            Operator::Less => is_scalar && order == Some(Ordering::Less),
            Operator::Greater => is_scalar && order == Some(Ordering::Greater),
            Operator::LessOrEqual => order.is_some_and(Ordering::is_le),
            Operator::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        }
    }
}
