//! Calls, names and corrections in the palette.

use crate::fixture::{self, feed, press, types};
use crate::key::{Code, Key};
use crate::message::{Effect, Msg};
use crate::model::palette::Entry;
use crate::model::saved::Contents;
use crate::model::{Model, Now, Overlay};
use crate::selectors::palette_entries;

const ENTER: Key = Key::plain(Code::Enter);

fn open(model: &mut Model, text: &str, now: Now) {
    model.overlay = None;
    press(model, Key::ctrl('p'), now);
    types(model, text, now);
}

fn entries(model: &Model) -> Vec<Entry> {
    let Some(Overlay::Palette(palette)) = &model.overlay else { return Vec::new() };
    palette_entries(model, palette)
}

/// The arguments that a typed call is sent with.
fn sent(model: &mut Model, text: &str, now: Now) -> Option<(String, String)> {
    open(model, text, now);
    press(model, ENTER, now).into_iter().find_map(|effect| match effect {
        Effect::Call(request) => {
            let args = &request.args;
            Some((args.positional().to_owned(), args.keyword().to_owned()))
        }
        _ => None,
    })
}

#[test]
fn of_very_many_instances_the_first_are_listed_and_all_are_found_by_typing() {
    let now = fixture::now();
    let mut model = Model::new("http://127.0.0.1:9999", now);
    let records = (1..=1_500).map(|port| fixture::record("10.0.0.1", port, 0, 1));
    fixture::snapshot(&mut model, records.collect(), now);
    let instances = |model: &Model| {
        let is_instance = |entry: &Entry| matches!(entry, Entry::Instance(_));
        entries(model).into_iter().filter(is_instance).collect::<Vec<_>>()
    };
    open(&mut model, "", now);
    let found = instances(&model);
    let first = rpc_wire::instance::Instance::new("10.0.0.1", 1).key();
    assert_eq!((found.len(), &found[0]), (1_000, &Entry::Instance(first)));
    open(&mut model, "10.0.0.1:1500", now);
    assert_eq!(instances(&model).len(), 1);
}

#[test]
fn a_call_is_read_as_on_the_command_line() {
    let (mut model, now) = fixture::busy();
    let add = |positional: &str, keyword: &str| Some((positional.to_owned(), keyword.to_owned()));
    assert_eq!(sent(&mut model, "add 1 2", now), add("[1,2]", "{}"));
    assert_eq!(sent(&mut model, "add 1 b:=2.50", now), add("[1]", r#"{"b":2.50}"#));
    assert_eq!(sent(&mut model, "add 1 two", now), None);
    let toast = model.toast.as_ref().unwrap();
    assert!(toast.is_error, "{}", toast.text);
    assert_eq!(toast.text, "not sent: the argument b of add must be a number, not 'two'");
    assert_eq!(sent(&mut model, "add 1 b:=two", now), None);
    assert!(model.toast.as_ref().unwrap().text.contains("b:= takes JSON"));
}

#[test]
fn a_name_with_a_typing_error_is_corrected_and_nothing_is_sent_before() {
    let (mut model, now) = fixture::busy();
    assert_eq!(sent(&mut model, "ad 1 2", now), None);
    let Some(Overlay::Palette(palette)) = &model.overlay else { panic!("it stays open") };
    assert_eq!(palette.input.value(), "add 1 2");
    assert!(matches!(entries(&model)[..], [Entry::Call(_, Ok(_))]));
    open(&mut model, "adf", now);
    assert_eq!(entries(&model)[0].label(), "did you mean add?");
    open(&mut model, "qqqqqq 1", now);
    assert!(entries(&model).iter().all(|entry| !matches!(entry, Entry::Correct(..))));
}

#[test]
fn the_method_or_command_of_exactly_that_name_is_first_and_requests_come_after_it() {
    let (mut model, now) = fixture::busy();
    let text = "[[requests]]\nname = \"add\"\nmethod = \"add\"";
    let contents: Contents = crate::model::saved::file::parse(text).unwrap();
    feed(&mut model, Msg::Requests(Ok(contents)), now);
    for typed in ["add", "ad"] {
        open(&mut model, typed, now);
        let found = entries(&model);
        let at = |is: &dyn Fn(&Entry) -> bool| found.iter().position(is).unwrap();
        let method =
            at(&|entry| matches!(entry, Entry::Method(method, _) if method.id.name == "add"));
        let saved = at(&|entry| matches!(entry, Entry::Saved(..)));
        assert!(method < saved, "{typed}: {found:?}");
    }
    open(&mut model, "add", now);
    assert!(matches!(&entries(&model)[0], Entry::Method(method, _) if method.id.name == "add"));
    let Some(Entry::Action(_, _, help)) = ({
        open(&mut model, "", now);
        entries(&model).into_iter().find(|entry| matches!(entry, Entry::Action(..)))
    }) else {
        panic!("no commands")
    };
    open(&mut model, help, now);
    assert!(matches!(&entries(&model)[0], Entry::Action(_, _, first) if *first == help));
}
