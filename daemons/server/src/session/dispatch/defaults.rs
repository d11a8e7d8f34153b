//! What the calls of one HTTP request have that say nothing else: its headers say it for all of them.

use rpc_wire::call::{Call, Meta};
use rpc_wire::fault::Fault;
use rpc_wire::json::Json;
use serde_json::value::RawValue;

/// The deadline and the trace of calls without their own.
#[derive(Debug, Default)]
pub(crate) struct Defaults {
    deadline_ms: Option<u64>,
    /// A JSON string.
    traceparent: Option<Box<RawValue>>,
    /// Why none of the calls starts: what a header says cannot be.
    refusal: Option<Fault>,
}

impl Defaults {
    #[cfg(feature = "http")]
    pub(crate) fn new(deadline_ms: Option<u64>, traceparent: Option<&str>) -> Self {
        // A text always serialises.
        let string = |text| serde_json::value::to_raw_value(text).ok();
        Self { deadline_ms, traceparent: traceparent.and_then(string), refusal: None }
    }

    #[cfg(feature = "http")]
    pub(crate) fn refusing(fault: Fault) -> Self {
        Self { refusal: Some(fault), ..Self::default() }
    }

    /// The reply to each call, if none starts.
    pub(crate) fn refusal(&self) -> Option<&Fault> {
        self.refusal.as_ref()
    }

    /// The call, with what it has not said.
    pub(crate) fn of<'a>(&'a self, call: Call<'a>) -> Call<'a> {
        let deadline_ms = call.meta.deadline_ms.or(self.deadline_ms);
        let traceparent = call.traceparent.or(self.traceparent.as_deref().map(Json::from));
        Call { meta: Meta { deadline_ms, ..call.meta }, traceparent, ..call }
    }
}
