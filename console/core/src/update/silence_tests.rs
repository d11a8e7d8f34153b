//! A registry that stalls: nothing is late because of it.

use std::time::{Duration, Instant};

use rpc_wire::instance::{Beat, Instance, InstanceRecord, InstanceState, WatchEvent};

use crate::fixture::feed;
use crate::message::{Msg, RegistryUpdate};
use crate::model::instances::State;
use crate::model::{Model, Now};

struct Scene {
    model: Model,
    start: Instant,
}

impl Scene {
    /// A registry with one instance, whose heartbeat is new at 0 s.
    fn new() -> Self {
        let start = Instant::now();
        let now = Now { at: start, wall_ms: 0 };
        let record = InstanceRecord {
            instance: Instance::new("h", 1),
            age_ms: Some(0),
            ttl_ms: 10_000,
            registered_ms_ago: 0,
            heartbeats: Some(1),
            state: InstanceState::Up,
            incarnation: None,
            held_ms: None,
            overridden: None,
            durable: true,
            owner: None,
        };
        let mut scene = Self { model: Model::new("http://127.0.0.1:9999", now), start };
        scene.tell(0, RegistryUpdate::Live { ages: true });
        scene.tell(0, RegistryUpdate::Heard(start));
        scene.tell(0, RegistryUpdate::Change(WatchEvent::Snapshot(vec![record]), start));
        scene
    }

    fn now(&self, ms: u64) -> Now {
        Now { at: self.start + Duration::from_millis(ms), wall_ms: ms }
    }

    fn tell(&mut self, ms: u64, update: RegistryUpdate) {
        let now = self.now(ms);
        feed(&mut self.model, Msg::Registry(update), now);
    }

    fn heard(&mut self, ms: u64) {
        let at = self.now(ms).at;
        self.tell(ms, RegistryUpdate::Heard(at));
    }

    fn beat(&mut self, ms: u64, age_ms: u64, heartbeats: u64) {
        let beat = Beat { key: Instance::new("h", 1).key(), age_ms, heartbeats };
        let at = self.now(ms).at;
        self.tell(ms, RegistryUpdate::Change(WatchEvent::Beats(vec![beat]), at));
    }

    /// Seconds pass without news.
    fn pass(&mut self, from_ms: u64, to_ms: u64) {
        for ms in (from_ms..=to_ms).step_by(1_000) {
            let now = self.now(ms);
            feed(&mut self.model, Msg::Tick, now);
        }
    }

    fn state(&self, ms: u64) -> State {
        let row = self.model.instances.all().next().unwrap();
        row.state(self.now(ms).at, self.model.link.is_live())
    }

    fn events(&self) -> Vec<String> {
        let events = self.model.events.newest_first();
        let mut events: Vec<_> =
            events.map(|event| format!("{} {}", event.word, event.text)).collect();
        events.reverse();
        events.split_off(2)
    }
}

#[test]
fn a_registry_that_stalls_makes_nothing_late() {
    let mut scene = Scene::new();
    scene.heard(2_000);
    scene.heard(4_000);
    // A heartbeat came at 5 s, but the registry was stopped before it.
    scene.pass(5_000, 8_999);
    assert_eq!(scene.state(8_999), State::Up);
    scene.pass(9_000, 30_000);
    assert_eq!(scene.state(30_000), State::Unknown);
    assert!(!scene.model.link.is_live());
    // It goes on: first it replies, then it knows the heartbeats that waited.
    scene.heard(31_000);
    assert_eq!(scene.state(31_000), State::Up);
    scene.pass(31_500, 32_500);
    scene.beat(32_600, 600, 2);
    assert_eq!(
        scene.model.instances.all().next().unwrap().age(scene.now(32_600).at).unwrap(),
        Duration::from_millis(600)
    );
    assert_eq!(
        scene.events(),
        [
            "registry connected, but silent for 5 s — states unknown",
            "registry heard again after 27.0 s"
        ]
    );
}

#[test]
fn an_instance_that_stops_is_late_while_the_registry_is_heard_also_after_a_silence() {
    let mut scene = Scene::new();
    for ms in (1_000..=8_000).step_by(1_000) {
        scene.heard(ms);
    }
    assert_eq!(scene.state(8_000), State::Late);
    scene.beat(8_500, 0, 2);
    scene.pass(9_000, 20_000);
    scene.heard(20_500);
    for ms in (21_000..=26_000).step_by(1_000) {
        scene.heard(ms);
        assert_eq!(scene.state(ms), State::Up, "{ms}");
    }
    scene.heard(27_000);
    assert_eq!(scene.state(27_000), State::Late);
}

#[test]
fn a_console_that_was_stopped_itself_reports_no_silence() {
    let mut scene = Scene::new();
    scene.heard(2_000);
    scene.pass(60_000, 60_000);
    assert!(scene.model.link.is_live());
    assert_eq!(scene.events(), [""; 0]);
}
