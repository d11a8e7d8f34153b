//! What is noted of calls and refusals: a line in the log for each call and, where there is an audit log, one in
//! that for both. Never arguments, results or secrets.

use std::net::IpAddr;
use std::time::Instant;

use rpc_client::Rounded;
use rpc_security::AuditLog;
use serde::Serialize;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::protocol::Call;

/// Who asks, and where that is noted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Who {
    /// Who it is known as.
    pub(crate) name: Option<String>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) audit: Option<AuditLog>,
}

/// What else a line says.
#[derive(Debug, Serialize)]
struct More<'a> {
    /// A tool, or a refusal.
    what: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
}

impl Who {
    /// Tries to write what could not be written before, if there is anything.
    ///
    /// # Errors
    /// It still cannot be written: nothing may be done that needs a line.
    pub(crate) async fn check(&self) -> Result<(), String> {
        let Some(log) = self.audit.clone().filter(|log| log.failing().is_some()) else {
            return Ok(());
        };
        let checked = spawn_blocking(move || log.check()).await;
        checked.unwrap_or_else(|_| Err("the gateway is ending".to_owned()))
    }

    /// Notes what it was refused, before it is told.
    pub(crate) async fn refused(&self, what: &str) {
        if let Some(writing) = self.note("refused", what, None) {
            let _ = writing.await;
        }
    }

    fn note(
        &self,
        deed: &'static str,
        what: &str,
        outcome: Option<&'static str>,
    ) -> Option<JoinHandle<()>> {
        let log = self.audit.clone()?;
        let line = AuditLog::line(deed, self.name.as_deref(), self.address, More { what, outcome });
        // One that cannot be written is kept, and said.
        Some(spawn_blocking(move || drop(log.write(&line))))
    }
}

/// Notes a call when it ends, also if it is dropped.
pub(crate) struct Noting<'a> {
    call: &'a Call,
    who: &'a Who,
    began: Instant,
    outcome: &'static str,
    is_noted: bool,
}

impl<'a> Noting<'a> {
    pub(crate) fn begin(call: &'a Call, who: &'a Who) -> Self {
        Self { call, who, began: Instant::now(), outcome: "cancelled", is_noted: false }
    }

    /// The call has ended; returns when that is written.
    pub(crate) async fn end(mut self, outcome: &'static str) {
        self.outcome = outcome;
        if let Some(writing) = self.note() {
            let _ = writing.await;
        }
    }

    fn note(&mut self) -> Option<JoinHandle<()>> {
        self.is_noted = true;
        let Self { call, who, outcome, .. } = *self;
        let elapsed = Rounded(self.began.elapsed());
        tracing::info!(
            who = who.name,
            address = who.address.map(tracing::field::display),
            client = call.client,
            tool = call.tool.name,
            outcome,
            %elapsed,
            "tool called"
        );
        who.note("called", &call.tool.name, Some(outcome))
    }
}

impl Drop for Noting<'_> {
    fn drop(&mut self) {
        if !self.is_noted {
            // It is written all the same.
            drop(self.note());
        }
    }
}
