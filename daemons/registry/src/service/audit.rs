//! The audit log: who registered, replaced, unregistered and operated, and what was refused to whom.
//!
//! What needs a line is refused (503) while lines cannot be written, so that nothing is done that is in no
//! log; heartbeats and readers need none.

use rpc_security::AuditLog;
use rpc_wire::instance::InstanceKey;
use serde::Serialize;

use super::{Sender, Service};
use crate::error::Refusal;

/// What was done, or refused.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Deed {
    Registered,
    /// Other parameters, or another life, in place of what was registered.
    Replaced,
    Unregistered,
    Overridden,
    OverrideCleared,
    BrakeReleased,
    Refused,
}

/// What else a line says.
#[derive(Debug, Serialize)]
struct More<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a InstanceKey>,
    /// What of it: a service, a state, a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<String>,
}

impl Service {
    /// Refuses what needs a line while lines cannot be written.
    ///
    /// # Errors
    /// They cannot.
    pub(crate) async fn check_audit(&self) -> Result<(), Refusal> {
        let Some(log) = self.options.audit.clone().filter(|log| log.failing().is_some()) else {
            return Ok(());
        };
        self.blocking(move || log.check()).await.map_err(Refusal::AuditFailing)
    }

    /// Notes a deed, before its sender is told.
    pub(crate) async fn audit(
        &self,
        deed: Deed,
        sender: &Sender,
        instance: Option<&InstanceKey>,
        what: Option<String>,
    ) {
        let Some(log) = self.options.audit.clone() else { return };
        let more = More { instance, what };
        let line = AuditLog::line(deed, sender.name(), Some(sender.address), more);
        // One that cannot be written is kept, and said.
        let _ = self.blocking(move || log.write(&line)).await;
    }

    /// Whether the audit log cannot be written.
    pub(crate) fn audit_is_failing(&self) -> bool {
        self.options.audit.as_ref().and_then(AuditLog::failing).is_some()
    }

    async fn blocking(
        &self,
        work: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) -> Result<(), String> {
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|_| Err("the registry is ending".to_owned()))
    }
}
