//! States for tests, built from messages as the real ones are.

mod calls;
mod load;
mod logs;
mod picture;
mod services;

pub use calls::*;
pub use load::*;
pub use logs::*;
pub use picture::*;
pub use services::*;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rpc_wire::instance::{
    Beat, Instance, InstanceKey, InstanceRecord, InstanceState, RegistryName, WatchEvent,
};
use rpc_wire::report::{FailingStore, Readiness, Sharing, SharingState, Whoami};
use rpc_wire::signature::{Parameter, Signature};
use rpc_wire::target::Target;
use serde_json::json;

use crate::key::{Code, Key};
use crate::message::{DemoUpdate, Effect, InstanceUpdate, Msg, RegistryUpdate};
use crate::model::Now;
use crate::model::instances::Dialect;
use crate::model::link::Obstacle;
use crate::model::logs::{Source, SourceState};
use crate::model::registries::{Colour, NamedRegistry, Registries};
use crate::model::standing::Standing;
use crate::model::{Demo, Model};
use crate::update::update;

/// 14:02:09.
const WALL_MS: u64 = 50_529_000;

pub fn now() -> Now {
    Now { at: Instant::now(), wall_ms: WALL_MS }
}

pub fn after(now: Now, ms: u64) -> Now {
    Now { at: now.at + Duration::from_millis(ms), wall_ms: now.wall_ms + ms }
}

pub fn feed(model: &mut Model, msg: Msg, now: Now) -> Vec<Effect> {
    update(model, msg, now)
}

pub fn press(model: &mut Model, key: Key, now: Now) -> Vec<Effect> {
    update(model, Msg::Key(key), now)
}

pub fn types(model: &mut Model, text: &str, now: Now) {
    for c in text.chars() {
        press(model, Key::char(c), now);
    }
}

pub fn key(port: u16) -> InstanceKey {
    Instance::new("127.0.0.1", port).key()
}

pub fn record(host: &str, port: u16, age_ms: u64, registered_s: u64) -> InstanceRecord {
    let mut instance = Instance::new(host, port);
    instance.parameters.insert("wire".to_owned(), json!(1));
    InstanceRecord {
        instance,
        age_ms: Some(age_ms),
        ttl_ms: 10_000,
        registered_ms_ago: registered_s * 1_000,
        heartbeats: Some(1_604),
        state: InstanceState::Up,
        incarnation: None,
        held_ms: None,
        overridden: None,
        durable: true,
        owner: None,
    }
}

fn number() -> serde_json::Value {
    json!({"type": "number"})
}

pub fn methods() -> Vec<Signature> {
    let method = |name: &str, doc: &str, parameters: Vec<Parameter>| Signature {
        name: name.to_owned(),
        doc: doc.to_owned(),
        parameters,
        ..Signature::default()
    };
    vec![
        method(
            "add",
            "Adds two or three numbers.",
            vec![
                Parameter::required("a", number()),
                Parameter::required("b", number()),
                Parameter::optional("c", number(), json!(10)),
            ],
        ),
        method("hello", "", vec![Parameter::required("name", json!({"type": "string"}))]),
        method(
            "echo",
            "Returns its argument unchanged.",
            vec![Parameter::required("value", json!(true))],
        ),
        method(
            "square",
            "Multiplies a number by itself.",
            vec![Parameter::required("number", number())],
        ),
        method("now", "", Vec::new()),
    ]
}

pub fn snapshot(model: &mut Model, records: Vec<InstanceRecord>, now: Now) {
    feed(model, Msg::Registry(RegistryUpdate::Live { ages: true }), now);
    feed(model, Msg::Registry(RegistryUpdate::Change(WatchEvent::Snapshot(records), now.at)), now);
}

pub fn learn(model: &mut Model, key: InstanceKey, methods: Vec<Signature>, now: Now) {
    let rtt = Duration::from_micros(420 + u64::from(key.port));
    feed(
        model,
        Msg::Instance(key.clone(), InstanceUpdate::Methods(Ok(Arc::new(methods.into())))),
        now,
    );
    feed(model, Msg::Instance(key, InstanceUpdate::Probe(Ok(rtt))), now);
}

pub fn beat(model: &mut Model, age_ms: u64, now: Now) {
    let beat = Beat { key: key(8089), age_ms, heartbeats: 1_605 };
    feed(model, Msg::Registry(RegistryUpdate::Change(WatchEvent::Beats(vec![beat]), now.at)), now);
}

pub fn registries() -> Registries {
    let named =
        |name: &str, url: &str| NamedRegistry::new(name, Target::Registry { url: url.to_owned() });
    let list = vec![
        named("local", "http://127.0.0.1:9999"),
        NamedRegistry {
            section: "registry.staging".to_owned(),
            ..named("staging", "http://10.0.0.5:9999")
        },
        named("production", "http://registry.example:9999"),
    ];
    Registries::new(list, 0)
}

/// Two up, one late that lacks a method, one gone.
/// One registry of three; another one owns the selected instance.
pub fn sharing(cut_off_ms: Option<u64>) -> (Model, Now) {
    let (mut model, now) = busy();
    let [this, other, third] = ["127.0.0.1:9999", "10.0.0.6:9999", "10.0.0.7:9999"]
        .map(|address| RegistryName { id: address.to_owned(), address: Some(address.to_owned()) });
    let owned = |host: &str, port, owner: &RegistryName| InstanceRecord {
        owner: Some(owner.clone()),
        ..record(host, port, 1_200, 7_980)
    };
    let foreign =
        InstanceRecord { age_ms: None, heartbeats: None, ..owned("10.0.0.7", 8089, &other) };
    let records = vec![owned("127.0.0.1", 8089, &this), foreign];
    snapshot(&mut model, records, now);
    model.instances.selected = Some(Instance::new("10.0.0.7", 8089).key());
    model.instances.follow_first = false;
    let failing = "no etcd member works: 127.0.0.1:2379 does not answer".to_owned();
    let readiness = Readiness {
        store_kind: Some("etcd".to_owned()),
        store: cut_off_ms.map(|_| FailingStore { failing }),
        sharing: Some(Sharing {
            registry: this,
            peers: vec![other, third],
            owned: 1,
            foreign: 1,
            state: SharingState::Unreachable,
            left_out: None,
            cut_off_ms,
        }),
        ..Readiness::default()
    };
    feed(&mut model, Msg::Registry(RegistryUpdate::Readiness(readiness)), now);
    // Beyond the rows that linger.
    let later = after(now, 10_000);
    feed(&mut model, Msg::Tick, later);
    beat(&mut model, 1_200, later);
    (model, later)
}

/// Instances that ask who the console is: one knows it, one allows less, and one may refuse it.
pub fn guarded(refuses: bool) -> (Model, Now) {
    let (mut model, now) = states();
    let whoami = |roles: &[&str]| Whoami {
        auth: "required".to_owned(),
        name: Some("ops".to_owned()),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..Whoami::default()
    };
    let mut standings = vec![
        (8081, Standing::of(&whoami(&["call", "observe"]))),
        (8082, Standing::of(&whoami(&["observe"]))),
    ];
    if refuses {
        let why = "this token is not known here; ask for a new one".to_owned();
        standings.push((8083, Standing::Refused(why)));
    }
    let here = Standing::of(&whoami(&["observe"]));
    feed(&mut model, Msg::Registry(RegistryUpdate::Standing(here)), now);
    for (port, standing) in standings {
        feed(&mut model, Msg::Instance(key(port), InstanceUpdate::Standing(standing)), now);
    }
    model.instances.selected = Some(key(if refuses { 8083 } else { 8082 }));
    model.instances.follow_first = false;
    (model, now)
}

pub fn busy() -> (Model, Now) {
    let start = now();
    let mut model = Model::new("http://127.0.0.1:9999", start);
    let records = vec![
        record("127.0.0.1", 8089, 1_200, 7_980),
        record("127.0.0.1", 8090, 4_800, 7_980),
        record("10.0.0.7", 8089, 4_100, 2_460),
        record("10.0.0.8", 8089, 9_500, 40),
    ];
    snapshot(&mut model, records, start);
    for port in [8089, 8090] {
        learn(&mut model, key(port), methods(), start);
    }
    let mut fewer = methods();
    fewer.retain(|method| method.name != "square");
    learn(&mut model, Instance::new("10.0.0.7", 8089).key(), fewer, start);
    let later = after(start, 4_000);
    for (port, age) in [(8089, 1_200), (8090, 4_800)] {
        let beat = Beat { key: key(port), age_ms: age, heartbeats: 1_605 };
        feed(
            &mut model,
            Msg::Registry(RegistryUpdate::Change(WatchEvent::Beats(vec![beat]), later.at)),
            later,
        );
    }
    feed(&mut model, Msg::Tick, later);
    let gone = Instance::new("10.0.0.8", 8089).key();
    feed(
        &mut model,
        Msg::Registry(RegistryUpdate::Change(WatchEvent::Expired(gone, None), later.at)),
        later,
    );
    press(&mut model, Key::char('g'), later);
    model.instances.selected = Some(key(8089));
    (model, after(later, 1_100))
}

/// An instance in every state, one with a differing method.
pub fn states() -> (Model, Now) {
    let start = now();
    let mut model = Model::new("http://127.0.0.1:9999", start);
    let in_state = |port: u16, age_ms: u64, state: InstanceState| InstanceRecord {
        state,
        ..record("127.0.0.1", port, age_ms, 7_980)
    };
    let records = vec![
        in_state(8081, 1_200, InstanceState::Up),
        in_state(8082, 8_300, InstanceState::Up),
        in_state(8083, 11_000, InstanceState::Suspect),
        in_state(8084, 2_000, InstanceState::Draining),
        in_state(8085, 2_500, InstanceState::Maintenance),
        in_state(8086, 3_000, InstanceState::Up),
        in_state(8087, 9_900, InstanceState::Up),
    ];
    snapshot(&mut model, records, start);
    for port in 8081..=8084 {
        let mut all = methods();
        if port == 8084 {
            all[0].parameters.truncate(2);
        }
        learn(&mut model, key(port), all, start);
        for rtt_us in [300, 350, 310, 900, 330, u64::from(port - 8000)] {
            let rtt = Duration::from_micros(rtt_us);
            feed(&mut model, Msg::Instance(key(port), InstanceUpdate::Probe(Ok(rtt))), start);
        }
    }
    let removed = [WatchEvent::Unregistered(key(8086)), WatchEvent::Expired(key(8087), None)];
    for event in removed {
        feed(&mut model, Msg::Registry(RegistryUpdate::Change(event, start.at)), start);
    }
    model.instances.selected = Some(key(8084));
    (model, after(start, 1_100))
}

/// The registry was lost 13 s ago, at the third attempt to reconnect.
pub fn lost() -> (Model, Now) {
    let (mut model, now) = busy();
    let lost = |retry_s| {
        Msg::Registry(RegistryUpdate::Lost {
            error: "connection refused".to_owned(),
            obstacle: Obstacle::Unreachable,
            retry_in: Duration::from_secs(retry_s),
        })
    };
    feed(&mut model, lost(1), now);
    feed(&mut model, lost(2), after(now, 1_000));
    let now = after(now, 13_000);
    feed(&mut model, lost(3), now);
    let probe = InstanceUpdate::Probe(Err("connection refused".to_owned()));
    feed(&mut model, Msg::Instance(Instance::new("10.0.0.7", 8089).key(), probe), now);
    (model, now)
}

/// The registry was never reachable.
pub fn unreachable() -> (Model, Now) {
    let error = "connection refused (os error 111)";
    kept_out("http://127.0.0.1:9999", error, Obstacle::Unreachable)
}

/// There is no TLS with the registry.
pub fn insecure() -> (Model, Now) {
    let error = "the certificate is refused: no authority that is trusted here has issued it";
    kept_out("https://10.0.0.5:9999", error, Obstacle::Insecure)
}

/// The registry does not let the console read.
pub fn refused() -> (Model, Now) {
    let error = "this needs a token with the role observe; set RPCD_TOKEN, or a file with one";
    kept_out("https://10.0.0.5:9999", error, Obstacle::Refused)
}

/// The same in the middle of a session: what was known is kept.
pub fn refused_later() -> (Model, Now) {
    let (mut model, now) = busy();
    model.registries = registries();
    model.registries.select(1);
    for (error, obstacle) in [
        ("connection lost", Obstacle::Unreachable),
        ("this token is not known here; ask for a new one", Obstacle::Refused),
    ] {
        let retry_in = Duration::from_secs(3);
        let lost = RegistryUpdate::Lost { error: error.to_owned(), obstacle, retry_in };
        feed(&mut model, Msg::Registry(lost), now);
    }
    let refused = Standing::Refused("this token is not known here; ask for a new one".to_owned());
    feed(&mut model, Msg::Registry(RegistryUpdate::Standing(refused)), now);
    (model, now)
}

/// The first attempt at that registry of the settings failed.
fn kept_out(url: &str, error: &str, obstacle: Obstacle) -> (Model, Now) {
    let now = now();
    let mut model = Model::new(url, now);
    if obstacle != Obstacle::Unreachable {
        model.registries = registries();
        model.registries.select(1);
    }
    let (error, retry_in) = (error.to_owned(), Duration::from_millis(2_500));
    feed(&mut model, Msg::Registry(RegistryUpdate::Lost { error, obstacle, retry_in }), now);
    (model, now)
}

/// One server, opened by its address, that has replied to a probe.
pub fn direct() -> (Model, Now) {
    let now = now();
    let target = Target::direct("127.0.0.1:8089").unwrap();
    let mut model = Model::new("", now);
    let mut all = vec![NamedRegistry::new("127.0.0.1:8089", target)];
    all.extend(registries().all().iter().cloned());
    model.registries = Registries::new(all, 0);
    let target = model.registries.current().unwrap().target.clone();
    model.switch_registry(&target, now);
    let instance = Instance::new("127.0.0.1", 8089);
    feed(&mut model, Msg::Registry(RegistryUpdate::Direct(instance)), now);
    feed(&mut model, Msg::Instance(key(8089), InstanceUpdate::Dialect(Dialect::Extended)), now);
    learn(&mut model, key(8089), methods(), now);
    (model, after(now, 2_000))
}

/// The same, and it no longer replies.
pub fn direct_lost() -> (Model, Now) {
    let (mut model, now) = direct();
    let probe = InstanceUpdate::Probe(Err("connection refused (os error 111)".to_owned()));
    feed(&mut model, Msg::Instance(key(8089), probe), now);
    (model, after(now, 2_000))
}

/// Two saved requests and two environments; `TOKEN` is set in the process environment.
pub fn saved() -> (Model, Now) {
    let (mut model, now) = busy();
    let contents = crate::model::saved::file::parse(SAVED).unwrap();
    model.saved.process = ["TOKEN".to_owned()].into();
    feed(&mut model, Msg::Requests(Ok(contents)), now);
    (model, now)
}

const SAVED: &str = r#"
[environments.local]
user = "ann"
count = 3

[environments.prod]
count = 30

[[requests]]
name = "greet"
method = "hello"
args = '["{{user}} {{env:TOKEN}}"]'
timeout = "3s"

[[requests]]
name = "sum of two"
method = "add"
args = '["{{count}}", 2]'
"#;

/// A registry with a colour, where calls and load tests ask first.
pub fn production() -> (Model, Now) {
    let (mut model, now) = form();
    let mut all = registries().all().to_vec();
    (all[2].colour, all[2].confirm) = (Some(Colour::Red), true);
    types(&mut model, "1", now);
    press(&mut model, Key::plain(Code::Tab), now);
    types(&mut model, "2", now);
    model.registries = Registries::new(all, 2);
    (model, now)
}

/// An older registry: a list without ages.
pub fn older() -> (Model, Now) {
    let now = now();
    let mut model = Model::new("http://127.0.0.1:9999", now);
    feed(&mut model, Msg::Registry(RegistryUpdate::Live { ages: false }), now);
    let list = vec![Instance::new("127.0.0.1", 8089), Instance::new("127.0.0.1", 8090)];
    feed(&mut model, Msg::Registry(RegistryUpdate::List(list)), now);
    learn(&mut model, key(8089), methods(), now);
    (model, after(now, 2_000))
}

/// Every untrusted text has escape sequences.
pub fn hostile() -> (Model, Now) {
    let now = now();
    let mut model = Model::new("http://127.0.0.1:9999/\u{1b}[1m", now);
    let evil = "\u{1b}[31mx\u{9b}\u{7}";
    let mut record = record(evil, 1, 100, 1);
    record.instance.parameters.insert(evil.to_owned(), json!(evil));
    let key = record.instance.key();
    snapshot(&mut model, vec![record], now);
    let method = Signature {
        name: evil.to_owned(),
        doc: evil.to_owned(),
        parameters: vec![Parameter::optional(evil, json!({"enum": [evil]}), json!(evil))],
        ..Signature::default()
    };
    learn(&mut model, key.clone(), vec![method], now);
    feed(
        &mut model,
        Msg::LogSource(Source::Server(key.clone()), SourceState::Lost(evil.to_owned())),
        now,
    );
    press(&mut model, Key::char('2'), now);
    press(&mut model, Key::plain(Code::Enter), now);
    types(&mut model, "x", now);
    feed(&mut model, Msg::Paste(evil.to_owned()), now);
    feed(
        &mut model,
        Msg::Registry(RegistryUpdate::Lost {
            error: evil.to_owned(),
            obstacle: Obstacle::Insecure,
            retry_in: Duration::ZERO,
        }),
        now,
    );
    (model, now)
}

/// A demo with one server.
pub fn demo() -> (Model, Now) {
    let (mut model, now) = busy();
    model.demo = Some(Demo { traffic: true, registry: true, servers: Vec::new() });
    feed(&mut model, Msg::Demo(DemoUpdate::Server(key(8089), true)), now);
    (model, now)
}
