//! One history: simulated servers, operators and watchers of a registry, with its clock, compared with what
//! must hold at each step. [`seen`] and [`fold`] are what must hold of what clients of a real registry were told,
//! as in a [soak](crate::soak); [`several`] of several ones that share what they know.

pub mod fold;
pub mod model;
pub mod registry;
pub mod seen;
pub mod servers;
pub mod several;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rpc_registry::RegistryOptions;
use rpc_registry::simulation::{Answer, Outcome};
use rpc_wire::instance::InstanceKey;

use self::model::{Model, Times};
use self::registry::{Defect, Simulated};
use self::servers::{BEAT, Body, Server, State};
use self::watch::Watch;
use crate::report::HistoryReport;
use crate::runs::{Run, Wrong};

/// The wall clock at the start, since 1970.
const WALL: Duration = Duration::from_secs(1_800_000_000);

/// How many of the last things that happened the message of a failure has.
const NOTED: usize = 40;

/// Watchers at a time.
const WATCHERS: usize = 3;

/// Operations of a history.
pub const OPERATIONS: u64 = 1000;

/// Histories of a registry, perhaps with a defect.
pub fn runs(defect: Option<Defect>) -> Run<HistoryReport> {
    Arc::new(move |seed, report| run(defect, seed, report))
}

fn run(defect: Option<Defect>, seed: u64, report: &mut HistoryReport) -> Result<(), Wrong> {
    let mut random = SmallRng::seed_from_u64(seed);
    let options = RegistryOptions {
        // So that watchers fall behind.
        max_history: random.random_range(4..40),
        ..RegistryOptions::default()
    };
    let times = Times {
        ttl: options.ttl,
        check: options.check_interval,
        suspect: options.suspect_window,
        brake: options.brake_window,
        rejoin: options.rejoin_window,
    };
    let count: u8 = random.random_range(2..16);
    let servers = (1..=count).map(|number| Server::new(number, random.random_bool(0.3))).collect();
    let mut history = History {
        registry: Simulated::new(options, WALL, defect)?,
        servers,
        model: Model::default(),
        stored: Model::default(),
        watches: Vec::new(),
        lists: BTreeMap::new(),
        now: Duration::ZERO,
        late: VecDeque::new(),
        times,
        random,
        report,
    };
    history.report.runs += 1;
    for step in 0..OPERATIONS {
        history.report.operations += 1;
        let done = history.step().and_then(|()| history.compare());
        if let Err(wrong) = done {
            let late: Vec<String> = history.late.into();
            return Err(format!("step {step}, {:?}: {wrong}\n{}", history.now, late.join("\n")));
        }
    }
    Ok(())
}

struct History<'a> {
    registry: Simulated,
    servers: Vec<Server>,
    /// What the registry must know.
    model: Model,
    /// What it must know if it ended now.
    stored: Model,
    watches: Vec<Watch>,
    /// The lists of late, by revision.
    lists: BTreeMap<u64, Vec<u8>>,
    now: Duration,
    /// What happened last, for the message of a failure.
    late: VecDeque<String>,
    times: Times,
    random: SmallRng,
    report: &'a mut HistoryReport,
}

impl History<'_> {
    fn note(&mut self, what: String) {
        if self.late.len() == NOTED {
            self.late.pop_front();
        }
        self.late.push_back(format!("{:>12.3?} {}", self.now, what));
    }

    fn step(&mut self) -> Result<(), Wrong> {
        let at = self.random.random_range(0..self.servers.len());
        match self.random.random_range(0..1000) {
            0..550 => self.next_event(),
            550..630 => self.start(at),
            630..670 => self.stop(at),
            670..700 => self.kill(at),
            700..725 => self.lose(at, State::Cut),
            725..750 => self.lose(at, State::Silent),
            750..800 => self.heal(at),
            800..830 => self.change(at),
            830..860 => self.stray(at),
            860..880 => self.drain(at),
            880..900 => self.undrain(at),
            900..910 => self.pause(),
            910..916 => self.lose_all(),
            916..918 => self.release_brake(),
            918..922 => self.set_clock(),
            922..930 => self.restart(),
            930..960 => self.watch(),
            _ => self.commit(),
        }
    }

    /// Lets time pass until the next heartbeat or check.
    fn next_event(&mut self) -> Result<(), Wrong> {
        let beating = self.servers.iter().enumerate().filter(|(_, server)| server.beats());
        let next = beating.map(|(at, server)| (server.next_beat, at)).min();
        let check = self.registry.next_check();
        match next {
            Some((beat, at)) if beat < check => {
                self.now = self.now.max(beat);
                self.beat(at)
            }
            _ => {
                self.now = self.now.max(check);
                self.check()
            }
        }
    }

    /// A server sends a heartbeat.
    fn beat(&mut self, at: usize) -> Result<(), Wrong> {
        let jitter = self.random.random_range(0.9..1.1);
        let server = &mut self.servers[at];
        server.next_beat = self.now + BEAT.mul_f64(jitter);
        let body = server.body();
        let answer = self.send(at, body)?;
        // Who is told that a later life is known, and really runs, follows that one.
        if let Answer::Outlived { current } = answer {
            self.report.outlived += 1;
            self.servers[at].incarnation = current + 1;
            let body = self.servers[at].body();
            if self.send(at, body)? != Answer::Listed {
                return Err(format!("{} cannot follow {current}", self.servers[at].key));
            }
        }
        Ok(())
    }

    /// A registration arrives.
    fn send(&mut self, at: usize, body: Body) -> Result<Answer, Wrong> {
        let server = &self.servers[at];
        let accepts = server.outcome() == Outcome::Alive;
        let key = server.key.clone();
        let answer = self.registry.register(peer(&key), &body.bytes, accepts, self.now);
        self.report.registrations += u64::from(answer == Answer::Listed);
        self.report.held_back += u64::from(answer == Answer::HeldBack);
        self.note(format!("{key} {:?} registers {:?}: {answer:?}", body.incarnation, accepts));
        self.model.registered(&key, body, accepts, &answer, self.now, &self.times)?;
        Ok(answer)
    }

    fn start(&mut self, at: usize) -> Result<(), Wrong> {
        let server = &mut self.servers[at];
        if !matches!(server.state, State::Off | State::Ghost) {
            return self.next_event();
        }
        server.start(WALL + self.now, &mut self.random);
        self.beat(at)
    }

    /// A server unregisters and ends.
    fn stop(&mut self, at: usize) -> Result<(), Wrong> {
        let server = &mut self.servers[at];
        if server.state != State::Up {
            return self.next_event();
        }
        let is_ghost = server.is_classic && self.random.random_bool(0.5);
        server.state = if is_ghost { State::Ghost } else { State::Off };
        let body = server.body();
        self.unregister(at, &body)
    }

    fn unregister(&mut self, at: usize, body: &Body) -> Result<(), Wrong> {
        self.note(format!("{} {:?} unregisters", self.servers[at].key, body.incarnation));
        self.registry.unregister(&body.bytes, self.now)?;
        let key = &self.servers[at].key;
        self.model.unregistered(key, body.incarnation, self.now, &self.times);
        Ok(())
    }

    /// A server is killed; the end of its connection is noticed, or not.
    fn kill(&mut self, at: usize) -> Result<(), Wrong> {
        let server = &mut self.servers[at];
        if server.state != State::Up {
            return self.next_event();
        }
        server.state = State::Off;
        self.disconnected(at)
    }

    fn disconnected(&mut self, at: usize) -> Result<(), Wrong> {
        if self.random.random_bool(0.5) {
            return Ok(());
        }
        let server = &self.servers[at];
        let (key, outcome) = (server.key.clone(), server.outcome());
        self.registry.disconnected(&key, self.now, outcome);
        let listed = self.listed()?;
        let is_listed = |key: &InstanceKey| listed.contains(key);
        let stays = is_listed(&key);
        self.note(format!("the connection of {key} ends, {outcome:?}: listed {stays}"));
        self.report.noticed_at_once += u64::from(!stays);
        self.model.probed(&key, outcome, is_listed, self.now, &self.times)
    }

    fn lose(&mut self, at: usize, state: State) -> Result<(), Wrong> {
        if self.servers[at].state != State::Up {
            return self.next_event();
        }
        self.servers[at].state = state;
        self.disconnected(at)
    }

    fn heal(&mut self, at: usize) -> Result<(), Wrong> {
        if !matches!(self.servers[at].state, State::Cut | State::Silent) {
            return self.next_event();
        }
        self.servers[at].state = State::Up;
        self.beat(at)
    }

    fn change(&mut self, at: usize) -> Result<(), Wrong> {
        if self.servers[at].state != State::Up {
            return self.next_event();
        }
        self.servers[at].change();
        self.beat(at)
    }

    /// Something of an earlier life arrives at last.
    fn stray(&mut self, at: usize) -> Result<(), Wrong> {
        let strays = &self.servers[at].strays;
        if strays.is_empty() || self.servers[at].is_classic {
            return self.next_event();
        }
        let body = strays[self.random.random_range(0..strays.len())].clone();
        if self.random.random_bool(0.5) {
            return self.unregister(at, &body);
        }
        let answer = self.send(at, body)?;
        self.report.strays_refused += u64::from(matches!(answer, Answer::Outlived { .. }));
        Ok(())
    }

    fn drain(&mut self, at: usize) -> Result<(), Wrong> {
        let key = self.servers[at].key.clone();
        self.registry.drain(&key, self.now)?;
        self.model.overrides.insert(key);
        self.report.drained += 1;
        Ok(())
    }

    fn undrain(&mut self, at: usize) -> Result<(), Wrong> {
        let key = &self.servers[at].key;
        self.registry.undrain(key, self.now);
        self.model.overrides.remove(key);
        Ok(())
    }

    /// The registry stands still for a while; then heartbeats that waited come before the check, or after
    /// it.
    fn pause(&mut self) -> Result<(), Wrong> {
        let until = self.now + Duration::from_millis(self.random.random_range(100..60_000));
        self.registry.pause(until);
        self.now = until;
        self.note("a pause is over".to_owned());
        self.report.pauses += 1;
        if self.random.random_bool(0.5) {
            return self.check();
        }
        let is_late = |server: &Server| server.beats() && server.next_beat <= until;
        let late: Vec<usize> =
            (0..self.servers.len()).filter(|at| is_late(&self.servers[*at])).collect();
        late.into_iter().try_for_each(|at| self.beat(at))
    }

    /// All heartbeats stop at once: a fault of the network.
    fn lose_all(&mut self) -> Result<(), Wrong> {
        let up: Vec<usize> =
            (0..self.servers.len()).filter(|at| self.servers[*at].state == State::Up).collect();
        let state = if self.random.random_bool(0.5) { State::Cut } else { State::Silent };
        for at in &up {
            self.servers[*at].state = state;
        }
        let keys: Vec<InstanceKey> = up.iter().map(|at| self.servers[*at].key.clone()).collect();
        if state == State::Silent && !self.registry.is_braking() {
            self.model.all_silent(&keys, self.now, &self.times);
        }
        self.note(format!("all heartbeats are lost, {state:?}"));
        self.report.all_lost += 1;
        Ok(())
    }

    fn release_brake(&mut self) -> Result<(), Wrong> {
        if self.registry.is_braking() {
            self.registry.release_brake(self.now);
            let listed = self.listed()?;
            self.model.brake_released(|key| listed.contains(key), self.now)?;
            self.note("the brake is released".to_owned());
            self.report.releases += 1;
        }
        Ok(())
    }

    /// The wall clock is set, by up to a day.
    fn set_clock(&mut self) -> Result<(), Wrong> {
        let day = Duration::from_secs(24 * 3600);
        let wall = [WALL - day, WALL, WALL + day][self.random.random_range(0..3)];
        self.registry.set_wall(wall);
        self.model.clock_set();
        self.stored.clock_set();
        self.report.clocks_set += 1;
        Ok(())
    }

    fn check(&mut self) -> Result<(), Wrong> {
        let late = self.now.saturating_sub(self.registry.next_check());
        let mut asked = BTreeMap::new();
        let was_braking = self.registry.is_braking();
        let servers = &self.servers;
        self.registry.check(self.now, |key| {
            let server = servers.iter().find(|server| server.key == *key);
            let outcome = server.map_or(Outcome::NoReply, Server::outcome);
            asked.insert(key.clone(), outcome);
            outcome
        });
        let listed = self.listed()?;
        let found: Vec<_> = asked.iter().map(|(key, it)| format!("{key} {it:?}")).collect();
        self.note(format!("a check, {late:?} late: {found:?}, then {} are listed", listed.len()));
        let is_listed = |key: &InstanceKey| listed.contains(key);
        let removed = self.model.checked(late, &asked, is_listed, self.now, &self.times)?;
        self.report.checks += 1;
        self.report.expired += u64::try_from(removed.len()).unwrap_or_default();
        self.report.probes += u64::try_from(asked.len()).unwrap_or_default();
        self.report.brakes += u64::from(!was_braking && self.registry.is_braking());
        Ok(())
    }

    /// What is acknowledged from now on is stored.
    fn commit(&mut self) -> Result<(), Wrong> {
        self.registry.commit();
        self.stored = self.model.clone();
        self.report.commits += 1;
        Ok(())
    }

    /// The registry is killed, and starts again after a while.
    fn restart(&mut self) -> Result<(), Wrong> {
        // What was being written is stored or not.
        if self.random.random_bool(0.5) {
            self.commit()?;
        }
        self.now += Duration::from_millis(self.random.random_range(1..60_000));
        self.registry.restart(self.now)?;
        let lost = std::mem::replace(&mut self.model, self.stored.clone());
        self.model.restored(&lost, self.now, &self.times);
        self.stored = self.model.clone();
        // Another epoch: all of them get a snapshot.
        self.watches.clear();
        self.lists.clear();
        self.note("a restart".to_owned());
        self.report.restarts += 1;
        Ok(())
    }

    /// A watcher looks what is new; or another one comes in its place.
    fn watch(&mut self) -> Result<(), Wrong> {
        if self.watches.len() < WATCHERS || self.random.random_bool(0.1) {
            let service = [None, Some("even"), Some("odd")][self.random.random_range(0..3)];
            self.watches.truncate(WATCHERS - 1);
            self.watches.insert(0, Watch::of(service));
        }
        let at = self.random.random_range(0..self.watches.len());
        let watch = &mut self.watches[at];
        let snapshot = self.registry.snapshot(watch.service, self.now);
        let known = watch.revision;
        match known.and_then(|revision| self.registry.events_after(watch.service, revision)) {
            Some(frames) => {
                self.report.events += u64::try_from(frames.len()).unwrap_or_default();
                for frame in frames {
                    watch.take(&frame)?;
                }
                watch.revision = Some(self.registry.revision());
            }
            None => {
                self.report.snapshots += 1;
                self.report.fallen_behind += u64::from(known.is_some());
                watch.take(&snapshot)?;
            }
        }
        watch.compare(&snapshot)
    }

    /// The keys that are listed, overridden ones included.
    fn listed(&self) -> Result<BTreeSet<InstanceKey>, Wrong> {
        let mut watch = Watch::default();
        watch.take(&self.registry.snapshot(None, self.now))?;
        Ok(watch.keys().cloned().collect())
    }

    /// Compares all lists with the model.
    fn compare(&mut self) -> Result<(), Wrong> {
        let in_order = self.model.in_order();
        let mut expected: BTreeSet<InstanceKey> = BTreeSet::new();
        expected.extend(in_order.iter().map(|(key, _)| (*key).clone()));
        let listed = self.listed()?;
        if listed != expected {
            let missing: Vec<_> = expected.difference(&listed).map(ToString::to_string).collect();
            let surplus: Vec<_> = listed.difference(&expected).map(ToString::to_string).collect();
            return Err(format!("not listed: {missing:?}; listed: {surplus:?}"));
        }
        let (revision, list) = self.registry.list();
        let in_use = in_order.iter().filter(|(key, _)| !self.model.overrides.contains(*key));
        let bodies: Vec<&[u8]> = in_use.map(|(_, known)| &known.body.bytes[..]).collect();
        let expected = [b"[", &bodies.join(&b","[..])[..], b"]"].concat();
        if list != expected {
            let [list, expected] =
                [list, expected].map(|it| String::from_utf8_lossy(&it).into_owned());
            return Err(format!("the list is {list}, not {expected}"));
        }
        match self.lists.get(&revision) {
            Some(known) if *known != list => Err(format!("two lists are of revision {revision}")),
            _ => {
                self.lists.insert(revision, list);
                Ok(())
            }
        }
    }
}

/// The address that a server's requests come from: its own.
fn peer(key: &InstanceKey) -> IpAddr {
    key.host.parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}
