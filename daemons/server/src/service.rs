//! A service: a named set of methods. `#[rpc_service]` makes one of a trait; its generated code uses
//! the hidden parts of this module.

#[doc(hidden)]
pub mod bounds;
mod items;

use std::fmt::Display;

use serde::Serialize;

use crate::{Failure, Method};

#[doc(hidden)]
pub use items::{ItemSender, items};

/// A named set of methods, for [`ServerBuilder::service`](crate::ServerBuilder::service). What
/// `#[rpc_service]` generates from a trait is one.
pub trait Service {
    /// The service's name, for the registry.
    fn name(&self) -> &str;

    /// The service's version; `None`: the server's own.
    fn version(&self) -> Option<&str> {
        None
    }

    /// Its methods.
    fn methods(self) -> Vec<Method>;
}

/// An error of a trait's method on its way to the caller: the value in `data`, and its text.
///
/// The text is that of [`Display`] where the type has it and JSON where not. Both traits below have
/// a method `failure`; for `(&Typed(error)).failure()` Rust chooses the first that applies, and it
/// looks at [`DisplayedError`] first. A bound on `Display` would refuse errors that do not need it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Typed<E>(pub E);

#[doc(hidden)]
pub trait DisplayedError {
    fn failure(&self) -> Failure;
}

impl<E: Serialize + Display> DisplayedError for Typed<E> {
    fn failure(&self) -> Failure {
        failure(&self.0, |_| self.0.to_string())
    }
}

#[doc(hidden)]
pub trait SerializedError {
    fn failure(&self) -> Failure;
}

impl<E: Serialize> SerializedError for &Typed<E> {
    fn failure(&self) -> Failure {
        failure(&self.0, serde_json::Value::to_string)
    }
}

fn failure<E: Serialize>(error: &E, text: impl FnOnce(&serde_json::Value) -> String) -> Failure {
    match serde_json::to_value(error) {
        Ok(data) => Failure::new(text(&data)).with_data(data),
        Err(unwritable) => Failure::new(format!("the method's error cannot be sent: {unwritable}")),
    }
}

/// Runs work that blocks on the blocking pool, for a caller in this process.
#[doc(hidden)]
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Serialize)]
    struct Plain {
        code: u8,
    }

    #[test]
    fn an_error_has_its_own_text_where_it_has_one() {
        let fault = (&Typed("sold out")).failure().into_fault();
        assert_eq!((&*fault.message, fault.data), ("sold out", Some(json!("sold out"))));
        let fault = (&Typed(Plain { code: 3 })).failure().into_fault();
        assert_eq!((&*fault.message, fault.data), (r#"{"code":3}"#, Some(json!({"code": 3}))));
    }

    #[tokio::test]
    async fn a_panic_of_blocking_work_reaches_its_caller() {
        assert_eq!(blocking(|| 1).await, 1);
        let task = tokio::spawn(blocking(|| -> u8 { std::panic::resume_unwind(Box::new("no")) }));
        assert_eq!(task.await.unwrap_err().into_panic().downcast_ref(), Some(&"no"));
    }
}
