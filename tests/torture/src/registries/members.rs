//! Instances that nobody calls, which register at one registry or another, beat or keep silent, change, unregister, are
//! killed and come back, and whose earlier lives are heard of late: what the registries say of them is witnessed.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rpc_wire::instance::{INCARNATION_KEY, Instance, VERSION_KEY, incarnation};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::witness::{MEMBER, Witness};
use crate::proxy::{ReservedPort, listen};

/// How many.
const MEMBERS: usize = 8;
/// Interval between heartbeats.
const BEAT: Duration = Duration::from_millis(500);
/// The most heartbeats of a life.
const MOST_BEATS: u32 = 40;
/// The longest time from one life to the next.
const LONGEST_OFF: Duration = Duration::from_secs(8);
/// How long a heartbeat may be on its way.
const LATEST: Duration = Duration::from_secs(4);
/// Earlier lives that may be heard of late.
const STRAYS: usize = 3;

/// Dropping them ends them.
pub(super) struct Members(#[expect(dead_code, reason = "it ends them")] Vec<AbortOnDropHandle<()>>);

impl Members {
    pub(super) fn start(witness: &Witness, random: &mut SmallRng) -> anyhow::Result<Self> {
        let member = |_| {
            let member = Member {
                port: ReservedPort::new()?,
                registry: 0,
                witness: witness.clone(),
                random: SmallRng::seed_from_u64(random.random()),
                life: 0,
                strays: Vec::new(),
            };
            Ok(AbortOnDropHandle::new(tokio::spawn(member.lives())))
        };
        (0..MEMBERS).map(member).collect::<anyhow::Result<_>>().map(Self)
    }
}

struct Member {
    port: ReservedPort,
    /// At which it registers.
    registry: usize,
    witness: Witness,
    random: SmallRng,
    life: u64,
    strays: Vec<Instance>,
}

impl Member {
    async fn lives(mut self) {
        loop {
            // It only fails where the system is out of something; the next life may find it.
            if let Ok(accepting) = self.accept() {
                let (last, has_left) = self.live().await;
                self.witness.ends(&last);
                drop(accepting);
                if has_left && self.random.random_bool(0.5) {
                    sleep(self.random.random_range(Duration::ZERO..LATEST)).await;
                    let registry = self.random.random_range(0..self.witness.registries());
                    self.witness.late_heartbeat(registry, &last).await;
                }
                self.strays.push(last);
                if self.strays.len() > STRAYS {
                    self.strays.remove(0);
                }
            }
            sleep(self.random.random_range(Duration::ZERO..LONGEST_OFF)).await;
        }
    }

    /// One life, in the words of its last registration, and whether its farewell was acknowledged.
    async fn live(&mut self) -> (Instance, bool) {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.life = incarnation(since_1970, self.random.random()).max(self.life + 1);
        self.registry = self.random.random_range(0..self.witness.registries());
        let mut instance = Instance::new("127.0.0.1", self.port.address().port());
        instance.protocol = MEMBER.to_owned();
        instance.parameters.insert(INCARNATION_KEY.to_owned(), self.life.into());
        // Who is silent once it is durable shows what is forgotten: no heartbeat brings it back.
        let is_silent = self.random.random_bool(0.4);
        let mut is_durable = false;
        for version in 0..self.random.random_range(1..MOST_BEATS) {
            if !(is_silent && is_durable) {
                is_durable = self.register(&instance).await;
                match self.random.random_range(0..10) {
                    _ if is_silent => {}
                    0 => drop(
                        instance
                            .parameters
                            .insert(VERSION_KEY.to_owned(), version.to_string().into()),
                    ),
                    1 => self.stray().await,
                    _ => {}
                }
            }
            sleep(BEAT.mul_f64(self.random.random_range(0.8..1.2))).await;
        }
        if self.random.random_bool(0.5) {
            return (instance, false);
        }
        let mut has_left = self.witness.unregister(self.registry, &instance).await;
        if !has_left {
            self.turn();
            has_left = self.witness.unregister(self.registry, &instance).await;
        }
        (instance, has_left)
    }

    /// Registers, with another registry if that does not reply; whether it is durable.
    async fn register(&mut self, instance: &Instance) -> bool {
        if let Some(durable) = self.witness.register(self.registry, instance).await {
            return durable;
        }
        self.turn();
        self.witness.goes_elsewhere();
        self.witness.register(self.registry, instance).await.unwrap_or(false)
    }

    fn turn(&mut self) {
        self.registry = (self.registry + 1) % self.witness.registries();
    }

    /// Something of an earlier life arrives at last, at any registry.
    async fn stray(&mut self) {
        let registry = self.random.random_range(0..self.witness.registries());
        let Some(stray) = self.strays.choose(&mut self.random) else { return };
        if self.random.random_bool(0.5) {
            self.witness.register(registry, stray).await;
        } else {
            self.witness.unregister(registry, stray).await;
        }
    }

    /// Accepts the connections of probes.
    fn accept(&self) -> io::Result<AbortOnDropHandle<()>> {
        let listener = listen(self.port.address())?;
        Ok(AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                drop(listener.accept().await);
            }
        })))
    }
}
