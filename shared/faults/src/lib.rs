//! Faults of a server, switched on and off while it serves: those of the console's demo and of `rpc-torture`.
//!
//! ```
//! use rpc_faults::{FaultSwitch, ServerFault};
//!
//! let switch = FaultSwitch::default();
//! let layer = switch.layer(); // for `rpc_server::ServerBuilder::layer`
//! switch.set(Some(ServerFault::Erring { percent: 50 }));
//! assert_eq!("erring 50".parse(), Ok(ServerFault::Erring { percent: 50 }));
//! ```
//!
//! In reading order:
//!
//! - [`ServerFault`]: which faults there are, and their names.
//! - [`FaultSwitch`]: one of them, or none, now.
//! - [`FaultLayer`]: what it does to calls: a tower layer around a server's methods.
//! - [`Crashable`]: a daemon within this process that can crash alone.

mod crash;

pub use crash::Crashable;

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rpc_wire::fault::{Code, Fault};
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};

/// What is wrong with a server that runs and says that it is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerFault {
    /// Calls fail instead of being executed, at once: -32603.
    Erring {
        /// How many of a hundred.
        percent: u8,
    },
    /// All calls are refused as if it were full, at once: -32002.
    Refusing,
    /// Calls take longer.
    Slow {
        /// How many times as long.
        times: u32,
    },
    /// Calls take longer, however long they take anyway.
    Late {
        /// By so many.
        milliseconds: u64,
    },
}

impl fmt::Display for ServerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Erring { percent } => write!(f, "erring {percent}"),
            Self::Refusing => f.write_str("refusing"),
            Self::Slow { times } => write!(f, "slow {times}"),
            Self::Late { milliseconds } => write!(f, "late {milliseconds}"),
        }
    }
}

impl FromStr for ServerFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = match text.split_once(' ') {
            None if text == "refusing" => Some(Self::Refusing),
            Some(("erring", percent)) => {
                percent.parse().ok().map(|percent| Self::Erring { percent })
            }
            Some(("slow", times)) => times.parse().ok().map(|times| Self::Slow { times }),
            Some(("late", by)) => by.parse().ok().map(|milliseconds| Self::Late { milliseconds }),
            _ => None,
        };
        fault.ok_or_else(|| {
            format!(
                "no fault: {text:?}; say erring PERCENT, refusing, slow TIMES or late MILLISECONDS"
            )
        })
    }
}

/// The fault that a server has now; none at first. Clones are the same switch.
#[derive(Debug, Clone, Default)]
pub struct FaultSwitch(Arc<RwLock<Option<ServerFault>>>);

impl FaultSwitch {
    /// From now on the server has this fault, or none.
    pub fn set(&self, fault: Option<ServerFault>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// The fault that it has.
    pub fn get(&self) -> Option<ServerFault> {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The layer that makes calls suffer it.
    pub fn layer(&self) -> FaultLayer {
        FaultLayer(self.clone())
    }
}

/// Makes calls suffer the fault of a [`FaultSwitch`].
#[derive(Debug, Clone)]
pub struct FaultLayer(FaultSwitch);

impl<S> Layer<S> for FaultLayer {
    type Service = Faulty<S>;

    fn layer(&self, inner: S) -> Faulty<S> {
        Faulty { inner, switch: self.0.clone() }
    }
}

/// A service within a [`FaultLayer`].
#[derive(Debug, Clone)]
pub struct Faulty<S> {
    inner: S,
    switch: FaultSwitch,
}

impl<S, Request> Service<Request> for Faulty<S>
where
    S: Service<Request, Error: Into<BoxError> + Send + 'static, Future: Send + 'static>,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (times, milliseconds) = match self.switch.get() {
            Some(ServerFault::Erring { percent }) if rand::random_range(0..100) < percent => {
                return failed(Fault::method_failed("a fault that was asked for"));
            }
            Some(ServerFault::Refusing) => {
                return failed(Fault::new(Code::Overloaded, "busy: a fault that was asked for"));
            }
            Some(ServerFault::Slow { times }) => (times.max(1), 0),
            Some(ServerFault::Late { milliseconds }) => (1, milliseconds),
            Some(ServerFault::Erring { .. }) | None => (1, 0),
        };
        slowed(self.inner.call(request), times, Duration::from_millis(milliseconds)).boxed()
    }
}

fn failed<T: Send + 'static>(fault: Fault) -> BoxFuture<'static, Result<T, BoxError>> {
    std::future::ready(Err(fault.into())).boxed()
}

async fn slowed<T, E: Into<BoxError>>(
    call: impl Future<Output = Result<T, E>>,
    times: u32,
    late: Duration,
) -> Result<T, BoxError> {
    let began = Instant::now();
    let done = call.await.map_err(Into::into);
    let further = began.elapsed().saturating_mul(times - 1).saturating_add(late);
    if further > Duration::ZERO {
        tokio::time::sleep(further).await;
    }
    done
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests say what they expect")]
mod tests {
    use super::*;
    use tower::service_fn;

    /// What becomes of calls that take 10 ms: how many succeeded, and how long each took.
    async fn calls(fault: Option<ServerFault>) -> (u32, Duration) {
        let switch = FaultSwitch::default();
        switch.set(fault);
        let mut service = switch.layer().layer(service_fn(|()| async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok::<_, Fault>(())
        }));
        let (mut ok, began) = (0, Instant::now());
        for _ in 0..200 {
            ok += u32::from(service.call(()).await.is_ok());
        }
        (ok, began.elapsed() / 200)
    }

    #[tokio::test(start_paused = true)]
    async fn calls_suffer_the_fault_that_is_set() {
        let ms = Duration::from_millis;
        assert_eq!(calls(None).await, (200, ms(10)));
        assert_eq!(calls(Some(ServerFault::Slow { times: 12 })).await, (200, ms(120)));
        assert_eq!(calls(Some(ServerFault::Late { milliseconds: 30 })).await, (200, ms(40)));
        assert_eq!(calls(Some(ServerFault::Refusing)).await, (0, ms(0)));
        assert_eq!(calls(Some(ServerFault::Erring { percent: 100 })).await, (0, ms(0)));
        let (ok, _) = calls(Some(ServerFault::Erring { percent: 50 })).await;
        assert!((50..150).contains(&ok), "{ok}");
    }

    #[test]
    fn a_name_is_read_again() {
        use ServerFault::{Erring, Late, Refusing, Slow};
        let late = Late { milliseconds: 30 };
        for fault in [Erring { percent: 50 }, Refusing, Slow { times: 12 }, late] {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert!("erring".parse::<ServerFault>().is_err());
    }
}
