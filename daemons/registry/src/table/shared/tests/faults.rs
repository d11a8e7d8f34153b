//! Registries, etcd and instances in memory, with random faults: in the end all know the same.

use proptest::prelude::*;

use super::*;

/// etcd, as far as registries use it.
#[derive(Default)]
struct Cluster {
    documents: BTreeMap<u16, (i64, Bytes)>,
    changes: Vec<(u16, Option<Bytes>)>,
}

impl Cluster {
    fn revision(&self) -> i64 {
        i64::try_from(self.changes.len()).unwrap()
    }

    /// Whether the document was of that revision (0: there was none) and is another one now.
    fn put(&mut self, port: u16, known: i64, document: Option<Bytes>) -> bool {
        if self.documents.get(&port).map_or(0, |(revision, _)| *revision) != known {
            return false;
        }
        self.changes.push((port, document.clone()));
        match document {
            Some(document) => self.documents.insert(port, (self.revision(), document)),
            None => self.documents.remove(&port),
        };
        true
    }
}

/// A registry of the simulation.
struct Node {
    id: String,
    table: Table,
    /// Changes that it was told.
    heard: i64,
    revisions: BTreeMap<u16, i64>,
    is_cut_off: bool,
}

impl Node {
    fn new(id: String, now: Instant) -> Self {
        Self { id, table: table(now), heard: 0, revisions: BTreeMap::new(), is_cut_off: true }
    }

    fn take(&mut self, port: u16, document: Option<&Bytes>, pending: Pending, now: Instant) {
        let shared = match document {
            Some(document) => Shared::read(key(port), document).unwrap(),
            None => Shared::nothing(key(port)),
        };
        self.table.take_shared(shared, &self.id, pending, SystemTime::now(), now);
    }

    /// A session begins.
    fn read_all(&mut self, cluster: &Cluster, now: Instant) {
        self.is_cut_off = false;
        self.heard = cluster.revision();
        self.revisions =
            cluster.documents.iter().map(|(port, (revision, _))| (*port, *revision)).collect();
        for (port, (_, document)) in &cluster.documents {
            self.take(*port, Some(document), Pending::NOTHING, now);
        }
        for key in self.table.known_keys() {
            if !cluster.documents.contains_key(&key.port) {
                self.take(key.port, None, Pending::NOTHING, now);
            }
        }
    }

    /// Hears one change.
    fn hear(&mut self, cluster: &Cluster, now: Instant) {
        if self.is_cut_off || self.heard == cluster.revision() {
            return;
        }
        let (port, document) = &cluster.changes[usize::try_from(self.heard).unwrap()];
        self.heard += 1;
        if self.revisions.get(port).is_none_or(|known| *known < self.heard) {
            self.revisions.insert(*port, self.heard);
            self.take(*port, document.as_ref(), Pending::NOTHING, now);
        }
    }

    fn write(&mut self, cluster: &mut Cluster, now: Instant) {
        if self.is_cut_off {
            return;
        }
        let (unshared, _) = self.table.take_unshared(&self.id, std::iter::empty());
        for Unshared { key, document, pending } in unshared {
            let port = key.port;
            let known = self.revisions.get(&port).copied().unwrap_or(0);
            // One that was deleted is known as well.
            let exists = cluster.documents.contains_key(&port);
            let known = if exists || known > self.heard { known } else { 0 };
            if cluster.put(port, known, document) {
                self.revisions.insert(port, cluster.revision());
            } else {
                let there = cluster.documents.get(&port).cloned();
                let revision = there.as_ref().map_or(cluster.revision(), |(revision, _)| *revision);
                self.revisions.insert(port, revision);
                self.take(port, there.as_ref().map(|(_, document)| document), pending, now);
            }
        }
    }
}

/// A server of the simulation.
#[derive(Debug, Clone, Copy)]
struct Life {
    incarnation: u64,
    home: usize,
    is_alive: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Start(u16, usize),
    Move(u16, usize),
    Kill(u16),
    Farewell(u16),
    Beats,
    Hear(usize),
    Write(usize),
    CutOff(usize),
    Heal(usize),
    Restart(usize),
    Check(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (port, node) = (1..5u16, 0..3usize);
    prop_oneof![
        3 => (port.clone(), node.clone()).prop_map(|(port, node)| Step::Start(port, node)),
        2 => (port.clone(), node.clone()).prop_map(|(port, node)| Step::Move(port, node)),
        1 => port.clone().prop_map(Step::Kill),
        1 => port.prop_map(Step::Farewell),
        4 => Just(Step::Beats),
        8 => node.clone().prop_map(Step::Hear),
        6 => node.clone().prop_map(Step::Write),
        1 => node.clone().prop_map(Step::CutOff),
        2 => node.clone().prop_map(Step::Heal),
        1 => node.clone().prop_map(Step::Restart),
        2 => node.prop_map(Step::Check),
    ]
}

struct World {
    cluster: Cluster,
    nodes: Vec<Node>,
    lives: BTreeMap<u16, Life>,
    now: Instant,
    count: u64,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let nodes = (0..3).map(|at| Node::new(format!("n{at}.0"), now)).collect();
        let mut world = Self {
            cluster: Cluster::default(),
            nodes,
            lives: BTreeMap::new(),
            now,
            count: 1_700_000_000_000_000,
        };
        (0..3).for_each(|at| world.nodes[at].read_all(&world.cluster, now));
        world
    }

    fn step(&mut self, step: &Step) {
        self.count += 1;
        match *step {
            Step::Start(port, home) => {
                self.lives.insert(port, Life { incarnation: self.count, home, is_alive: true });
                self.beat(port);
            }
            Step::Move(port, home) => {
                if let Some(life) = self.lives.get_mut(&port) {
                    life.home = home;
                }
                self.beat(port);
            }
            Step::Kill(port) => {
                if let Some(life) = self.lives.get_mut(&port) {
                    life.is_alive = false;
                }
            }
            Step::Farewell(port) => {
                if let Some(life) = self.lives.get_mut(&port).filter(|life| life.is_alive) {
                    life.is_alive = false;
                    let (home, incarnation) = (life.home, life.incarnation);
                    self.nodes[home].table.unregister(&key(port), Some(incarnation), self.now);
                }
            }
            Step::Beats => (1..5).for_each(|port| self.beat(port)),
            Step::Hear(at) => self.nodes[at].hear(&self.cluster, self.now),
            Step::Write(at) => self.nodes[at].write(&mut self.cluster, self.now),
            Step::CutOff(at) => self.nodes[at].is_cut_off = true,
            Step::Heal(at) => self.nodes[at].read_all(&self.cluster, self.now),
            Step::Restart(at) => {
                // What it had not written yet is lost with it, unless it is sent again.
                self.nodes[at] = Node::new(format!("n{at}.{}", self.count), self.now);
                self.nodes[at].read_all(&self.cluster, self.now);
            }
            Step::Check(at) => self.check(at),
        }
    }

    fn beat(&mut self, port: u16) {
        if let Some(Life { incarnation, home, is_alive: true }) = self.lives.get(&port).copied() {
            let table = &mut self.nodes[home].table;
            let is_taken = register(table, port, Some(incarnation), self.now);
            assert!(
                is_taken && listed(table).contains(&port),
                "{port} is alive and sends heartbeats"
            );
        }
    }

    /// Its TTLs end; who is dead refuses connections.
    fn check(&mut self, at: usize) {
        // Not late: everybody who lives sends a heartbeat.
        for _ in 0..3 {
            self.now += 5 * SECOND;
            (1..5).for_each(|port| self.beat(port));
            let table = &mut self.nodes[at].table;
            let probes = table.check(self.now).probes;
            for ticket in crate::table::Due::in_order(probes) {
                let Some(probe) = table.probe(ticket) else { continue };
                let life = self.lives.get(&probe.key.port);
                let is_alive = life.is_some_and(|life| life.is_alive);
                let outcome = if is_alive { Outcome::Alive } else { Outcome::Refused };
                table.conclude(ticket, outcome, self.now);
            }
            table.settle(self.now, 100);
        }
    }

    fn adopt(&mut self) {
        let live: Vec<String> = self.nodes.iter().map(|node| node.id.clone()).collect();
        for node in &mut self.nodes {
            let has_ended = |owner: &&Arc<str>| live.iter().all(|id| **id != ***owner);
            let ended = node.table.owners().filter(has_ended).cloned().collect();
            for key in node.table.orphans(&ended, |_| true) {
                node.table.adopt(&key, self.now);
            }
        }
    }

    /// All faults are over, for long enough.
    fn settle(&mut self) {
        (0..3).for_each(|at| self.nodes[at].read_all(&self.cluster, self.now));
        for _ in 0..8 {
            self.adopt();
            for at in 0..3 {
                self.nodes[at].write(&mut self.cluster, self.now);
            }
            for at in 0..3 {
                while self.nodes[at].heard < self.cluster.revision() {
                    self.nodes[at].hear(&self.cluster, self.now);
                }
            }
            (0..3).for_each(|at| self.check(at));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_in_the_end_each_registry_lists_those_who_live_and_one_owns_each(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        world.settle();
        let alive: BTreeSet<u16> =
            world.lives.iter().filter(|(_, life)| life.is_alive).map(|(port, _)| *port).collect();
        for node in &world.nodes {
            prop_assert_eq!(listed(&node.table), alive.clone(), "at {}", node.id);
        }
        for port in alive {
            let is_owner = |node: &&Node| node.table.owner(&key(port)) == Some(&Owner::Here);
            let owners: Vec<_> = world.nodes.iter().filter(is_owner).map(|it| &it.id).collect();
            prop_assert_eq!(owners, [&world.nodes[world.lives[&port].home].id], "of {}", port);
        }
        let before = world.cluster.revision();
        for at in 0..3 {
            (1..5).for_each(|port| world.beat(port));
            world.nodes[at].write(&mut world.cluster, world.now);
        }
        prop_assert_eq!(world.cluster.revision(), before, "heartbeats are not written");
    }
}
