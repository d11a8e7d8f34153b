//! Every limit and time of a registry client, with its default.

use std::time::Duration;

use rpc_security::ClientTlsOptions;
use rpc_wire::instance::EntryLimits;

use crate::Token;

/// Limits and times of a [`RegistryClient`](super::RegistryClient). Each field says its default.
#[derive(Debug, Clone)]
pub struct RegistryClientOptions {
    /// Timeout of opening a connection; 2 s.
    pub connect_timeout: Duration,
    /// Timeout of a request with its whole response, event streams excepted; 5 s.
    pub timeout: Duration,
    /// Of several addresses: one that does not begin to reply within this time, beyond what it was asked to wait for
    /// a change, is left for the next one; 3 s.
    pub failover_after: Duration,
    /// Largest list, and largest event of a stream; 32 MiB. In memory a list takes at most eight times as
    /// much, and one instance 64 KiB; entries beyond that are skipped.
    pub max_list_bytes: usize,
    /// Largest response that is one instance or an error: to a registration, which is the heartbeat as well,
    /// and to its end; 64 KiB.
    pub max_instance_bytes: usize,
    /// Most instances of a list; 200,000, as many as a registry takes. Further ones are skipped.
    pub max_instances: usize,
    /// Longest line of an event stream; 1 MiB.
    pub max_event_line_bytes: usize,
    /// An unused connection is closed after this time; 30 s.
    pub idle_timeout: Duration,
    /// Interval of the system's keepalive probes of a silent connection; 15 s.
    pub keepalive: Duration,
    /// The secret that is shown to the registry: none. It is sent over TLS or to loopback only, unless
    /// `allow_plaintext_token`, and never across a redirect.
    pub token: Option<Token>,
    /// Whether the token is sent in plain text as well; false.
    pub allow_plaintext_token: bool,
    /// Whom TLS to a registry at `https://` trusts, and who this client is itself. By default the authorities of
    /// the system, and nobody.
    pub tls: ClientTlsOptions,
}

impl Default for RegistryClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
            failover_after: Duration::from_secs(3),
            max_list_bytes: 32 << 20,
            max_instance_bytes: 64 << 10,
            max_instances: 200_000,
            max_event_line_bytes: 1 << 20,
            idle_timeout: Duration::from_secs(30),
            keepalive: Duration::from_secs(15),
            token: None,
            allow_plaintext_token: false,
            tls: ClientTlsOptions::default(),
        }
    }
}

/// A limit of a response, with the option that sets it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) bytes: usize,
    pub(super) option: &'static str,
}

impl RegistryClientOptions {
    /// The same with that timeout of a request, of which other addresses have half at least.
    #[must_use]
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout, failover_after: self.failover_after.min(timeout / 2), ..self }
    }

    pub(super) fn max_list(&self) -> Limit {
        Limit { bytes: self.max_list_bytes, option: "max_list_bytes" }
    }

    /// In memory a list takes at most eight times the bytes that it may have.
    pub(super) fn entries(&self) -> EntryLimits {
        const FACTOR: usize = 8;
        EntryLimits {
            entries: self.max_instances,
            memory: self.max_list_bytes.saturating_mul(FACTOR),
        }
    }

    pub(super) fn max_instance(&self) -> Limit {
        Limit { bytes: self.max_instance_bytes, option: "max_instance_bytes" }
    }
}
