//! A service: a named set of methods. `#[rpc_service]` makes one of a trait; its generated code uses
//! the hidden parts of this module.

mod items;

use std::fmt::Display;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_util::sync::DropGuard;

use crate::{Call, Failure, Method};

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

/// An error of a trait's method on its way to the caller: its text, and the error itself in `data`.
///
/// The text is that of [`Display`] where the type has it and JSON where not. Both traits below have
/// a method `failure`; for `(&Thrown(error)).failure()` Rust chooses the first that applies, and it
/// looks at [`DisplayedError`] first. A bound on `Display` would refuse errors that do not need it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Thrown<E>(pub E);

#[doc(hidden)]
pub trait DisplayedError {
    fn failure(&self) -> Failure;
}

impl<E: Serialize + Display> DisplayedError for Thrown<E> {
    fn failure(&self) -> Failure {
        Failure::typed(&self.0)
    }
}

#[doc(hidden)]
pub trait SerializedError {
    fn failure(&self) -> Failure;
}

impl<E: Serialize> SerializedError for &Thrown<E> {
    fn failure(&self) -> Failure {
        match serde_json::to_value(&self.0) {
            Ok(data) => Failure::new(data.to_string()).with_data(data),
            Err(error) => Failure::new(format!("the method's error cannot be sent: {error}")),
        }
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

/// The context of a call in this process; dropping the guard cancels it.
#[doc(hidden)]
pub fn call_in_process(method: &str, timeout: Option<Duration>) -> (Call, DropGuard) {
    let call = Call::in_process(method);
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let call = deadline.into_iter().fold(call, Call::with_deadline);
    (call.clone(), call.guard())
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
    #[expect(clippy::needless_borrow, reason = "as generated code calls it")]
    fn an_error_has_its_own_text_where_it_has_one() {
        let fault = (&Thrown("sold out")).failure().into_fault();
        assert_eq!((&*fault.message, fault.data), ("sold out", Some(json!("sold out"))));
        let fault = (&Thrown(Plain { code: 3 })).failure().into_fault();
        assert_eq!((&*fault.message, fault.data), (r#"{"code":3}"#, Some(json!({"code": 3}))));
    }

    #[tokio::test]
    async fn a_panic_of_blocking_work_reaches_its_caller() {
        assert_eq!(blocking(|| 1).await, 1);
        let task = tokio::spawn(blocking(|| -> u8 { std::panic::resume_unwind(Box::new("no")) }));
        assert_eq!(task.await.unwrap_err().into_panic().downcast_ref(), Some(&"no"));
    }
}
