//! Known states for tests, built the way the real ones come about: from messages.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use rpc_client::load::{
    Bar, Behind, ErrorCount, Latency, Mode, Phase, Point, Progress, Report, Share,
};
use rpc_wire::instance::{Beat, Instance, InstanceKey, InstanceRecord, InstanceState, WatchEvent};
use rpc_wire::report::{Level, LogLine};
use rpc_wire::signature::{Parameter, Signature};
use serde_json::{Map, json};

use crate::key::{Code, Key};
use crate::message::{
    DemoNews, Effect, InstanceNews, LoadNews, LoadRequest, Msg, Now, RegistryNews, Source,
    SourceState,
};
use crate::model::calls::{Ended, Failure, Outcome, Past, Phases};
use crate::model::json::Document;
use crate::model::registries::{Named, Registries};
use crate::model::{Demo, Model, View};
use crate::update::update;

/// 14:02:09.
const WALL_MS: u64 = 50_529_000;

pub(crate) fn now() -> Now {
    Now { at: Instant::now(), wall_ms: WALL_MS }
}

pub(crate) fn after(now: Now, ms: u64) -> Now {
    Now { at: now.at + Duration::from_millis(ms), wall_ms: now.wall_ms + ms }
}

pub(crate) fn feed(model: &mut Model, msg: Msg, now: Now) -> Vec<Effect> {
    update(model, msg, now)
}

pub(crate) fn press(model: &mut Model, key: Key, now: Now) -> Vec<Effect> {
    update(model, Msg::Key(key), now)
}

pub(crate) fn types(model: &mut Model, text: &str, now: Now) {
    for c in text.chars() {
        press(model, Key::char(c), now);
    }
}

pub(crate) fn key(port: u16) -> InstanceKey {
    Instance::new("127.0.0.1", port).key()
}

pub(crate) fn record(host: &str, port: u16, age_ms: u64, registered_s: u64) -> InstanceRecord {
    let mut instance = Instance::new(host, port);
    instance.parameters.insert("wire".to_owned(), json!(1));
    InstanceRecord {
        instance,
        age_ms,
        ttl_ms: 10_000,
        registered_ms_ago: registered_s * 1_000,
        heartbeats: 1_604,
        state: InstanceState::Up,
        incarnation: None,
    }
}

fn number() -> serde_json::Value {
    json!({"type": "number"})
}

pub(crate) fn methods() -> Vec<Signature> {
    let method = |name: &str, doc: &str, parameters: Vec<Parameter>| Signature {
        name: name.to_owned(),
        doc: doc.to_owned(),
        parameters,
        result: None,
        stream: false,
    };
    vec![
        method(
            "add",
            "The sum of two or three numbers.",
            vec![
                Parameter::required("a", number()),
                Parameter::required("b", number()),
                Parameter::optional("c", number(), json!(10)),
            ],
        ),
        method("hello", "", vec![Parameter::required("name", json!({"type": "string"}))]),
        method("echo", "The value it was given.", vec![Parameter::required("value", json!(true))]),
        method("square", "A number times itself.", vec![Parameter::required("number", number())]),
        method("now", "", Vec::new()),
    ]
}

pub(crate) fn snapshot(model: &mut Model, records: Vec<InstanceRecord>, now: Now) {
    feed(model, Msg::Registry(RegistryNews::Live { ages: true }), now);
    feed(model, Msg::Registry(RegistryNews::Change(WatchEvent::Snapshot(records))), now);
}

pub(crate) fn learn(model: &mut Model, key: InstanceKey, methods: Vec<Signature>, now: Now) {
    let rtt = Duration::from_micros(420 + u64::from(key.port));
    feed(model, Msg::Instance(key.clone(), InstanceNews::Methods(Ok(methods))), now);
    feed(model, Msg::Instance(key, InstanceNews::Probe(Ok(rtt))), now);
}

pub(crate) fn beat(model: &mut Model, age_ms: u64, now: Now) {
    let beat = Beat { key: key(8089), age_ms, heartbeats: 1_605 };
    feed(model, Msg::Registry(RegistryNews::Change(WatchEvent::Beats(vec![beat]))), now);
}

pub(crate) fn registries() -> Registries {
    let named = |name: &str, url: &str| Named { name: name.to_owned(), url: url.to_owned() };
    let list = vec![
        named("local", "http://127.0.0.1:9999"),
        named("staging", "http://10.0.0.5:9999"),
        named("production", "http://registry.example:9999"),
    ];
    Registries::new(list, 0)
}

/// Two up, one late that lacks a method, one gone.
pub(crate) fn busy() -> (Model, Now) {
    let start = now();
    let mut model = Model::new("http://127.0.0.1:9999", start);
    let records = vec![
        record("127.0.0.1", 8089, 1_200, 7_980),
        record("127.0.0.1", 8090, 4_800, 7_980),
        record("10.0.0.7", 8089, 3_900, 2_460),
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
        feed(&mut model, Msg::Registry(RegistryNews::Change(WatchEvent::Beats(vec![beat]))), later);
    }
    feed(&mut model, Msg::Tick, later);
    let gone = Instance::new("10.0.0.8", 8089).key();
    feed(&mut model, Msg::Registry(RegistryNews::Change(WatchEvent::Expired(gone))), later);
    press(&mut model, Key::char('g'), later);
    model.instances.selected = Some(key(8089));
    (model, after(later, 1_100))
}

/// The registry went 13 s ago, in the third try.
pub(crate) fn lost() -> (Model, Now) {
    let (mut model, now) = busy();
    let lost = |retry_s| {
        Msg::Registry(RegistryNews::Lost {
            error: "connection refused".to_owned(),
            retry_in: Duration::from_secs(retry_s),
        })
    };
    feed(&mut model, lost(1), now);
    feed(&mut model, lost(2), after(now, 1_000));
    let now = after(now, 13_000);
    feed(&mut model, lost(3), now);
    let probe = InstanceNews::Probe(Err("connection refused".to_owned()));
    feed(&mut model, Msg::Instance(Instance::new("10.0.0.7", 8089).key(), probe), now);
    (model, now)
}

/// The registry was never there.
pub(crate) fn unreached() -> (Model, Now) {
    let now = now();
    let mut model = Model::new("http://127.0.0.1:9999", now);
    let error = "connection refused (os error 111)".to_owned();
    let retry_in = Duration::from_millis(2_500);
    feed(&mut model, Msg::Registry(RegistryNews::Lost { error, retry_in }), now);
    (model, now)
}

/// A registry of the older system: a list without ages.
pub(crate) fn older() -> (Model, Now) {
    let now = now();
    let mut model = Model::new("http://127.0.0.1:9999", now);
    feed(&mut model, Msg::Registry(RegistryNews::Live { ages: false }), now);
    let list = vec![Instance::new("127.0.0.1", 8089), Instance::new("127.0.0.1", 8090)];
    feed(&mut model, Msg::Registry(RegistryNews::List(list)), now);
    learn(&mut model, key(8089), methods(), now);
    (model, after(now, 2_000))
}

/// The form of `add`, open and empty.
pub(crate) fn form() -> (Model, Now) {
    let (mut model, now) = busy();
    press(&mut model, Key::char('2'), now);
    model.methods.selected = Some("add".to_owned());
    press(&mut model, Key::plain(Code::Enter), now);
    (model, now)
}

pub(crate) fn outcome(result: Result<&str, Failure>) -> Outcome {
    Outcome {
        reply_bytes: 12,
        result: result.map(|text| Arc::new(Document::of_text(text))),
        peer: Some("127.0.0.1:8089".to_owned()),
        sent: r#"{"id":1,"method_name":"add","method_args":[1,2],"method_kwargs":{}}"#.to_owned(),
        timing: Some(Phases {
            queue: Duration::from_micros(20),
            connect: Duration::from_micros(180),
            server: Duration::from_micros(620),
            transfer: Duration::from_micros(100),
        }),
        elapsed: Duration::from_micros(920),
        attempts: 1,
        classic: false,
    }
}

fn fill_and_send(model: &mut Model, now: Now) -> u64 {
    types(model, "1", now);
    press(model, Key::plain(Code::Tab), now);
    types(model, "2", now);
    let effects = press(model, Key::plain(Code::Enter), now);
    match &effects[..] {
        [Effect::Call(request)] => request.id,
        other => panic!("{other:?}"),
    }
}

/// `add(1, 2)` was called and answered.
pub(crate) fn answered() -> (Model, Now) {
    let (mut model, now) = form();
    let id = fill_and_send(&mut model, now);
    feed(&mut model, Msg::Called(id, Box::new(outcome(Ok("13")))), now);
    (model, now)
}

/// A nested answer, partly folded, with the focus in it.
pub(crate) fn folded() -> (Model, Now) {
    let (mut model, now) = form();
    let id = fill_and_send(&mut model, now);
    let body = r#"{"name":"grüße \u0007 漢字","list":[1,2.50,{"deep":[true,null]}],"empty":{},"big":18446744073709551615,"tags":["a","b","c"]}"#;
    feed(&mut model, Msg::Called(id, Box::new(outcome(Ok(body)))), now);
    press(&mut model, Key::plain(Code::Tab), now);
    press(&mut model, Key::plain(Code::Tab), now);
    for _ in 0..4 {
        press(&mut model, Key::plain(Code::Down), now);
    }
    press(&mut model, Key::char('j'), now);
    press(&mut model, Key::char('h'), now);
    press(&mut model, Key::char('h'), now);
    (model, now)
}

/// The nested answer folded altogether, and searched for `e`.
pub(crate) fn searched() -> (Model, Now) {
    let (mut model, now) = folded();
    press(&mut model, Key::char('z'), now);
    press(&mut model, Key::char('z'), now);
    press(&mut model, Key::char('/'), now);
    types(&mut model, "E", now);
    press(&mut model, Key::plain(Code::Enter), now);
    press(&mut model, Key::char('n'), now);
    (model, now)
}

/// The call of `add` was made again, with another answer, and the two compared.
pub(crate) fn changed() -> (Model, Now) {
    let (mut model, now) = folded();
    let id = match &press(&mut model, Key::char('r'), now)[..] {
        [Effect::Call(request)] => request.id,
        other => panic!("{other:?}"),
    };
    let body = r#"{"name":"grüße \u0007 漢字","list":[1,2.5,{"deep":[true,false]}],"empty":[],"big":18446744073709551615,"tags":["a","b"],"new":{"x":1}}"#;
    feed(&mut model, Msg::Called(id, Box::new(outcome(Ok(body)))), now);
    press(&mut model, Key::char('{'), now);
    (model, now)
}

/// A form with every kind of field.
pub(crate) fn kinds() -> (Model, Now) {
    let (mut model, now) = busy();
    let mut all = methods();
    all.push(Signature {
        name: "brew".to_owned(),
        doc: "Brews a cup.".to_owned(),
        parameters: vec![
            Parameter::required(
                "size",
                json!({"$ref": "#/$defs/Size", "$defs": {"Size": {"enum": ["small", "large"]}}}),
            ),
            Parameter::required("cups", json!({"type": "integer"})),
            Parameter::optional("milk", json!({"type": "boolean"}), json!(false)),
            Parameter::optional(
                "sugar",
                json!({"anyOf": [{"type": "integer"}, {"type": "null"}]}),
                json!(null),
            ),
            Parameter::optional("extras", json!({"type": "array"}), json!([])),
        ],
        ..Signature::default()
    });
    learn(&mut model, key(8089), all, now);
    press(&mut model, Key::char('2'), now);
    model.methods.selected = Some("brew".to_owned());
    press(&mut model, Key::plain(Code::Enter), now);
    (model, now)
}

/// The server said no.
pub(crate) fn failed() -> (Model, Now) {
    let (mut model, now) = form();
    let id = fill_and_send(&mut model, now);
    let failure = Failure {
        kind: "remote error -32602".to_owned(),
        text: "Argument error: add() takes from 2 to 3 positional arguments but 4 were given"
            .to_owned(),
    };
    feed(&mut model, Msg::Called(id, Box::new(outcome(Err(failure)))), now);
    (model, now)
}

pub(crate) fn line(level: Level, at_ms: u64, message: &str) -> (LogLine, u64) {
    let mut fields = Map::new();
    fields.insert("peer".to_owned(), json!("127.0.0.1:40312"));
    let line = LogLine {
        seq: 0,
        at_ms,
        level,
        target: "rpc_server::session".to_owned(),
        message: message.to_owned(),
        fields,
    };
    (line, 0)
}

/// Lines of registry and servers, followed.
pub(crate) fn logs() -> (Model, Now) {
    let (mut model, now) = busy();
    for source in [Source::Registry, Source::Server(key(8089)), Source::Server(key(8090))] {
        feed(&mut model, Msg::LogSource(source, SourceState::Live), now);
    }
    let older = Source::Server(Instance::new("10.0.0.7", 8089).key());
    feed(&mut model, Msg::LogSource(older, SourceState::Unsupported), now);
    for n in 0..40u64 {
        let (source, level, text) = match n % 4 {
            0 => (Source::Registry, Level::Info, "instance registered"),
            1 => (
                Source::Server(key(8089)),
                Level::Warn,
                "a client went away in the middle of a call",
            ),
            2 => (Source::Server(key(8090)), Level::Debug, "connection accepted"),
            _ => {
                (Source::Server(key(8090)), Level::Error, "the registry is not reached; will retry")
            }
        };
        let message = format!("{text} #{n}");
        feed(&mut model, Msg::Logs(source, vec![line(level, WALL_MS + n * 137, &message)]), now);
    }
    press(&mut model, Key::char('4'), now);
    (model, now)
}

/// Stopped, filtered, wrapped, with lines lost and a line that tries to steer the terminal.
pub(crate) fn logs_stopped() -> (Model, Now) {
    let (mut model, now) = logs();
    let hostile = "evil \u{1b}[2J\u{1b}]0;title\u{7} went away \u{202e}reversed 漢字 and a very long tail that goes on and on until the edge of any screen is reached";
    let (line, _) = line(Level::Warn, WALL_MS + 9_000, hostile);
    feed(&mut model, Msg::Logs(Source::Server(key(8089)), vec![(line, 3)]), now);
    press(&mut model, Key::char('w'), now);
    press(&mut model, Key::char('&'), now);
    types(&mut model, "went away", now);
    press(&mut model, Key::plain(Code::Enter), now);
    press(&mut model, Key::char('F'), now);
    let (late, _) = self::line(Level::Warn, WALL_MS + 9_500, "one more went away");
    feed(&mut model, Msg::Logs(Source::Server(key(8089)), vec![(late, 0)]), now);
    (model, now)
}

/// Three calls, one of them still running.
pub(crate) fn history() -> (Model, Now) {
    let (mut model, now) = answered();
    press(&mut model, Key::plain(Code::Enter), now);
    let id = model.calls.shown.unwrap();
    let failure = Failure { kind: "timeout".to_owned(), text: "no answer within 10 s".to_owned() };
    feed(&mut model, Msg::Called(id, Box::new(outcome(Err(failure)))), now);
    press(&mut model, Key::plain(Code::Enter), now);
    model.view = View::History;
    (model, now)
}

/// Calls of this session before those of earlier ones: one went well, one did not, one's method
/// is not known any more.
pub(crate) fn history_restored() -> (Model, Now) {
    let (mut model, now) = history();
    let past = |ago_h: u64, method: &str, failure: Option<Failure>| Past {
        at_ms: WALL_MS + 10 * 86_400_000 - ago_h * 3_600_000,
        method: method.to_owned(),
        args: rpc_wire::call::Args::from_values(&[json!(3), json!(4)], &Map::new()),
        target: Some(key(8090)),
        timeout: Duration::from_secs(30),
        stream: false,
        ended: Ended {
            failure,
            peer: Some("127.0.0.1:8090".to_owned()),
            elapsed: Duration::from_micros(1_730),
            reply_bytes: 12,
        },
    };
    // Its day is not the day of the others.
    let now = Now { wall_ms: now.wall_ms + 10 * 86_400_000, ..now };
    let failure = Failure { kind: "timeout".to_owned(), text: "no answer within 10 s".to_owned() };
    let calls =
        vec![past(47, "gone_method", None), past(30, "add", Some(failure)), past(2, "add", None)];
    feed(&mut model, Msg::History(calls), now);
    (model, now)
}

/// Another instance is chosen for a call.
pub(crate) fn elsewhere() -> (Model, Now) {
    let (mut model, now) = history();
    press(&mut model, Key::char('R'), now);
    (model, now)
}

/// Everything a stranger can name holds escape sequences.
pub(crate) fn hostile() -> (Model, Now) {
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
        Msg::Registry(RegistryNews::Lost { error: evil.to_owned(), retry_in: Duration::ZERO }),
        now,
    );
    (model, now)
}

/// Very many instances and log lines.
pub(crate) fn crowd(count: u16) -> (Model, Now) {
    let (mut model, now) = logs();
    let many = (0..count).map(|n| record("10.1.1.1", 1 + n, u64::from(n) % 9_000, 60)).collect();
    snapshot(&mut model, many, now);
    for _ in 0..60 {
        let lines = (0..1_000).map(|n| line(Level::Info, n, "a line like any other")).collect();
        feed(&mut model, Msg::Logs(Source::Registry, lines), now);
    }
    press(&mut model, Key::char('1'), now);
    (model, now)
}

/// A demo with one server.
pub(crate) fn demo() -> (Model, Now) {
    let (mut model, now) = busy();
    model.demo = Some(Demo { traffic: true, registry: true, servers: Vec::new() });
    feed(&mut model, Msg::Demo(DemoNews::Server(key(8089), true)), now);
    (model, now)
}

/// What an open loop measured; `slower` makes another run of it.
pub(crate) fn report(request: &LoadRequest, slower: u64) -> Report {
    let us = |us: u64| Duration::from_micros(us * slower);
    let rate = if slower > 1 { 80.0 } else { 99.5 };
    let point = |at: u64| Point {
        at: Duration::from_secs(at),
        span: Duration::from_secs(1),
        calls: 100,
        failed: 0,
        rate: rate - f64::from(u8::try_from(at % 4).unwrap()) * 7.0,
        p50: us(420),
        p99: us(1_900 + at * at * 300),
    };
    let share = |address: &str, calls, failed| Share {
        address: address.to_owned(),
        calls,
        failed,
        mean: us(460),
    };
    let bar = |(up_to, count)| Bar { up_to: us(up_to), count };
    let bars = [310, 340, 380, 420, 470, 520, 590, 680, 790, 950, 1_200, 1_600, 2_300, 3_500];
    let counts = [12, 90, 210, 260, 190, 96, 50, 30, 21, 13, 9, 6, 4, 2];
    let open = matches!(request.mode, Mode::OpenLoop { .. });
    Report {
        method: request.method.clone(),
        target: request.target.to_string(),
        mode: request.mode,
        connections: request.connections,
        elapsed: Duration::from_secs(10),
        stopped: false,
        calls: 995,
        failed: 21,
        unreached: 0,
        error_ratio: 21.0 / 995.0,
        rate,
        retries: 7,
        abandoned: 0,
        latency: Latency {
            min: us(290),
            mean: us(460),
            stdev: us(220),
            p50: us(420),
            p75: us(470),
            p90: us(590),
            p95: us(790),
            p99: us(1_900),
            p99_9: us(3_300),
            p99_99: us(3_480),
            max: us(3_490),
        },
        histogram: bars.into_iter().zip(counts).map(bar).collect(),
        errors: vec![
            ErrorCount {
                kind: "timeout".to_owned(),
                count: 20,
                example: "no reply from 127.0.0.1:8090 within 10 s\u{1b}[2J".to_owned(),
            },
            ErrorCount {
                kind: "remote -32601".to_owned(),
                count: 1,
                example: "unknown method".to_owned(),
            },
        ],
        instances: vec![share("127.0.0.1:8089", 510, 0), share("127.0.0.1:8090", 485, 21)],
        series: (0..10).map(point).collect(),
        behind: open.then_some(Behind { late: 12, furthest: us(250_000), never_begun: 0 }),
    }
}

/// The plan of a load test of `add(1, 2)`.
pub(crate) fn load_plan() -> (Model, Now) {
    let (mut model, now) = form();
    types(&mut model, "1", now);
    press(&mut model, Key::plain(Code::Tab), now);
    types(&mut model, "2", now);
    press(&mut model, Key::ctrl('b'), now);
    (model, now)
}

pub(crate) fn start_load(model: &mut Model, now: Now) -> LoadRequest {
    match &press(model, Key::plain(Code::Enter), now)[..] {
        [Effect::StartLoad(request)] => (**request).clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn load_news(model: &mut Model, phase: Phase, report: Report, now: Now) {
    let id = model.load.run.as_ref().unwrap().request.id;
    let done = if phase.is_over() { 1.0 } else { report.elapsed.as_secs_f64() / 10.0 };
    let progress = Progress { phase, done, in_flight: 3, report };
    feed(model, Msg::Load(id, LoadNews::Progress(Arc::new(progress))), now);
}

/// It runs, and 4 of its 10 s are over.
pub(crate) fn loading() -> (Model, Now) {
    let (mut model, now) = load_plan();
    let request = start_load(&mut model, now);
    let mut part = report(&request, 1);
    part.elapsed = Duration::from_secs(4);
    part.series.truncate(4);
    load_news(&mut model, Phase::Measuring, part, now);
    (model, now)
}

/// Two runs, the second slower, side by side.
pub(crate) fn compared() -> (Model, Now) {
    let (mut model, now) = load_plan();
    let request = start_load(&mut model, now);
    load_news(&mut model, Phase::Done, report(&request, 1), now);
    start_load(&mut model, now);
    let slower = report(&request, 2);
    load_news(&mut model, Phase::Done, slower, after(now, 10_000));
    let now = after(now, 20_000);
    press(&mut model, Key::char('c'), now);
    feed(&mut model, Msg::Tick, now);
    (model, now)
}

/// The demo as the README shows it: three servers, one of which was crashed a moment ago.
pub(crate) fn pictured() -> (Model, Now) {
    const PORTS: [u16; 3] = [41_021, 41_022, 41_023];
    let start = now();
    let mut model = Model::new("http://127.0.0.1:41020", start);
    model.demo = Some(Demo { traffic: true, registry: true, servers: Vec::new() });
    for port in PORTS {
        feed(&mut model, Msg::Demo(DemoNews::Server(key(port), true)), start);
    }
    let records = PORTS.iter().map(|port| record("127.0.0.1", *port, 400, 0)).collect();
    snapshot(&mut model, records, start);
    for (port, lacks) in PORTS.into_iter().zip(["", "", "square"]) {
        let mut all = demo_methods();
        all.retain(|method| method.name != lacks);
        learn(&mut model, key(port), all, start);
        let rtt = Duration::from_micros(310 + u64::from(port % 7) * 90);
        feed(&mut model, Msg::Instance(key(port), InstanceNews::Probe(Ok(rtt))), start);
    }
    // A heartbeat every 5 s, until the second server beats no more.
    let mut at = start;
    for round in 1..=24u64 {
        at = after(start, round * 5_000 - 400);
        let alive = PORTS.iter().filter(|port| round < 24 || **port != 41_022);
        let beat = |port: &u16| Beat {
            key: key(*port),
            age_ms: u64::from(*port % 3) * 70,
            heartbeats: round + 1,
        };
        let beats = alive.map(beat).collect();
        feed(&mut model, Msg::Registry(RegistryNews::Change(WatchEvent::Beats(beats))), at);
    }
    let crash = after(at, 400);
    feed(&mut model, Msg::Demo(DemoNews::Server(key(41_022), false)), crash);
    let late = after(crash, 2_100);
    feed(&mut model, Msg::Tick, late);
    model.instances.selected = Some(key(41_021));
    let probe = InstanceNews::Probe(Err("connection refused".to_owned()));
    feed(&mut model, Msg::Instance(key(41_022), probe), late);
    (model, after(late, 1_400))
}

/// A call of the demo's forecast, with a nested answer partly folded.
pub(crate) fn pictured_call() -> (Model, Now) {
    let (mut model, now) = pictured();
    press(&mut model, Key::char('2'), now);
    model.methods.selected = Some("forecast".to_owned());
    press(&mut model, Key::plain(Code::Enter), now);
    types(&mut model, "Bergen", now);
    let effects = press(&mut model, Key::plain(Code::Enter), now);
    let id = match &effects[..] {
        [Effect::Call(request)] => request.id,
        other => panic!("{other:?}"),
    };
    let body = r#"{"city":"Bergen","source":"invented","days":[{"day":1,"sky":"cloudy","celsius":{"low":19,"high":25},"hours":[6,12,18]},{"day":2,"sky":"rain","celsius":{"low":15,"high":21},"hours":[6,12,18]},{"day":3,"sky":"wind","celsius":{"low":22,"high":28},"hours":[6,12,18]}]}"#;
    let answer = Outcome {
        reply_bytes: body.len() + 18,
        peer: Some(key(41_021).to_string()),
        ..outcome(Ok(body))
    };
    feed(&mut model, Msg::Called(id, Box::new(answer)), now);
    press(&mut model, Key::plain(Code::Esc), now);
    model.set_focus(crate::model::Pane::Response);
    for key in "jjjjjjjhjhgjjjj".chars() {
        press(&mut model, Key::char(key), now);
    }
    (model, now)
}

/// Methods as the demo's servers have them.
fn demo_methods() -> Vec<Signature> {
    let mut all = methods();
    let method = |name: &str, doc: &str, parameters: Vec<Parameter>| Signature {
        name: name.to_owned(),
        doc: doc.to_owned(),
        parameters,
        stream: name == "countdown",
        ..Signature::default()
    };
    let text = || json!({"type": "string"});
    let small = || json!({"type": "integer", "minimum": 0, "maximum": 255});
    all.extend([
        method(
            "forecast",
            "A made-up forecast: a nested answer, to fold and unfold.",
            vec![
                Parameter::required("city", text()),
                Parameter::optional("days", small(), json!(3)),
            ],
        ),
        method("order", "Takes an order.", vec![Parameter::required("item", text())]),
        method("countdown", "", vec![Parameter::optional("from", small(), json!(10))]),
        method("subtract", "", Vec::new()),
        method("multiply", "", Vec::new()),
    ]);
    all
}
