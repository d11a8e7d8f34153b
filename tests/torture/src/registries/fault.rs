//! What happens to registries that share etcd, and what each of it must come to.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::RngExt;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rpc_wire::instance::{Instance, OverrideRequest, OverrideState};
use rustix::process::Signal;
use tokio::time::sleep;

use super::witness::SERVER;
use super::world::{BOUNDS, REGISTRIES, Registry, TOGETHER, World};
use crate::etcd::MEMBERS;
use crate::proxy::Fault;
use crate::trial::Trial;

/// The longest time from the end of a registry until its servers send their heartbeats to another one: less than its
/// lease, after which they would be taken over anyway.
const BEATS_ELSEWHERE: Duration = Duration::from_millis(1800);
/// The same of servers that lived nowhere but at one registry, and end together with it: its lease, what etcd takes
/// to notice, a second, and a probe.
const GONE: Duration = Duration::from_secs(8);
/// Longer than a lease and the time after which instances are taken over.
const LONG: Duration = Duration::from_secs(4);
/// Interval between looks.
const LOOK: Duration = Duration::from_millis(20);

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A registry is killed and back.
    RegistryKilled,
    /// A registry ends as it should, and is back.
    RegistryEnded,
    /// A registry stands still for longer than its lease.
    RegistryPaused,
    /// A server is killed and back.
    ServerKilled,
    /// A server unregisters, and is back.
    ServerEnded,
    /// A server and the registry that has its heartbeats are killed at once.
    BothKilled,
    /// A member of etcd is killed and back.
    MemberKilled,
    /// Two are: there is no quorum.
    QuorumLost,
    /// All are.
    EtcdKilled,
    /// All stand still.
    EtcdPaused,
    /// Nothing passes between a registry and etcd.
    CutOff,
    /// Nothing of what etcd says reaches a registry.
    HalfCutOff,
    /// A registry is refused by etcd.
    Refused,
    /// All of etcd and all registries are killed, and start in any order.
    AllKilled,
    /// An operator takes a server out of use, and back.
    Overridden,
}

impl Event {
    const NAMES: [(&'static str, Self); 15] = [
        ("registry-killed", Self::RegistryKilled),
        ("registry-ended", Self::RegistryEnded),
        ("registry-paused", Self::RegistryPaused),
        ("server-killed", Self::ServerKilled),
        ("server-ended", Self::ServerEnded),
        ("both-killed", Self::BothKilled),
        ("member-killed", Self::MemberKilled),
        ("quorum-lost", Self::QuorumLost),
        ("etcd-killed", Self::EtcdKilled),
        ("etcd-paused", Self::EtcdPaused),
        ("cut-off", Self::CutOff),
        ("half-cut-off", Self::HalfCutOff),
        ("refused", Self::Refused),
        ("all-killed", Self::AllKilled),
        ("overridden", Self::Overridden),
    ];

    pub(super) fn all() -> Vec<Self> {
        Self::NAMES.map(|(_, event)| event).into()
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, event)| event == self);
        f.pad(name.map_or("", |(name, _)| name))
    }
}

impl FromStr for Event {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, event)| *event).ok_or_else(|| {
            let names = Self::NAMES.map(|(name, _)| name).join(", ");
            format!("no such fault; there are: {names}")
        })
    }
}

/// What was needed at least once: otherwise it was not tested.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// Times that a registry took over instances of one that had ended.
    adopted: usize,
    /// Servers that a registry took over although they sent their heartbeats to another one, which took them back.
    taken_back: u64,
    /// Servers that went to another registry when theirs ended.
    moved: u64,
    /// Times that all registries said that they cannot write.
    degraded: u64,
    /// Servers that died with their registry, and left the list of the other one.
    gone_with_it: u64,
    /// Overrides that every registry followed.
    overridden: u64,
}

impl Reached {
    pub(super) fn judge(&self, trial: &mut Trial, is_long: bool) {
        for (count, what) in [
            (self.adopted as u64, "times that instances of a registry were taken over"),
            (self.taken_back, "servers taken back by a registry that was cut off"),
            (self.moved, "servers that went to another registry when theirs ended"),
            (self.degraded, "times that all registries said that they cannot write"),
            (self.gone_with_it, "servers that died with their registry and were removed"),
            (self.overridden, "overrides that every registry followed"),
        ] {
            match is_long {
                true => trial.sometimes(count, what),
                false => trial.count(count, what),
            }
        }
    }
}

impl Event {
    /// It happens and is over; how long it takes then until all are together again.
    ///
    /// # Errors
    /// What must be so within a time is not.
    pub(super) async fn happens(
        self,
        world: &mut World,
        pause: Duration,
        random: &mut SmallRng,
        reached: &mut Reached,
    ) -> anyhow::Result<Duration> {
        let a_while = Duration::from_millis(random.random_range(300..4000));
        let number = random.random_range(0..REGISTRIES);
        let other = (number + 1) % REGISTRIES;
        let adoptions: usize = world.registries.iter().map(Registry::adoptions).sum();
        match self {
            Self::RegistryKilled => {
                let theirs = beats_at(world, number).await?;
                let began = Instant::now();
                world.end_registry(number, Signal::KILL).await?;
                if a_while > BEATS_ELSEWHERE {
                    move_to(world, &theirs, other, began).await?;
                    reached.moved += theirs.len() as u64;
                }
                sleep(a_while.saturating_sub(began.elapsed())).await;
                world.lists_servers(Instant::now()).await?;
                world.start_registry(number).await?;
            }
            Self::RegistryEnded => {
                world.end_registry(number, Signal::TERM).await?;
                sleep(a_while).await;
                world.start_registry(number).await?;
            }
            Self::RegistryPaused => {
                world.apart(true, [number]);
                world.signal_registry(number, Signal::STOP)?;
                sleep(LONG + a_while).await;
                world.signal_registry(number, Signal::CONT)?;
            }
            Self::ServerKilled | Self::ServerEnded => {
                let server = random.random_range(0..world.servers.len());
                let is_killed = self == Self::ServerKilled;
                let signal = if is_killed { Signal::KILL } else { Signal::TERM };
                world.end_server(server, signal).await?;
                let ended = Instant::now();
                world.lists_servers(ended).await?;
                ensure!(
                    is_killed || ended.elapsed() < BOUNDS.spread,
                    "a server that had unregistered was listed for {:?}",
                    ended.elapsed()
                );
                sleep(a_while).await;
                world.lists_servers(Instant::now()).await?;
                world.start_server(server).await?;
            }
            Self::BothKilled => {
                let server = random.random_range(0..world.servers.len());
                let port = world.servers[server].port();
                let owner = world.owners().await?.get(&port).copied().flatten();
                let owner = owner.context("a server that lives nowhere")?;
                world.end_registry(owner, Signal::KILL).await?;
                world.end_server(server, Signal::KILL).await?;
                let ended = Instant::now();
                world.lists_servers(ended).await?;
                ensure!(
                    ended.elapsed() < GONE,
                    "a server that was killed with its registry was listed for {:?}",
                    ended.elapsed()
                );
                reached.gone_with_it += 1;
                world.start_registry(owner).await?;
                world.start_server(server).await?;
            }
            Self::MemberKilled => {
                let member = random.random_range(0..MEMBERS);
                world.apart(false, 0..REGISTRIES);
                world.etcd.kill(member).await?;
                // The others are enough.
                world.comes_together().await.context("without one member of etcd")?;
                sleep(a_while).await;
                world.etcd.launch(member)?;
            }
            Self::QuorumLost => {
                world.apart(false, 0..REGISTRIES);
                let first = random.random_range(0..MEMBERS);
                let two = [first, (first + 1) % MEMBERS];
                for member in two {
                    world.etcd.kill(member).await?;
                }
                are_degraded(world, reached).await?;
                sleep(a_while).await;
                for member in two {
                    world.etcd.launch(member)?;
                }
                world.etcd.is_ready().await?;
            }
            Self::EtcdKilled => {
                world.apart(false, 0..REGISTRIES);
                for member in 0..MEMBERS {
                    world.etcd.kill(member).await?;
                }
                are_degraded(world, reached).await?;
                sleep(a_while).await;
                for member in 0..MEMBERS {
                    world.etcd.launch(member)?;
                }
                world.etcd.is_ready().await?;
            }
            Self::EtcdPaused => {
                world.apart(false, 0..REGISTRIES);
                (0..MEMBERS).try_for_each(|at| world.etcd.signal(at, Signal::STOP))?;
                sleep(pause).await;
                are_degraded(world, reached).await?;
                (0..MEMBERS).try_for_each(|at| world.etcd.signal(at, Signal::CONT))?;
                world.etcd.is_ready().await?;
            }
            Self::CutOff => cut_off(world, number, Fault::Silent, a_while, reached).await?,
            Self::HalfCutOff => cut_off(world, number, Fault::HalfOpen, a_while, reached).await?,
            Self::Refused => cut_off(world, number, Fault::Cut, a_while, reached).await?,
            Self::AllKilled => all_killed(world, random).await?,
            Self::Overridden => {
                let server = random.random_range(0..world.servers.len());
                overridden(world, server, number, a_while).await?;
                reached.overridden += 1;
            }
        }
        let now: usize = world.registries.iter().map(Registry::adoptions).sum();
        reached.adopted += now.saturating_sub(adoptions);
        world.comes_together().await
    }
}

/// The ports of the servers whose heartbeats a registry takes.
async fn beats_at(world: &World, number: usize) -> anyhow::Result<Vec<u16>> {
    let owners = world.owners().await?;
    Ok(owners
        .into_iter()
        .filter(|(_, owner)| *owner == Some(number))
        .map(|(port, _)| port)
        .collect())
}

/// Waits until a registry takes the heartbeats of these servers.
async fn move_to(
    world: &World,
    servers: &[u16],
    number: usize,
    began: Instant,
) -> anyhow::Result<()> {
    loop {
        let there = beats_at(world, number).await?;
        if servers.iter().all(|port| there.contains(port)) {
            return Ok(());
        }
        ensure!(
            began.elapsed() < BEATS_ELSEWHERE,
            "{BEATS_ELSEWHERE:?} after the end of their registry {servers:?} do not send all their heartbeats to the other one, which has {there:?}"
        );
        sleep(LOOK).await;
    }
}

/// Waits until all registries say that they cannot write.
async fn are_degraded(world: &World, reached: &mut Reached) -> anyhow::Result<()> {
    let began = Instant::now();
    for number in 0..REGISTRIES {
        world
            .waits(began, number, "says that it cannot write", async |it| !it.is_ready().await)
            .await?;
    }
    reached.degraded += 1;
    Ok(())
}

/// A registry cannot reach etcd for longer than its lease: another one takes over its servers, which go on sending
/// their heartbeats to it, so that it takes them back.
async fn cut_off(
    world: &mut World,
    number: usize,
    fault: Fault,
    a_while: Duration,
    reached: &mut Reached,
) -> anyhow::Result<()> {
    let theirs = beats_at(world, number).await?;
    world.apart(false, [number]);
    world.registries[number].reaches_etcd(Some(fault));
    sleep(LONG + a_while).await;
    // It serves the last state, in which every server was.
    world.lists_servers(Instant::now()).await?;
    let meanwhile = beats_at(world, number).await?;
    world.registries[number].reaches_etcd(None);
    let taken: Vec<_> = theirs.iter().filter(|port| !meanwhile.contains(port)).collect();
    let began = Instant::now();
    loop {
        let again = beats_at(world, number).await?;
        if taken.iter().all(|port| again.contains(port)) {
            reached.taken_back += taken.len() as u64;
            return Ok(());
        }
        ensure!(
            began.elapsed() < TOGETHER,
            "not within {TOGETHER:?}: registry {number} takes back {taken:?}, whose heartbeats it has; it has {again:?}\n{}",
            world.transcripts()
        );
        sleep(LOOK).await;
    }
}

async fn all_killed(world: &mut World, random: &mut SmallRng) -> anyhow::Result<()> {
    #[derive(Clone, Copy)]
    enum Part {
        Member(usize),
        Registry(usize),
    }
    let members = (0..MEMBERS).map(Part::Member);
    let mut parts: Vec<_> = members.chain((0..REGISTRIES).map(Part::Registry)).collect();
    parts.shuffle(random);
    world.apart(false, 0..REGISTRIES);
    for part in &parts {
        match *part {
            Part::Member(at) => world.etcd.kill(at).await?,
            Part::Registry(number) => world.end_registry(number, Signal::KILL).await?,
        }
    }
    parts.shuffle(random);
    for part in parts {
        match part {
            Part::Member(at) => world.etcd.launch(at)?,
            Part::Registry(number) => world.start_registry(number).await?,
        }
        sleep(Duration::from_millis(random.random_range(0..700))).await;
    }
    world.etcd.is_ready().await
}

/// An operator tells one registry, and later another one.
async fn overridden(
    world: &World,
    server: usize,
    number: usize,
    a_while: Duration,
) -> anyhow::Result<()> {
    let port = world.servers[server].port();
    let key = Instance::new("127.0.0.1", port).key();
    let asked =
        OverrideRequest { state: OverrideState::Draining, reason: None, duration: None, by: None };
    let (one, other) = (&world.registries[number], &world.registries[(number + 1) % REGISTRIES]);
    one.client().set_override(&key, &asked).await?;
    all_list(world, port, false).await?;
    sleep(a_while).await;
    all_list(world, port, false).await?;
    other.client().clear_override(&key).await?;
    all_list(world, port, true).await
}

/// Waits until all registries list a server, or none does.
async fn all_list(world: &World, port: u16, listed: bool) -> anyhow::Result<()> {
    let began = Instant::now();
    for (number, registry) in world.registries.iter().enumerate() {
        let is_so = async || {
            registry.lists(SERVER).await.is_some_and(|list| list.contains(&port) == listed)
        };
        while !is_so().await {
            ensure!(
                began.elapsed() < BOUNDS.spread,
                "not within {:?}: an override is followed by registry {number}",
                BOUNDS.spread
            );
            sleep(LOOK).await;
        }
    }
    Ok(())
}
