//! The call form: pickers, toggles, JSON, the editor, and errors.

use crate::fixture::{self, feed, press, types};
use crate::key::{Code, Key};
use crate::message::{Effect, Msg};
use crate::model::form::FieldValue;
use crate::model::{Model, Overlay, Pane};
use rpc_wire::signature::ParamStructure;

const ENTER: Key = Key::plain(Code::Enter);
const ESC: Key = Key::plain(Code::Esc);
const TAB: Key = Key::plain(Code::Tab);
const F3: Key = Key::plain(Code::F(3));
const DOWN: Key = Key::plain(Code::Down);
const SPACE: Key = Key::char(' ');

fn values(model: &Model) -> Vec<&str> {
    model.forms.get().unwrap().fields.iter().map(|field| field.input.value()).collect()
}

fn error(model: &Model) -> &str {
    model.forms.get().unwrap().json.as_ref().unwrap().error.as_deref().unwrap_or_default()
}

#[test]
fn choices_open_a_list_and_a_boolean_toggles() {
    let (mut model, now) = fixture::kinds();
    press(&mut model, SPACE, now);
    assert!(matches!(&model.overlay, Some(Overlay::Menu(menu)) if menu.items.len() == 2));
    press(&mut model, DOWN, now);
    press(&mut model, ENTER, now);
    assert_eq!(values(&model)[0], "large");
    press(&mut model, TAB, now);
    types(&mut model, "2", now);
    press(&mut model, TAB, now);
    press(&mut model, SPACE, now);
    assert_eq!(values(&model)[2], "true");
    press(&mut model, SPACE, now);
    assert_eq!(values(&model)[2], "false");
    press(&mut model, TAB, now);
    types(&mut model, "null", now);
    let sent = model.forms.get().unwrap().fields[3].value();
    assert_eq!(sent, FieldValue::Value(serde_json::Value::Null));
    let effects = press(&mut model, ENTER, now);
    let [Effect::Call(request)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(request.args.positional(), r#"["large",2]"#);
    assert_eq!(request.args.keyword(), r#"{"milk":false,"sugar":null}"#);
}

#[test]
fn a_method_that_takes_names_only_gets_them_from_its_form() {
    let (mut model, now) = fixture::direct();
    let mut all = fixture::methods();
    all[0].param_structure = ParamStructure::ByName;
    fixture::learn(&mut model, fixture::key(8089), all, now);
    press(&mut model, Key::char('2'), now);
    model.methods.selected = Some("add".into());
    press(&mut model, ENTER, now);
    types(&mut model, "1", now);
    press(&mut model, TAB, now);
    types(&mut model, "2", now);
    let effects = press(&mut model, ENTER, now);
    let [Effect::Call(request)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(request.args.in_one(), Some(r#"{"a":1,"b":2}"#));
}

#[test]
fn fields_convert_to_json_and_back() {
    let (mut model, now) = fixture::form();
    types(&mut model, "1", now);
    press(&mut model, Key::ctrl('j'), now);
    let json = model.forms.get().unwrap().json.as_ref().unwrap();
    assert_eq!(json.area.text(), "{\n  \"a\": 1,\n  \"b\": null\n}");
    press(&mut model, DOWN, now);
    press(&mut model, DOWN, now);
    press(&mut model, Key::plain(Code::End), now);
    for _ in 0..4 {
        press(&mut model, Key::plain(Code::Backspace), now);
    }
    types(&mut model, "2,", now);
    press(&mut model, ENTER, now);
    types(&mut model, "\"c\": 3", now);
    press(&mut model, Key::ctrl('j'), now);
    assert!(model.forms.get().unwrap().json.is_none());
    assert_eq!(values(&model), ["1", "2", "3"]);
}

#[test]
fn json_is_sent_or_has_an_error() {
    let (mut model, now) = fixture::form();
    press(&mut model, Key::ctrl('j'), now);
    let type_all = |model: &mut Model, text: &str| {
        press(model, ESC, now);
        press(model, Key::char('d'), now);
        model.forms.get_mut().unwrap().open_json("", None);
        types(model, text, now);
    };
    for (text, reason) in [
        ("{", "not JSON"),
        (r#"{"a": 1, "x": 2}"#, "no parameter x"),
        (r#"{"a": "one", "b": 2}"#, "a: must be a number"),
        (r#"{"a": 1}"#, "b: required"),
    ] {
        type_all(&mut model, text);
        assert!(press(&mut model, Key::ctrl('s'), now).is_empty(), "{text}");
        assert!(error(&model).contains(reason), "{text}: {}", error(&model));
    }
    type_all(&mut model, r#"{"a": 1, "b": 2}"#);
    let effects = press(&mut model, Key::ctrl('s'), now);
    let [Effect::Call(request)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(request.args.positional(), "[1,2]");
    assert!(model.forms.get().unwrap().json.is_some(), "ready for the next call");
}

#[test]
fn the_editor_gets_the_arguments_and_its_text_fills_the_form() {
    let (mut model, now) = fixture::form();
    types(&mut model, "1", now);
    let effects = press(&mut model, Key::ctrl('g'), now);
    let text = "{\n  \"a\": 1,\n  \"b\": null\n}";
    assert_eq!(effects, [Effect::Edit("add".to_owned(), text.to_owned())]);
    let back = |text: &str| Msg::Edited("add".to_owned(), Ok(text.to_owned()));
    feed(&mut model, back(r#"{"a": 5, "b": 6}"#), now);
    assert_eq!(values(&model), ["5", "6", ""]);
    feed(&mut model, back(r#"{"a": 5, "b": "#), now);
    assert!(error(&model).contains("not JSON"), "the text is kept");
    let failed = Msg::Edited("add".to_owned(), Err("the edited file is gone".to_owned()));
    feed(&mut model, failed, now);
    assert!(model.toast.as_ref().unwrap().is_error);
}

#[test]
fn reset_restores_every_default_also_as_json() {
    let (mut model, now) = fixture::form();
    types(&mut model, "1", now);
    press(&mut model, Key::ctrl('r'), now);
    assert_eq!(values(&model), ["", "", ""]);
    press(&mut model, Key::ctrl('j'), now);
    types(&mut model, "garbage", now);
    press(&mut model, Key::ctrl('r'), now);
    let json = model.forms.get().unwrap().json.as_ref().unwrap();
    assert_eq!(json.area.text(), "{\n  \"a\": null,\n  \"b\": null\n}");
}

#[test]
fn a_key_cancels_the_call_in_flight_also_while_typing() {
    let (mut model, now) = fixture::form();
    press(&mut model, Key::ctrl('j'), now);
    model.forms.get_mut().unwrap().open_json("[1,2]", None);
    types(&mut model, " ", now);
    let effects = press(&mut model, Key::ctrl('s'), now);
    let [Effect::Call(request)] = &effects[..] else { panic!("{effects:?}") };
    assert!(press(&mut model, ESC, now).is_empty());
    types(&mut model, "i", now);
    assert_eq!(press(&mut model, Key::ctrl('x'), now), [Effect::Cancel(request.id)]);
}

#[test]
fn a_key_goes_to_the_response_also_while_typing_and_back() {
    let (mut model, now) = fixture::form();
    press(&mut model, F3, now);
    assert_eq!(model.focus(), Pane::Response);
    press(&mut model, F3, now);
    assert_eq!(model.focus(), Pane::Form);
    types(&mut model, ">", now);
    assert_eq!(values(&model)[0], ">", "it is text there");
    press(&mut model, ESC, now);
    press(&mut model, Key::char('>'), now);
    assert_eq!(model.focus(), Pane::Response);
}

#[test]
fn deleting_in_an_empty_text_omits_it() {
    let (mut model, now) = fixture::form();
    model.methods.selected = Some("hello".into());
    model.set_focus(Pane::Methods);
    press(&mut model, ENTER, now);
    let value = |model: &Model| model.forms.get().unwrap().fields[0].value();
    let backspace = Key::plain(Code::Backspace);
    press(&mut model, backspace, now);
    assert_eq!(value(&model), FieldValue::Invalid("required".to_owned()), "untouched");
    types(&mut model, "a", now);
    press(&mut model, backspace, now);
    assert_eq!(value(&model), FieldValue::Value("".into()));
    press(&mut model, backspace, now);
    assert_eq!(value(&model), FieldValue::Invalid("required".to_owned()));
}

#[test]
fn an_invalid_form_is_not_copied() {
    let (mut model, now) = fixture::form();
    types(&mut model, "151x", now);
    press(&mut model, TAB, now);
    types(&mut model, "2", now);
    press(&mut model, ESC, now);
    for key in ['y', 'Y'] {
        assert!(press(&mut model, Key::char(key), now).is_empty());
        assert_eq!(model.toast.as_ref().unwrap().text, "not copied: fix a");
        assert!(model.overlay.is_none());
    }
}

#[test]
fn the_documentation_opens_scrolls_and_closes() {
    let (mut model, now) = fixture::form();
    press(&mut model, Key::plain(Code::F(2)), now);
    let Some(Overlay::Reader(reader)) = &model.overlay else { panic!("{:?}", model.overlay) };
    let lines: Vec<_> = reader.lines(60).into_iter().map(|line| line.text).collect();
    assert_eq!(lines[..2], ["add(a, b, c = 10)", "Adds two or three numbers."]);
    assert!(lines.contains(&"  c  number, default 10".to_owned()), "{lines:?}");
    model.size = (80, 10);
    press(&mut model, Key::char('G'), now);
    let Some(Overlay::Reader(reader)) = &model.overlay else { panic!() };
    assert_eq!(reader.top, lines.len() - 4);
    press(&mut model, ESC, now);
    assert!(model.overlay.is_none());
}
