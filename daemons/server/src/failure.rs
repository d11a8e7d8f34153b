//! How a method reports that it failed.

use std::error::Error;
use std::fmt::Display;

use rpc_wire::fault::{Code, Fault};
use serde::Serialize;
use serde_json::Value;

/// A method's error: its text for the caller, and its code.
///
/// Every [`Error`] converts into one with `?` and travels as -32603 with its text, causes included.
///
/// ```
/// use rpc_server::{Failure, rpc_method};
///
/// /// The first byte of a file.
/// #[rpc_method(blocking, read_only)]
/// fn first_byte(path: String) -> Result<u8, Failure> {
///     let bytes = std::fs::read(path)?;
///     bytes.first().copied().ok_or_else(|| Failure::new("the file is empty").with_code(1))
/// }
///
/// assert!(first_byte("no such file".to_owned()).is_err());
/// # assert_eq!(first_byte::method().signature().name, "first_byte");
/// ```
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

    /// An error with the text of a typed one, and with it as JSON in `error.data`, so that a typed
    /// client can read it again. Its code is -32603 unless [`with_code`](Self::with_code) says
    /// otherwise.
    ///
    /// ```
    /// use rpc_server::Failure;
    ///
    /// let failure = Failure::typed(&"sold out");
    /// assert_eq!(failure, Failure::new("sold out").with_data("sold out".into()));
    /// ```
    pub fn typed<E: Display + Serialize + ?Sized>(error: &E) -> Self {
        let failure = Self::new(error.to_string());
        match serde_json::to_value(error) {
            Ok(data) => failure.with_data(data),
            // The text still tells people what happened.
            Err(_) => failure,
        }
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
impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        // It has its code already.
        if let Some(fault) = (&error as &dyn Error).downcast_ref::<Fault>() {
            return Self(fault.clone());
        }
        Self::new(text_of(&error))
    }
}

/// The text of an error and of its causes.
pub(crate) fn text_of(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

/// For layers and other code that deals in boxed errors: the failure is found in it again.
impl From<Failure> for Box<dyn Error + Send + Sync> {
    fn from(failure: Failure) -> Self {
        Box::new(failure.0)
    }
}

/// A type that a method's error can have: whatever converts into a [`Failure`]. Every
/// [`Error`](std::error::Error) does.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a method",
    label = "does not convert into `Failure`",
    note = "implement `std::error::Error` for it, or `impl From<…> for rpc_server::Failure`; for a \
            text use `Failure::new(text)`"
)]
pub trait MethodError: Into<Failure> {}
#[diagnostic::do_not_recommend]
impl<E: Into<Failure>> MethodError for E {}

/// A typed error of a method: it travels with its text and, in `error.data`, as JSON
/// ([`Failure::typed`]). `?` converts into it.
///
/// ```
/// use rpc_server::{Typed, rpc_method};
/// use serde::Serialize;
///
/// #[derive(Debug, Serialize, thiserror::Error)]
/// #[error("only {left} left")]
/// struct SoldOut {
///     left: u32,
/// }
///
/// #[rpc_method]
/// fn order(count: u32) -> Result<u32, Typed<SoldOut>> {
///     if count > 3 {
///         return Err(SoldOut { left: 3 }.into());
///     }
///     Ok(count)
/// }
/// # assert!(order(2).is_ok() && order(4).is_err());
/// # assert_eq!(order::method().signature().name, "order");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Typed<E>(pub E);

impl<E> From<E> for Typed<E> {
    fn from(error: E) -> Self {
        Self(error)
    }
}

impl<E: Display + Serialize> From<Typed<E>> for Failure {
    fn from(Typed(error): Typed<E>) -> Self {
        Self::typed(&error)
    }
}

impl Failure {
    pub(crate) fn into_fault(self) -> Fault {
        self.0
    }
}

/// A panic as an error. Its text goes to the log only: it may tell what no caller should know.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> Fault {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(panic = text, "a method panicked");
    Fault::method_failed("the method panicked")
}

/// A call is not taken, since the server takes none for now or any more.
pub(crate) fn draining() -> Fault {
    Fault::new(Code::Draining, "the server is draining; call another instance")
}

/// A call is not taken, since more is kept for all connections than there may be, so many bytes.
pub(crate) fn too_much_kept(max_buffered_bytes: usize, advice: &str) -> Fault {
    let text = format!(
        "busy: over {max_buffered_bytes} bytes are kept for all connections (max_buffered_bytes); {advice}"
    );
    Fault::new(Code::Overloaded, text)
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
    fn a_fault_keeps_its_code() {
        let fault = Fault::new(Code::Overloaded, "busy").with_data(1.into());
        assert_eq!(Failure::from(fault.clone()).into_fault(), fault);
    }

    #[test]
    fn a_method_may_choose_its_own_code_and_data() {
        let fault = Failure::new("no").with_code(7).with_data(1.into()).into_fault();
        assert_eq!((fault.code.number(), fault.data), (7, Some(1.into())));
    }
}
