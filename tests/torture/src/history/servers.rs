//! Simulated servers: what each sends, and what a probe of it finds.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::SmallRng;
use rpc_registry::simulation::Outcome;
use rpc_wire::instance::{Instance, InstanceKey, incarnation};
use serde_json::json;

/// How often servers send heartbeats.
pub const BEAT: Duration = Duration::from_secs(5);

/// A server at an address, through its lives.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its address.
    pub key: InstanceKey,
    /// An older one, without incarnation.
    pub is_classic: bool,
    /// That of its last start.
    pub incarnation: u64,
    /// The bodies of its earlier lives, which may still be on their way.
    pub strays: Vec<Body>,
    /// What it does.
    pub state: State,
    /// When it sends the next heartbeat.
    pub next_beat: Duration,
    version: u64,
}

/// What a server does, and can be reached for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is not running, and refuses connections.
    Off,
    /// It sends heartbeats and replies.
    Up,
    /// Its heartbeats are lost; it replies to probes.
    Cut,
    /// Nothing comes from it, and it does not reply.
    Silent,
    /// It has unregistered, refuses connections, and sends heartbeats for ever: an older server that was
    /// stopped.
    Ghost,
}

/// A registration as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Its bytes, which are what the registry lists.
    pub bytes: Vec<u8>,
    /// The incarnation in it.
    pub incarnation: Option<u64>,
}

impl Server {
    /// A server that never ran.
    pub fn new(number: u8, is_classic: bool) -> Self {
        let key = Instance::new(format!("10.0.0.{number}"), 8000 + u16::from(number)).key();
        let strays = Vec::new();
        let next_beat = Duration::ZERO;
        Self { key, is_classic, incarnation: 0, strays, state: State::Off, next_beat, version: 0 }
    }

    /// Starts a new life; `wall` is the time since 1970.
    pub fn start(&mut self, wall: Duration, random: &mut SmallRng) {
        const STRAYS: usize = 3;
        if self.incarnation > 0 {
            self.strays.push(self.body());
            if self.strays.len() > STRAYS {
                self.strays.remove(0);
            }
        }
        // Sometimes its clock was set back.
        let hours = u64::from(random.random_bool(0.1));
        let back = Duration::from_secs(hours * 3600);
        self.incarnation = incarnation(wall - back, random.random());
        self.state = State::Up;
    }

    /// Changes its parameters.
    pub fn change(&mut self) {
        self.version += 1;
    }

    /// What it sends.
    pub fn body(&self) -> Body {
        let mut parameters =
            json!({ "service": if self.version.is_multiple_of(2) { "even" } else { "odd" } });
        let incarnation = (!self.is_classic).then_some(self.incarnation);
        if let (Some(incarnation), Some(parameters)) = (incarnation, parameters.as_object_mut()) {
            parameters.insert("incarnation".to_owned(), incarnation.into());
        }
        let InstanceKey { protocol, host, port } = &self.key;
        let bytes = format!(
            r#"{{"protocol":"{protocol}","host":"{host}","port":{port},"status":true,"parameters":{parameters}}}"#
        );
        Body { bytes: bytes.into_bytes(), incarnation }
    }

    /// What a probe finds.
    pub fn outcome(&self) -> Outcome {
        match self.state {
            State::Off | State::Ghost => Outcome::Refused,
            State::Up | State::Cut => Outcome::Alive,
            State::Silent => Outcome::NoReply,
        }
    }

    /// Whether heartbeats of it arrive.
    pub fn beats(&self) -> bool {
        matches!(self.state, State::Up | State::Ghost)
    }
}
