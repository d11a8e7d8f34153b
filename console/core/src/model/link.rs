//! The connection to the registry, or the one server that is opened without one.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use rpc_wire::instance::{Instance, InstanceKey};
use rpc_wire::report::Readiness;
use rpc_wire::target::Target;

use crate::model::Now;
use crate::model::heard::Heard;
use crate::model::standing::Standing;

/// The registry and the connection to it.
#[derive(Debug)]
pub struct Link {
    /// The registry's URL as given, or the address of the one server.
    pub url: String,
    /// Which of several registries is in use, once one is; its URL.
    pub at: Option<String>,
    /// The one server, if there is no registry.
    pub server: Option<InstanceKey>,
    /// State of the connection.
    pub state: LinkState,
    /// When the registry was heard; `None`: it is polled, or was not asked yet.
    pub heard: Option<Heard>,
    /// What it says of its own condition; nothing is wrong before it says so.
    pub readiness: Readiness,
    /// Who the console is for it.
    pub standing: Standing,
    /// Since when it is silent although it is connected.
    pub silent: Option<Instant>,
}

/// State of the connection.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkState {
    /// The first attempt is in progress.
    Connecting,
    /// No registry: one server, opened by its address.
    Direct,
    /// Connected.
    Live {
        /// Whether the registry reports heartbeat ages; older ones do not.
        ages: bool,
    },
    /// It cannot be used; the list of instances is kept.
    Lost {
        /// When the connection was lost, or the console started.
        since: Instant,
        /// Failed attempts since then.
        attempts: u32,
        /// When the next attempt starts.
        retry_at: Instant,
        /// The reason, in one line.
        error: String,
        /// What kind of reason it is.
        obstacle: Obstacle,
        /// Whether it was connected before.
        was_live: bool,
    },
}

/// What keeps the console from the registry: it decides what a person does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Obstacle {
    /// It does not reply, or not as a registry.
    #[default]
    Unreachable,
    /// There is no TLS with it: one side is not whom the other trusts, or only one of them speaks it.
    Insecure,
    /// It does not know who the console is, or does not let it read.
    Refused,
}

impl Obstacle {
    /// What it is, where the connection was never there.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Insecure => "no TLS",
            Self::Refused => "refused",
        }
    }

    /// Where a person looks, in that section of config.ini; `None`: at the registry, which is to be started.
    pub fn remedy(self, section: &str) -> Option<String> {
        match self {
            Self::Unreachable => None,
            Self::Insecure => {
                Some(format!("see tls, tls_ca, tls_cert and tls_key in [{section}] of config.ini"))
            }
            Self::Refused => {
                Some(format!("see token_file in [{section}] of config.ini, or RPCD_TOKEN"))
            }
        }
    }
}

impl Link {
    /// A registry not yet contacted.
    pub fn new(url: impl Into<String>, _now: Now) -> Self {
        Self {
            url: url.into(),
            at: None,
            server: None,
            state: LinkState::Connecting,
            heard: None,
            readiness: Readiness::default(),
            standing: Standing::default(),
            silent: None,
        }
    }

    /// A registry not yet contacted, or a server without one.
    pub fn to(target: &Target, now: Now) -> Self {
        match target {
            Target::Registry { url } => Self::new(url, now),
            Target::Direct { .. } | Target::JsonRpc { .. } => Self {
                url: target.to_string(),
                at: None,
                server: target.host_and_port().map(|(host, port)| Instance::new(host, port).key()),
                state: LinkState::Direct,
                heard: None,
                readiness: Readiness::default(),
                standing: Standing::default(),
                silent: None,
            },
        }
    }

    /// What calls to an instance go to: its address, or the URL at which it was opened.
    pub fn target_of(&self, key: &InstanceKey) -> Target {
        match self.server.as_ref() == Some(key) && self.url.contains("://") {
            true => Target::JsonRpc { url: self.url.clone() },
            false => Target::Direct { host: key.host.clone(), port: key.port },
        }
    }

    /// Whether it is asked by TLS.
    pub fn is_secure(&self) -> bool {
        self.url.starts_with("https://")
    }

    /// The URL without its scheme; of several registries, that of the one in use.
    pub fn address(&self) -> &str {
        let url = self.at.as_ref().unwrap_or(&self.url);
        let address = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        address.unwrap_or(url).trim_end_matches('/')
    }

    /// The command that starts such a registry, for its own machine only if the address is.
    pub fn start_command(&self) -> String {
        let authority = self.address().split('/').next().unwrap_or_default();
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
        let host = if host == "localhost" { "127.0.0.1" } else { host.trim_matches(['[', ']']) };
        let is_local = host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        let listen = if is_local { format!(" -l {host}") } else { String::new() };
        format!("rpcd registry -p {port}{listen}")
    }

    /// Looks whether the registry is silent; returns the length of a silence that is over.
    pub fn look(&mut self, now: Instant) -> Option<Duration> {
        let is_connected = matches!(self.state, LinkState::Live { .. });
        let heard = self.heard.as_mut().filter(|_| is_connected);
        let silent = heard.and_then(|heard| heard.is_silent(now).then_some(heard.last));
        let over = self.silent.filter(|_| silent.is_none() && is_connected);
        self.silent = silent;
        let heard = self.heard.map(|heard| heard.last);
        over.and_then(|since| Some(heard?.saturating_duration_since(since)))
    }

    /// Why nothing can be done at the registry; `None`: it is connected.
    pub fn lacks(&self) -> Option<&'static str> {
        match &self.state {
            LinkState::Direct => Some("no registry"),
            LinkState::Lost { obstacle: Obstacle::Insecure, .. } => {
                Some("no TLS with the registry")
            }
            LinkState::Lost { obstacle: Obstacle::Refused, .. } => {
                Some("the registry does not let the console in")
            }
            _ => (!self.is_live()).then_some("registry unreachable"),
        }
    }

    /// Whether the list of instances is current: the registry is connected and not silent, or there is
    /// none.
    pub fn is_live(&self) -> bool {
        self.silent.is_none() && matches!(self.state, LinkState::Live { .. } | LinkState::Direct)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_of_this_machine_is_started_for_this_machine() {
        let now = Now { at: Instant::now(), wall_ms: 0 };
        let command = |url: &str| Link::new(url, now).start_command();
        assert_eq!(command("http://127.0.0.1:24999"), "rpcd registry -p 24999 -l 127.0.0.1");
        assert_eq!(command("http://localhost:9999/"), "rpcd registry -p 9999 -l 127.0.0.1");
        assert_eq!(command("http://[::1]:9999"), "rpcd registry -p 9999 -l ::1");
        assert_eq!(command("http://10.0.0.7:9999"), "rpcd registry -p 9999");
        assert_eq!(command("http://registry"), "rpcd registry -p 80");
    }
}
