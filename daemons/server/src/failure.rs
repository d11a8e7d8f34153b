//! How a method reports that it failed.

use std::error::Error;

use rpc_wire::fault::{Code, Fault};
use serde_json::Value;

/// A method's error: its text for the caller, and its code.
///
/// Every [`Error`] converts into one with `?` and travels as -32603 with its text, causes included.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure(Fault);

impl Failure {
    /// An error with the code -32603.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Fault::method_failed(message))
    }

    /// Arguments that make no sense together: -32602.
    pub fn bad_arguments(message: impl Into<String>) -> Self {
        Self(Fault::bad_arguments(message))
    }

    /// The same with a code of your own (JSON-RPC leaves you all above -32000).
    #[must_use]
    pub fn with_code(mut self, code: i64) -> Self {
        self.0.code = Code::from_number(code);
        self
    }

    /// The same with data for the caller.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.0.data = Some(data);
        self
    }
}

// `Failure` itself is not an `Error`: otherwise this conversion could not be written.
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        Self::new(message)
    }
}

impl Failure {
    pub(crate) fn into_fault(self) -> Fault {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_error_becomes_a_failure_with_its_text() {
        fn method() -> Result<i32, Failure> {
            Ok("x".parse::<i32>()?)
        }
        let fault = method().unwrap_err().into_fault();
        assert_eq!(fault.classic_text(), "Error calling method: invalid digit found in string");
    }

    #[test]
    fn a_method_may_choose_its_own_code_and_data() {
        let fault = Failure::new("no").with_code(7).with_data(1.into()).into_fault();
        assert_eq!((fault.code.number(), fault.data), (7, Some(1.into())));
    }
}
