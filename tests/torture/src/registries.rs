//! Several registries that share an etcd cluster, of which anything is killed, stopped or cut off: each goes on listing
//! whoever lives, nothing that was acknowledged as durable is lost, and callers notice nothing.

mod fault;
mod members;
mod witness;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::callers::{Called, Callers, Clock, Load};
use crate::cluster::Ending;
use crate::judge::judge;
use crate::outcome::{Fate, Outcome};
use crate::process::Programs;
use crate::trial::Trial;

use fault::{Event, Reached};
use members::Members;
use witness::{MEMBER, SERVER, sorted};
use world::{BOUNDS, REGISTRIES, Server, World};

/// Calls per second, of the callers of each registry.
const RATE: f64 = 60.0;
/// The timeout of a call.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long nothing happens at first and at last.
const QUIET: Duration = Duration::from_secs(2);
/// How long callers may not know that a server has ended, in microseconds.
const NOT_KNOWN: u64 = 50_000;
/// Calls that are named in the report of a failure.
const NAMED: usize = 3;
/// A shorter run need not come to everything.
const ENOUGH: Duration = Duration::from_secs(120);

/// How long.
#[derive(Debug, Clone, Args)]
pub struct RegistriesOptions {
    /// How long faults come, in seconds
    #[arg(long, default_value_t = 120, value_name = "NUMBER")]
    pub seconds: u64,
    /// How long all members of etcd stand still at once
    #[arg(long, value_parser = humantime::parse_duration, default_value = "20s", value_name = "TIME")]
    pub pause: Duration,
    /// Only this fault, by its name in the output
    #[arg(long, value_name = "NAME")]
    pub only: Option<Event>,
}

/// Makes faults, and judges what came of them. Each is told to `say`.
///
/// # Errors
/// The trial could not be made, or what must be so within a time is not.
pub async fn registries(
    programs: Programs,
    options: &RegistriesOptions,
    seed: u64,
    say: impl Fn(&str),
) -> anyhow::Result<Trial> {
    let mut random = SmallRng::seed_from_u64(seed);
    let clock = Arc::new(Clock::new());
    let mut world = World::start(programs, Arc::clone(&clock)).await?;
    let callers = (0..REGISTRIES).map(|first| {
        let load = Load::of_all_kinds(world.url(first), RATE, TIMEOUT);
        Callers::start(load, Arc::clone(&clock), random.random())
    });
    let callers: Vec<_> = callers.collect::<Result<_, _>>()?;
    let mut reached = Reached::default();
    let written = world.written_in(QUIET).await?;
    let mut witnessing = Vec::new();
    for (number, registry) in world.registries.iter().enumerate() {
        let (witness, client) = (&world.witness, registry.client());
        witnessing.push(beside(witness.clone().read(number, client.clone())));
        witnessing.push(beside(witness.clone().watch(number, client.clone())));
    }
    let members = Members::start(&world.witness, &mut random)?;
    let began = Instant::now();
    let time = Duration::from_secs(options.seconds);
    let mut events = Vec::new();
    let mut slowest = Duration::ZERO;
    while began.elapsed() < time {
        if events.is_empty() {
            // All of them, in another order each time.
            events = options.only.map_or_else(Event::all, |only| vec![only]);
            events.shuffle(&mut random);
        }
        let Some(event) = events.pop() else { break };
        let at = began.elapsed().as_secs_f64();
        let happens = event.happens(&mut world, options.pause, &mut random, &mut reached).await;
        let together = happens.with_context(|| format!("{event}, {at:.1} s after the start"))?;
        slowest = slowest.max(together);
        say(&format!("{at:>8.1} s  {event:<24} together after {:.2} s", together.as_secs_f64()));
        sleep(Duration::from_millis(random.random_range(500..1500))).await;
    }
    let mut called = Called::default();
    for callers in callers {
        called = called.and(callers.end().await?);
    }
    let executions = world.ledgers().executions()?;
    let verdict = judge(called.calls, &called.outcomes, Some(&executions));
    let mut trial = Trial::of(&called, &verdict);
    calls(&mut trial, &called, &world.endings);
    world.witness.note(|several, _| several.ends_all());
    drop(members);
    agree(&mut trial, &world).await;
    drop(witnessing);
    trial.count(format!("{:.1}", began.elapsed().as_secs_f64()), "seconds");
    trial.count(
        format!("{:.2}", slowest.as_secs_f64()),
        "seconds from the end of a fault until all were together, at most",
    );
    trial.never(written, "writes to etcd while there were heartbeats only");
    let is_long = time >= ENOUGH && options.only.is_none();
    world.witness.judge(&mut trial, is_long);
    reached.judge(&mut trial, is_long);
    if !trial.broken.is_empty() {
        trial.errors.push(world.transcripts());
    }
    Ok(trial)
}

fn beside(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

/// No call fails but those in flight on a server that was killed, and of these none that may be repeated.
fn calls(trial: &mut Trial, called: &Called, killed: &[Ending]) {
    let failed = || called.outcomes.iter().filter(|outcome| outcome.fate != Fate::Ok);
    let was_in_flight = |outcome: &Outcome| {
        killed.iter().any(|ending| {
            outcome.port == ending.port
                && outcome.due <= ending.to + NOT_KNOWN
                && outcome.ended() >= ending.from
        })
    };
    let wrong = failed().filter(|it| it.method.may_repeat() || !was_in_flight(it));
    let wrong: Vec<_> = wrong.collect();
    let count = wrong.len() as u64;
    trial.never(count, "calls failed that were not in flight on a server that was killed");
    trial.errors.extend(wrong.iter().take(NAMED).map(|outcome| format!("{outcome:?}")));
}

/// Once all members have ended, the registries list the servers alone, and so do their events.
async fn agree(trial: &mut Trial, world: &World) {
    let (began, limit) = (Instant::now(), BOUNDS.gone);
    let servers = sorted(world.servers.iter().map(Server::port));
    loop {
        let mut lists = BTreeMap::new();
        for (number, registry) in world.registries.iter().enumerate() {
            for protocol in [SERVER, MEMBER] {
                let listed = registry.lists(protocol).await;
                let folded = world.witness.folded(number, protocol);
                lists.insert((protocol, number), (listed, folded));
            }
        }
        let is_right = lists.iter().all(|((protocol, _), (listed, folded))| {
            let expected = if *protocol == SERVER { servers.as_slice() } else { &[] };
            listed.as_deref() == Some(expected) && folded == expected
        });
        if is_right {
            return;
        }
        if began.elapsed() > limit {
            trial.broken.push(format!("{limit:?} after the end they list and say: {lists:?}"));
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}
