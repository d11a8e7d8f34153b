//! The calls of an overload: their method, their right result, and how many a server can serve.

use std::time::Duration;

use anyhow::Context;
use rpc_server::Limits;
use rpc_wire::call::request::{self, RequestMeta};
use rpc_wire::call::{Args, IntoArgs};

use crate::clients::{Shape, bare};
use crate::exchange::Exchange;
use crate::plan::{Computing, OverloadOptions};
use crate::process::Server;
use crate::round::Bench;

/// The timeout of a call, besides the time it sleeps.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Connections of the closed loops that measure the capacity; the best counts.
const CLOSED_LOOPS: [usize; 3] = [4, 16, 64];
/// The argument of `reverse_string`.
const REVERSED: usize = 20_000;
/// What an awaiting call sleeps.
const SLEEP: Duration = Duration::from_secs(1);

/// A call and its right result.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) args: Args,
    /// The result's JSON.
    pub(super) result: String,
    pub(super) timeout: Duration,
}

/// One kind of work.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) key: &'static str,
    pub(super) title: String,
    pub(super) call: Call,
    /// A call of the same kind which is short enough to be made one at a time.
    pub(super) light: Call,
    runs_in: Program,
    /// `None`: measured.
    capacity: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Rpcd,
    Burn,
}

impl Work {
    /// Calls that compute.
    ///
    /// # Errors
    /// Never, as in everything that makes a [`Call`]; the signature is that of [`IntoArgs`].
    pub(super) fn computing(options: &OverloadOptions) -> anyhow::Result<Self> {
        let (call, runs_in, what) = match options.computing {
            Computing::Burn => {
                let micros = u64::try_from(options.burn.as_micros())?;
                let what = format!("burn: {micros} µs of processor time");
                (Call::new("burn", micros, micros)?, Program::Burn, what)
            }
            Computing::ReverseString => {
                let text = "0123456789".repeat(REVERSED / 10);
                let reversed: String = text.chars().rev().collect();
                let what = format!("reverse_string of {REVERSED} bytes");
                (Call::new("reverse_string", text, reversed)?, Program::Rpcd, what)
            }
        };
        Ok(Self {
            key: "CPU",
            title: format!("calls that compute ({what})"),
            light: call.clone(),
            call,
            runs_in,
            capacity: None,
        })
    }

    /// Calls that await. A server can serve as many as it lets be in flight.
    ///
    /// # Errors
    /// Never.
    pub(super) fn awaiting() -> anyhow::Result<Self> {
        let sleep = |time: Duration| {
            let call = Call::new("sleep", time.as_secs_f64(), time.as_secs_f64())?;
            anyhow::Ok(Call { timeout: TIMEOUT + time, ..call })
        };
        let most = f64::from(u32::try_from(Limits::default().max_calls).unwrap_or(u32::MAX));
        Ok(Self {
            key: "AWAIT",
            title: format!("calls that await (sleep of {SLEEP:?}; {most} may be in flight)"),
            call: sleep(SLEEP)?,
            light: sleep(Duration::from_millis(10))?,
            runs_in: Program::Rpcd,
            capacity: Some(most / SLEEP.as_secs_f64()),
        })
    }

    /// Starts a server that is registered at `registry`.
    pub(super) fn start(&self, bench: &Bench, registry: &Server) -> anyhow::Result<Server> {
        match self.runs_in {
            Program::Rpcd => bench.registered(registry),
            Program::Burn => bench.burning(registry),
        }
    }

    /// Calls per second that a server can serve.
    pub(super) fn capacity(&self, bench: &Bench) -> anyhow::Result<f64> {
        if let Some(capacity) = self.capacity {
            return Ok(capacity);
        }
        let exchange = [self.call.exchange()];
        let mut best: f64 = 0.0;
        for connections in CLOSED_LOOPS {
            let registry = bench.registry_beside_load()?;
            let server = self.start(bench, &registry)?;
            let (shape, window) = (Shape::connections(connections), bench.window(&server));
            let run = bench.load(|| bare::run(server.address(), &exchange, shape, window))?;
            best = best.max(run.calls_per_second.context("a capacity")?);
        }
        Ok(best)
    }
}

impl Call {
    pub(super) fn new(
        method: &'static str,
        argument: impl serde::Serialize,
        result: impl serde::Serialize,
    ) -> anyhow::Result<Self> {
        let (args, result) = ((argument,).into_args()?, serde_json::to_string(&result)?);
        Ok(Self { method, args, result, timeout: TIMEOUT })
    }

    /// Appends the request. `left` is the time until its deadline.
    pub(super) fn write(&self, out: &mut Vec<u8>, id: u64, left: Duration) {
        let deadline_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1);
        let meta = RequestMeta { deadline_ms: Some(deadline_ms), ..RequestMeta::default() };
        request::extended(out, id, self.method, &self.args, &meta);
    }

    /// The call of a closed loop.
    pub(super) fn exchange(&self) -> Exchange {
        let mut bytes = Vec::new();
        // In a closed loop no call is refused or late.
        self.write(&mut bytes, 7, 10 * self.timeout);
        Exchange::exact(bytes, format!("{{\"id\":7,\"res\":{}}}\n", self.result))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_carries_the_time_left() {
        let call = Work::awaiting().unwrap().call;
        let mut out = Vec::new();
        call.write(&mut out, 3, Duration::from_millis(1_999));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"id\":3,\"method_name\":\"sleep\",\"method_args\":[1.0],\"method_kwargs\":{},\
             \"meta\":{\"deadline_ms\":1999}}\n"
        );
        assert_eq!(call.result, "1.0");
    }
}
