//! Saving, opening, renaming and deleting requests, and switching the environment, by keys.

use rpc_wire::call::Args;

use crate::fixture::{self, feed, press, types};
use crate::key::{Code, Key};
use crate::message::{Effect, Msg};
use crate::model::ask::Purpose;
use crate::model::saved::file::parse;
use crate::model::saved::{Change, ChangeError};
use crate::model::{Model, Now, Overlay, Pane};
use crate::selectors::{MethodRow, method_rows, palette_entries, selected_row};

const ENTER: Key = Key::plain(Code::Enter);
const ESC: Key = Key::plain(Code::Esc);
const DOWN: Key = Key::plain(Code::Down);

fn saved() -> (Model, Now) {
    fixture::saved()
}

fn change_of(effects: &[Effect]) -> Change {
    match effects {
        [Effect::ChangeRequests(change)] => (**change).clone(),
        other => panic!("{other:?}"),
    }
}

fn sent(effects: &[Effect]) -> Option<(String, Args)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Call(request) => Some((request.method.clone(), request.args.clone())),
        _ => None,
    })
}

fn note(model: &Model) -> &str {
    match &model.overlay {
        Some(Overlay::Prompt(prompt)) => &prompt.note,
        other => panic!("{other:?}"),
    }
}

fn rows(model: &Model) -> Vec<String> {
    let name = |row: &MethodRow<'_>| match row {
        MethodRow::Saved(request) => format!("★ {}", request.name),
        MethodRow::Method(method) => method.signature.name.clone(),
    };
    method_rows(model).iter().map(name).collect()
}

/// The form of `hello` with this text, the cursor in it.
fn hello(text: &str) -> (Model, Now) {
    let (mut model, now) = saved();
    press(&mut model, Key::char(':'), now);
    types(&mut model, "method hello", now);
    press(&mut model, ENTER, now);
    types(&mut model, text, now);
    (model, now)
}

#[test]
fn a_filled_form_gets_a_name_and_is_saved_as_written() {
    let (mut model, now) = hello("{{user}} {{env:TOKEN}}");
    press(&mut model, Key::ctrl('n'), now);
    assert!(note(&model).contains("rpcd-requests.toml"));
    press(&mut model, Key::ctrl('u'), now);
    let nothing = press(&mut model, ENTER, now);
    assert!(nothing.is_empty() && note(&model).contains("a name is needed"));
    types(&mut model, "greet", now);
    let change = change_of(&press(&mut model, ENTER, now));
    let Change::Save { request, replace: false } = &change else { panic!("{change:?}") };
    assert_eq!((request.name.as_str(), request.method.as_str()), ("greet", "hello"));
    assert_eq!(request.args.positional(), r#"["{{user}} {{env:TOKEN}}"]"#);

    // The name is taken: the second time it is replaced.
    let taken = Err(ChangeError::Exists("greet".to_owned()));
    feed(&mut model, Msg::RequestsChanged(Box::new(change), taken), now);
    assert_eq!(note(&model), "greet exists; ⏎ again replaces it");
    let change = change_of(&press(&mut model, ENTER, now));
    assert!(matches!(change, Change::Save { replace: true, .. }));
    let done = Ok("rpcd-requests.toml".to_owned());
    feed(&mut model, Msg::RequestsChanged(Box::new(change), done), now);
    assert!(model.overlay.is_none());
    assert_eq!(model.toast.unwrap().text, "saved greet; rpcd-requests.toml");
}

#[test]
fn an_invalid_field_or_an_unreadable_file_is_not_saved() {
    let (mut model, now) = saved();
    press(&mut model, Key::char(':'), now);
    types(&mut model, "method add", now);
    press(&mut model, ENTER, now);
    types(&mut model, "x", now);
    press(&mut model, Key::ctrl('n'), now);
    assert_eq!(model.toast.as_ref().unwrap().text, "not saved: a must be a number");

    let error = "rpcd-requests.toml:3: invalid".to_owned();
    feed(&mut model, Msg::Requests(Err(error)), now);
    assert!(model.toast.as_ref().unwrap().text.contains("rpcd-requests.toml:3: invalid"));
    assert!(model.saved.contents.requests.is_empty());
    press(&mut model, Key::ctrl('n'), now);
    let toast = &model.toast.as_ref().unwrap().text;
    assert_eq!(toast, "not saved: rpcd-requests.toml:3: invalid; fix the file first");
    assert!(model.overlay.is_none());
}

#[test]
fn a_saved_request_is_opened_from_methods_and_sent_with_its_variables() {
    let (mut model, now) = saved();
    press(&mut model, Key::char('2'), now);
    press(&mut model, Key::char('g'), now);
    assert_eq!(rows(&model)[..3], ["★ greet", "★ sum of two", "add"]);
    assert_eq!(selected_row(&model, &method_rows(&model)), Some(0));
    assert_eq!(model.forms.current, Some("hello".into()));
    assert!(press(&mut model, ENTER, now).is_empty(), "opening sends nothing");
    assert_eq!(model.focus(), Pane::Form);
    let form = model.forms.get().unwrap();
    assert_eq!(form.fields[0].input.value(), "{{user}} {{env:TOKEN}}");
    assert_eq!(form.timeout.as_secs(), 3);
    let (method, args) = sent(&press(&mut model, ENTER, now)).unwrap();
    assert_eq!((method.as_str(), args.positional()), ("hello", r#"["ann {{env:TOKEN}}"]"#));
    let call = model.calls.shown_call().unwrap();
    assert!(call.arguments().contains("{{env:TOKEN}}"), "the history keeps the reference");
}

#[test]
fn a_filter_finds_requests_and_methods_and_selects_the_first() {
    let (mut model, now) = saved();
    press(&mut model, Key::char('2'), now);
    press(&mut model, Key::char('/'), now);
    types(&mut model, "sum", now);
    assert_eq!(rows(&model), ["★ sum of two"]);
    press(&mut model, ENTER, now);
    press(&mut model, ENTER, now);
    let form = model.forms.get().unwrap();
    let texts: Vec<_> = form.fields.iter().map(|field| field.input.value()).collect();
    assert_eq!((form.signature.name.as_str(), &texts[..]), ("add", &["{{count}}", "2", ""][..]));
}

#[test]
fn the_palette_has_requests_and_environments() {
    let (mut model, now) = saved();
    press(&mut model, Key::char(':'), now);
    types(&mut model, "sum of", now);
    let Some(Overlay::Palette(palette)) = &model.overlay else { panic!() };
    assert_eq!(palette_entries(&model, palette)[0].label(), "saved sum of two · add");
    press(&mut model, ENTER, now);
    assert_eq!(sent(&press(&mut model, ENTER, now)).unwrap().1.positional(), "[3,2]");
    press(&mut model, Key::ctrl('p'), now);
    types(&mut model, "environment prod", now);
    press(&mut model, ENTER, now);
    assert_eq!(model.saved.environment.as_deref(), Some("prod"));
}

#[test]
fn a_call_typed_in_the_palette_may_refer_to_variables() {
    let (mut model, now) = saved();
    press(&mut model, Key::char(':'), now);
    types(&mut model, "hello {{user}}", now);
    let args = sent(&press(&mut model, ENTER, now)).unwrap().1;
    assert_eq!(args.positional(), r#"["ann"]"#);
    press(&mut model, Key::char(':'), now);
    types(&mut model, "hello {{nobody}}", now);
    assert_eq!(sent(&press(&mut model, ENTER, now)), None);
    assert!(model.toast.unwrap().text.starts_with("not sent: no variable nobody in"));
}

#[test]
fn the_environment_is_switched_by_a_key_and_an_unknown_variable_is_an_error_on_its_field() {
    let (mut model, now) = hello("{{user}}");
    press(&mut model, ESC, now);
    press(&mut model, Key::char('V'), now);
    assert_eq!(model.toast.as_ref().unwrap().text, "environment prod; variables: count");
    assert_eq!(sent(&press(&mut model, ENTER, now)), None);
    let error = model.forms.get().unwrap().fields[0].error.clone().unwrap();
    assert!(error.starts_with("no variable user in [environments.prod]"), "{error}");
    press(&mut model, ESC, now);
    press(&mut model, Key::char('V'), now);
    assert_eq!(model.saved.environment.as_deref(), Some("local"));
    assert_eq!(sent(&press(&mut model, ENTER, now)).unwrap().1.positional(), r#"["ann"]"#);
}

#[test]
fn a_request_is_renamed_and_deleted_but_not_without_asking() {
    let (mut model, now) = saved();
    press(&mut model, Key::char('2'), now);
    press(&mut model, Key::char('g'), now);
    press(&mut model, Key::char('r'), now);
    press(&mut model, Key::ctrl('u'), now);
    types(&mut model, "hi", now);
    let change = change_of(&press(&mut model, ENTER, now));
    assert_eq!(change, Change::Rename { from: "greet".to_owned(), to: "hi".to_owned() });
    let text = "[[requests]]\nname = \"hi\"\nmethod = \"hello\"";
    feed(&mut model, Msg::Requests(Ok(parse(text).unwrap())), now);
    let done = Ok("rpcd-requests.toml".to_owned());
    feed(&mut model, Msg::RequestsChanged(Box::new(change), done), now);
    assert_eq!((model.saved.selected.as_deref(), model.overlay.is_none()), (Some("hi"), true));

    press(&mut model, Key::char('d'), now);
    assert!(press(&mut model, ENTER, now).is_empty(), "cancel is selected");
    press(&mut model, Key::char('d'), now);
    press(&mut model, DOWN, now);
    let change = change_of(&press(&mut model, ENTER, now));
    assert_eq!(change, Change::Delete("hi".to_owned()));
    let rest = parse("[[requests]]\nname = \"sum of two\"\nmethod = \"add\"").unwrap();
    feed(&mut model, Msg::Requests(Ok(rest)), now);
    assert_eq!(model.saved.selected, None);
    press(&mut model, Key::char('G'), now);
    press(&mut model, Key::char('d'), now);
    assert!(model.toast.unwrap().text.contains("no saved request selected"));
}

#[test]
fn a_request_with_arguments_that_the_method_does_not_take_is_not_opened() {
    let (mut model, now) = saved();
    let text = "[[requests]]\nname = \"a\"\nmethod = \"add\"\nargs = '[1, 2]'\nkwargs = '{\"d\": 5}'\n\
                [[requests]]\nname = \"b\"\nmethod = \"add\"\nargs = '[1, 2, 3, 4]'";
    feed(&mut model, Msg::Requests(Ok(parse(text).unwrap())), now);
    press(&mut model, Key::char('2'), now);
    press(&mut model, Key::char('g'), now);
    for why in ["a not opened: add takes no d", "b not opened: add takes no argument 4"] {
        press(&mut model, ENTER, now);
        assert_eq!(model.toast.as_ref().unwrap().text, why);
        assert_eq!(model.focus(), Pane::Methods);
        press(&mut model, DOWN, now);
    }
}

#[test]
fn a_request_of_an_unknown_method_or_to_an_unlisted_instance_says_so() {
    let (mut model, now) = saved();
    let text = "[[requests]]\nname = \"a\"\nmethod = \"nope\"\n[[requests]]\nname = \"b\"\n\
                method = \"now\"\ntarget = \"10.9.9.9:1\"";
    feed(&mut model, Msg::Requests(Ok(parse(text).unwrap())), now);
    press(&mut model, Key::char('2'), now);
    press(&mut model, Key::char('g'), now);
    press(&mut model, ENTER, now);
    assert_eq!(model.toast.as_ref().unwrap().text, "a not opened: no instance has nope");
    assert_eq!(model.focus(), Pane::Methods);
    press(&mut model, DOWN, now);
    press(&mut model, ENTER, now);
    let toast = &model.toast.as_ref().unwrap().text;
    assert!(toast.contains("10.9.9.9:1, not listed"), "{toast}");
    let pinned = rpc_wire::instance::Instance::new("10.9.9.9", 1).key();
    assert_eq!(model.forms.get().unwrap().target, Some(pinned.clone()));
    let effects = press(&mut model, Key::ctrl('s'), now);
    let [Effect::Call(request)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(request.candidates, [pinned], "never another server");
}

#[test]
fn a_call_of_the_history_is_saved() {
    let (mut model, now) = fixture::history();
    press(&mut model, Key::char('g'), now);
    press(&mut model, Key::char('S'), now);
    let effects = press(&mut model, ENTER, now);
    let Change::Save { request, .. } = change_of(&effects) else { panic!("{effects:?}") };
    let call = model.calls.visible()[0];
    assert_eq!((&request.method, &request.args), (&call.request.method, &call.request.args));
    assert_eq!(request.name, call.request.method);
}

#[test]
fn the_file_is_read_again_where_its_requests_are_shown() {
    let (mut model, now) = saved();
    assert_eq!(press(&mut model, Key::char(':'), now), [Effect::ReadRequests]);
    press(&mut model, ESC, now);
    assert_eq!(press(&mut model, Key::char('2'), now), [Effect::ReadRequests]);
}

#[test]
fn another_registry_keeps_the_requests_and_the_environment() {
    let (mut model, now) = saved();
    press(&mut model, Key::char('V'), now);
    model.registries = fixture::registries();
    press(&mut model, Key::char('@'), now);
    press(&mut model, DOWN, now);
    press(&mut model, ENTER, now);
    assert_eq!(model.saved.environment.as_deref(), Some("prod"));
    assert_eq!(model.saved.contents.requests.len(), 2);
}

#[test]
fn a_call_of_the_history_is_saved_with_its_references() {
    let (mut model, now) = hello("{{user}} {{env:TOKEN}}");
    let effects = press(&mut model, ENTER, now);
    let request = effects.iter().find_map(|effect| match effect {
        Effect::Call(request) => Some(request.clone()),
        _ => None,
    });
    let id = request.unwrap().id;
    assert_eq!(model.calls.get(id).unwrap().request.args.positional(), r#"["ann {{env:TOKEN}}"]"#);
    let outcome = Box::new(fixture::outcome(Ok("1")));
    let recorded = feed(&mut model, Msg::CallEnded(id, outcome), now);
    let [Effect::RecordCall(past)] = &recorded[..] else { panic!("{recorded:?}") };
    // In a later session, too.
    feed(&mut model, Msg::History(vec![(**past).clone()]), now);
    press(&mut model, ESC, now);
    press(&mut model, Key::char('3'), now);
    for key in ['g', 'G'] {
        press(&mut model, Key::char(key), now);
        press(&mut model, Key::char('S'), now);
        press(&mut model, Key::ctrl('u'), now);
        types(&mut model, "greet again", now);
        let change = change_of(&press(&mut model, ENTER, now));
        let Change::Save { request, .. } = &change else { panic!("{change:?}") };
        assert_eq!(request.args.positional(), r#"["{{user}} {{env:TOKEN}}"]"#);
        press(&mut model, ESC, now);
    }
}

#[test]
fn a_call_typed_in_the_palette_is_saved_with_its_references() {
    let (mut model, now) = saved();
    press(&mut model, Key::char(':'), now);
    types(&mut model, "hello {{user}}", now);
    let (_, args) = sent(&press(&mut model, ENTER, now)).unwrap();
    assert_eq!(args.positional(), r#"["ann"]"#);
    press(&mut model, Key::char('3'), now);
    press(&mut model, Key::char('S'), now);
    let Some(Overlay::Prompt(prompt)) = &model.overlay else { panic!() };
    let Purpose::SaveRequest { request, .. } = &prompt.purpose else { panic!("{prompt:?}") };
    assert_eq!(request.args.positional(), r#"["{{user}}"]"#);
}
