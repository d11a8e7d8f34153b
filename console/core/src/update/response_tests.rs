//! The response: values and paths, the JSONPath filter, texts and items that are opened.

use crate::fixture::{self, feed, press, types};
use crate::key::{Code, Key};
use crate::message::{Effect, Msg};
use crate::model::calls::Failure;
use crate::model::{Model, Now, Overlay, Pane, PaneRows};
use crate::selectors::is_useful;

const ENTER: Key = Key::plain(Code::Enter);
const ESC: Key = Key::plain(Code::Esc);
const F3: Key = Key::plain(Code::F(3));

/// `add(1, 2)` was called, and its result has the focus.
fn result(body: &str) -> (Model, Now) {
    let (mut model, now) = fixture::replied();
    answer(&mut model, body, now);
    press(&mut model, F3, now);
    (model, now)
}

/// Sends the call in the form again, with this result.
fn answer(model: &mut Model, body: &str, now: Now) {
    let effects = press(model, Key::ctrl('s'), now);
    let [Effect::Call(request)] = &effects[..] else { panic!("{effects:?}") };
    let outcome = fixture::outcome(Ok(body));
    feed(model, Msg::CallEnded(request.id, Box::new(outcome)), now);
}

fn copied(model: &mut Model, key: char, now: Now) -> String {
    match &press(model, Key::char(key), now)[..] {
        [Effect::Copy { text, .. }] => text.clone(),
        other => panic!("{other:?}"),
    }
}

fn down(model: &mut Model, rows: usize, now: Now) {
    (0..rows).for_each(|_| drop(press(model, Key::char('j'), now)));
}

fn shown(model: &Model) -> &str {
    model.calls.shown_call().unwrap().body().unwrap().text()
}

const ITEMS: &str = r#"{"items": [{"name": "a\u00fc"}, {"name": "b", "n": 1.50}]}"#;

#[test]
fn the_value_and_the_path_of_a_line_are_copied() {
    let (mut model, now) = result(ITEMS);
    assert_eq!(copied(&mut model, 'y', now), ITEMS, "the first line stands for all");
    down(&mut model, 3, now);
    assert_eq!(copied(&mut model, 'y', now), "a\u{fc}", "a string without quotes and escapes");
    assert_eq!(copied(&mut model, 'p', now), "$.items[0].name");
    down(&mut model, 2, now);
    assert_eq!(copied(&mut model, 'y', now), r#"{"name": "b", "n": 1.50}"#, "as received");
}

#[test]
fn a_json_path_filters_the_result_and_escape_shows_all_again() {
    let (mut model, now) = result(ITEMS);
    down(&mut model, 3, now);
    press(&mut model, Key::char('&'), now);
    types(&mut model, "$.items[*].na", now);
    assert_eq!(shown(&model), ITEMS, "nothing matches yet");
    types(&mut model, "me", now);
    assert_eq!(shown(&model), r#"["a\u00fc","b"]"#);
    press(&mut model, ENTER, now);
    down(&mut model, 2, now);
    assert_eq!(copied(&mut model, 'p', now), "$.items[1].name", "its path in the whole result");
    press(&mut model, Key::char('/'), now);
    types(&mut model, "b", now);
    press(&mut model, ENTER, now);
    assert_eq!(model.calls.matches().unwrap().lines, [2]);
    press(&mut model, ESC, now);
    assert_eq!(shown(&model), r#"["a\u00fc","b"]"#, "first the search is cleared");
    press(&mut model, ESC, now);
    assert_eq!(shown(&model), ITEMS);
    assert_eq!(model.calls.shown_call().unwrap().folding.cursor, 3, "where it was");
}

#[test]
fn a_new_response_is_neither_searched_nor_filtered() {
    let (mut model, now) = result(ITEMS);
    press(&mut model, Key::char('/'), now);
    types(&mut model, "name", now);
    press(&mut model, ENTER, now);
    press(&mut model, Key::char('&'), now);
    types(&mut model, "items[0]", now);
    press(&mut model, ENTER, now);
    press(&mut model, F3, now);
    answer(&mut model, "[1]", now);
    assert_eq!(shown(&model), "[1]");
    assert!(model.calls.search.value().is_empty() && model.calls.matches().is_none());
}

#[test]
fn large_results_are_filtered_in_the_background() {
    let body = format!("[{}{{\"n\":7}}]", "{\"n\":1},".repeat(40_000));
    let (mut model, now) = result(&body);
    press(&mut model, Key::char('&'), now);
    types(&mut model, "$[-1].n", now);
    let effects = press(&mut model, ENTER, now);
    let [Effect::Select(id, document, path)] = &effects[..] else { panic!("{effects:?}") };
    let selection = document.select(path);
    feed(&mut model, Msg::Selected(*id, "other".to_owned(), selection.clone()), now);
    assert_eq!(shown(&model).len(), body.len(), "a late reply to another path");
    feed(&mut model, Msg::Selected(*id, path.clone(), selection), now);
    assert_eq!(shown(&model), "7");
    let effects = press(&mut model, ESC, now);
    assert_eq!(effects, [Effect::StopSelect], "nobody waits any more");
}

#[test]
fn long_texts_open_with_their_line_breaks() {
    let (mut model, now) = result(r#"["short", "one\ntwo"]"#);
    down(&mut model, 1, now);
    press(&mut model, Key::char('l'), now);
    assert!(model.overlay.is_none(), "it is not cut");
    down(&mut model, 1, now);
    press(&mut model, Key::char('l'), now);
    let Some(Overlay::Reader(reader)) = &model.overlay else { panic!("{:?}", model.overlay) };
    assert_eq!((reader.title.as_str(), reader.lines(20).len()), ("$[1]", 2));
    assert_eq!(copied(&mut model, 'y', now), "one\ntwo");
}

#[test]
fn an_item_of_a_stream_opens_indented_and_the_stream_ends_with_their_number() {
    let (mut model, now) = fixture::streaming();
    press(&mut model, ENTER, now);
    let Some(Overlay::Reader(reader)) = &model.overlay else { panic!("{:?}", model.overlay) };
    let lines: Vec<_> = reader.lines(40).into_iter().map(|line| line.text).collect();
    assert_eq!(reader.title, "countdown, item 30");
    assert_eq!(lines, ["{", "  \"left\": 0,", "  \"note\": \"seven\"", "}"]);
    press(&mut model, ESC, now);
    let id = model.calls.shown.unwrap();
    feed(&mut model, Msg::CallEnded(id, Box::new(fixture::outcome(Ok("null")))), now);
    let toast = &model.toast.as_ref().unwrap().text;
    assert!(toast.contains("countdown → 30 items in"), "{toast}");
}

#[test]
fn a_long_error_scrolls() {
    let (mut model, now) = fixture::replied();
    let effects = press(&mut model, Key::ctrl('s'), now);
    let [Effect::Call(request)] = &effects[..] else { panic!("{effects:?}") };
    let failure = Failure::new("error 1", "line\n".repeat(50));
    let outcome = fixture::outcome(Err(failure));
    feed(&mut model, Msg::CallEnded(request.id, Box::new(outcome)), now);
    press(&mut model, F3, now);
    model.set_heights(vec![PaneRows { pane: Pane::Response, visible: 10, all: Some(52) }]);
    let top = |model: &Model| model.calls.shown_call().unwrap().failure_top;
    down(&mut model, 3, now);
    assert_eq!(top(&model), 3);
    press(&mut model, Key::char('G'), now);
    assert_eq!(top(&model), 42);
    press(&mut model, Key::char('g'), now);
    assert_eq!(top(&model), 0);
}

#[test]
fn times_and_attempts_scroll() {
    let (mut model, now) = fixture::replied();
    press(&mut model, F3, now);
    for _ in 0..2 {
        press(&mut model, Key::char('}'), now);
    }
    model.set_heights(vec![PaneRows { pane: Pane::Response, visible: 4, all: Some(14) }]);
    let top = |model: &Model| model.calls.shown_call().unwrap().timing_top;
    down(&mut model, 2, now);
    assert_eq!(top(&model), 2);
    press(&mut model, Key::char('G'), now);
    assert_eq!(top(&model), 10);
}

#[test]
fn beside_the_body_nothing_of_it_is_offered_or_changed() {
    use crate::action::Action::*;
    let (mut model, now) = result(ITEMS);
    let of_body = [ToggleFold, FoldAll, Search, FilterPath, Wrap, CopyPath];
    let offered = |model: &Model| of_body.map(|action| is_useful(model, action));
    assert_eq!(offered(&model), [true; 6]);
    press(&mut model, Key::char('}'), now);
    assert_eq!(offered(&model), [false; 6]);
    assert!(is_useful(&model, Copy) && is_useful(&model, NextTab) && is_useful(&model, Save));
    let rows = |model: &Model| {
        let call = model.calls.shown_call().unwrap();
        call.folding.rows(call.body().unwrap())
    };
    let before = rows(&model);
    press(&mut model, Key::char('z'), now);
    assert_eq!(rows(&model), before, "nothing is folded out of sight");
    assert_eq!(model.toast.as_ref().unwrap().text, "only in the Body tab");
}
