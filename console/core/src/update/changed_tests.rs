//! A method that changes on its servers while its form is open.

use std::sync::Arc;

use rpc_wire::instance::WatchEvent;
use rpc_wire::signature::{Parameter, Signature};
use serde_json::json;

use crate::fixture::{self, after, feed, key, press, types};
use crate::key::{Code, Key};
use crate::message::{Effect, Msg, RegistryUpdate};
use crate::model::{Model, Now, Overlay, Pane};
use crate::selectors::method_news;

const OLD: &str = "00000000000000000000000000000001";
const NEW: &str = "00000000000000000000000000000002";
const NEWER: &str = "00000000000000000000000000000003";
const ENTER: Key = Key::plain(Code::Enter);

fn discount(percent: i64, more: &[&str]) -> Signature {
    let number = || json!({"type": "number"});
    let mut parameters = vec![
        Parameter::required("price", number()),
        Parameter::optional("percent", number(), json!(percent)),
    ];
    let more = more.iter().map(|name| Parameter::optional(*name, number(), json!(0)));
    parameters.extend(more);
    Signature { name: "discount".to_owned(), parameters, ..Signature::default() }
}

fn announce(model: &mut Model, digest: &str, now: Now) {
    let mut record = fixture::record("127.0.0.1", 8089, 100, 60);
    for (name, value) in [("service", "shop"), ("contract", digest)] {
        record.instance.parameters.insert(name.to_owned(), value.into());
    }
    let update = RegistryUpdate::Change(WatchEvent::Updated(record), now.at);
    feed(model, Msg::Registry(update), now);
}

fn reply(model: &mut Model, digest: &str, methods: Vec<Signature>, now: Now) {
    feed(model, Msg::Contract(digest.to_owned(), Arc::new(methods.into())), now);
}

/// The form of the one server's method, filled in.
fn filled() -> (Model, Now) {
    let now = fixture::now();
    let mut model = Model::new("http://127.0.0.1:9999", now);
    fixture::snapshot(&mut model, Vec::new(), now);
    announce(&mut model, OLD, now);
    let earlier = Signature { name: "add".to_owned(), ..Signature::default() };
    reply(&mut model, OLD, vec![earlier, discount(10, &[])], now);
    types(&mut model, "2j", now);
    press(&mut model, ENTER, now);
    types(&mut model, "200", now);
    (model, after(now, 1_000))
}

fn values(model: &Model) -> Vec<(&str, &str)> {
    let fields = &model.forms.get().unwrap().fields;
    fields.iter().map(|field| (field.parameter.name.as_str(), field.input.value())).collect()
}

fn news(model: &Model) -> Option<String> {
    method_news(model, model.forms.get().unwrap())
}

#[test]
fn an_open_form_gets_the_new_fields_keeps_what_was_typed_and_says_what_changed_until_it_is_sent() {
    let (mut model, now) = filled();
    announce(&mut model, NEW, now);
    assert_eq!((values(&model).len(), news(&model)), (2, None), "the server is asked first");
    reply(&mut model, NEW, vec![discount(20, &["note"])], now);
    assert_eq!(values(&model), [("price", "200"), ("percent", ""), ("note", "")]);
    assert_eq!(model.forms.get().unwrap().fields[1].parameter.default, Some(json!(20)));
    let said = "the method has changed: percent has the default 20, note is new";
    assert_eq!(news(&model).as_deref(), Some(said));
    press(&mut model, ENTER, now);
    assert_eq!(news(&model), None);
}

#[test]
fn leaving_a_form_of_a_method_that_changed_keeps_what_was_typed_and_an_empty_one_is_just_another() {
    let (mut model, now) = filled();
    model.set_focus(Pane::Methods);
    announce(&mut model, NEW, now);
    reply(&mut model, NEW, vec![discount(10, &["note"])], now);
    assert_eq!(values(&model), [("price", "200"), ("percent", ""), ("note", "")]);
    assert!(news(&model).is_some());
    model.forms.get_mut().unwrap().reset();
    announce(&mut model, NEWER, now);
    reply(&mut model, NEWER, vec![discount(10, &[])], now);
    assert_eq!((values(&model).len(), news(&model)), (2, None));
}

#[test]
fn a_method_stays_selected_while_its_server_is_asked_and_one_that_is_gone_says_so() {
    let (mut model, now) = filled();
    let selected = |model: &Model| model.methods.selected.clone().map(|id| id.name);
    announce(&mut model, NEW, now);
    assert_eq!((selected(&model).as_deref(), news(&model)), (Some("discount"), None));
    let other = Signature { name: "refund".to_owned(), ..Signature::default() };
    reply(&mut model, NEW, vec![other], now);
    assert_eq!(news(&model).as_deref(), Some("no instance of shop has it any more"));
    assert_eq!(selected(&model).as_deref(), Some("refund"));
    assert_eq!(values(&model)[0], ("price", "200"));
    assert!(press(&mut model, ENTER, now).is_empty(), "it cannot be sent");
    announce(&mut model, OLD, now);
    reply(&mut model, OLD, vec![discount(10, &[])], now);
    assert_eq!((values(&model)[0], news(&model)), (("price", "200"), None), "it is back");
}

#[test]
fn opening_a_form_or_its_documentation_asks_again_and_shows_the_documentation_of_now() {
    let (mut model, now) = filled();
    let documented = |doc: &str| Signature { doc: doc.to_owned(), ..discount(10, &[]) };
    reply(&mut model, OLD, vec![documented("Before.")], now);
    let asked = [Effect::AskAgain(key(8089))];
    assert_eq!(press(&mut model, Key::plain(Code::F(2)), now), asked);
    let shown = |model: &Model| {
        let Some(Overlay::Reader(reader)) = &model.overlay else { panic!("{:?}", model.overlay) };
        reader.lines(60)[1].text.clone()
    };
    assert_eq!(shown(&model), "Before.");
    reply(&mut model, OLD, vec![documented("After.")], now);
    assert_eq!(shown(&model), "After.");
    assert_eq!((model.forms.get().unwrap().signature.doc.as_str(), news(&model)), ("After.", None));
    press(&mut model, Key::plain(Code::Esc), now);
    model.set_focus(Pane::Methods);
    assert_eq!(press(&mut model, ENTER, now), asked);
}
