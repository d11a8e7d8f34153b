//! What strangers wrote is copied as it is shown: a paste into a shell runs nothing by itself.

use std::sync::Arc;

use rpc_wire::instance::Instance;
use rpc_wire::is_hidden;
use rpc_wire::report::Level;
use rpc_wire::signature::Signature;

use crate::fixture::{self, feed, press};
use crate::key::{Code, Key};
use crate::message::{Effect, InstanceUpdate, Msg, RegistryUpdate};
use crate::model::logs::Source;
use crate::model::{Model, Now, Pane};

const EVIL: &str = "id\nreboot\u{1b}[31m\u{9b}\u{202e}\u{200b}\u{e0041}";
const SHOWN: &str = r"id\nreboot\u001b[31m\u009b\u202e\u200b\udb40\udc41";

fn copied(model: &mut Model, now: Now) -> String {
    let effects = press(model, Key::char('y'), now);
    let [Effect::Copy { text, .. }] = &effects[..] else { panic!("{effects:?}") };
    text.clone()
}

/// The only instance, whose host is hostile, and a method and a log line of it.
fn hostile() -> (Model, Now) {
    let now = fixture::now();
    let mut model = Model::new("http://127.0.0.1:9999", now);
    feed(&mut model, Msg::Registry(RegistryUpdate::Live { ages: true }), now);
    fixture::snapshot(&mut model, vec![fixture::record(EVIL, 1, 0, 1)], now);
    let key = Instance::new(EVIL, 1).key();
    let methods = vec![Signature { name: EVIL.to_owned(), ..Signature::default() }];
    let methods = InstanceUpdate::Methods(Ok(Arc::new(methods.into())));
    feed(&mut model, Msg::Instance(key.clone(), methods), now);
    let line = fixture::line(Level::Warn, now.wall_ms, EVIL);
    feed(&mut model, Msg::Logs(Source::Server(key), vec![line]), now);
    (model, now)
}

#[test]
fn addresses_names_events_and_log_lines_are_copied_as_they_are_shown() {
    let (mut model, now) = hostile();
    assert_eq!(copied(&mut model, now), format!("{SHOWN}:1"));
    press(&mut model, Key::char('E'), now);
    assert_eq!(model.focus(), Pane::Events);
    let event = copied(&mut model, now);
    assert!(!event.contains(is_hidden), "{event:?}");
    press(&mut model, Key::char('2'), now);
    assert_eq!(copied(&mut model, now), SHOWN);
    press(&mut model, Key::char('4'), now);
    assert_eq!(copied(&mut model, now), format!("{SHOWN} peer=127.0.0.1:40312"));
}

#[test]
fn results_stay_json_and_a_string_that_is_not_what_it_seems_is_copied_with_its_quotes() {
    let (mut model, now) = fixture::folded();
    let json = serde_json::json!([EVIL, "harmless"]).to_string().replace(',', ",\n");
    let effects = press(&mut model, Key::char('r'), now);
    let [Effect::Call(request)] = &effects[..] else { panic!("{effects:?}") };
    let outcome = fixture::outcome(Ok(&json));
    feed(&mut model, Msg::CallEnded(request.id, Box::new(outcome)), now);
    let whole = copied(&mut model, now);
    assert_eq!(whole, format!(r#"["{SHOWN}","harmless"]"#));
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(read(&whole), read(&json));
    press(&mut model, Key::plain(Code::Down), now);
    assert_eq!(copied(&mut model, now), format!("\"{SHOWN}\""));
    press(&mut model, Key::plain(Code::Down), now);
    assert_eq!(copied(&mut model, now), "harmless");
}
