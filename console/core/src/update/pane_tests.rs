//! Panes at any size, sorting, quitting, the palette, log sources: keys in, state and effects out.

use crate::fixture::{self, feed, key, press, types};
use crate::key::{Code, Key};
use crate::message::{DemoUpdate, Effect, Msg};
use crate::model::logs::Source;
use crate::model::{Overlay, Pane, View};
use crate::selectors::{exists, is_useful, palette_entries, unavailable};

const ENTER: Key = Key::plain(Code::Enter);
const ESC: Key = Key::plain(Code::Esc);
const TAB: Key = Key::plain(Code::Tab);

#[test]
fn tab_reaches_detail_and_events_at_any_size() {
    for size in [(120, 35), (80, 24), (40, 12)] {
        let (mut model, now) = fixture::busy();
        feed(&mut model, Msg::Resize(size.0, size.1), now);
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(model.focus());
            press(&mut model, TAB, now);
        }
        assert_eq!(seen, [Pane::Instances, Pane::Detail, Pane::Events], "{size:?}");
        press(&mut model, Key::char('E'), now);
        press(&mut model, Key::char('f'), now);
        assert_eq!((model.focus(), model.full_screen), (Pane::Events, true));
        feed(&mut model, Msg::Resize(40, 12), now);
        assert_eq!(model.focus(), Pane::Events, "a smaller terminal keeps the pane");
        press(&mut model, Key::char('i'), now);
        assert_eq!((model.focus(), model.full_screen), (Pane::Detail, true));
        press(&mut model, ESC, now);
        press(&mut model, ESC, now);
        assert_eq!((model.focus(), model.full_screen), (Pane::Instances, false));
    }
}

#[test]
fn detail_and_events_are_in_the_palette_of_every_view() {
    let (mut model, now) = fixture::logs();
    press(&mut model, Key::char(':'), now);
    types(&mut model, "events registry", now);
    press(&mut model, ENTER, now);
    assert_eq!((model.view, model.focus()), (View::Instances, Pane::Events));
}

#[test]
fn the_cursor_stays_on_the_first_row_until_the_first_key() {
    let now = fixture::now();
    let mut model = crate::model::Model::new("http://127.0.0.1:9999", now);
    let one = |port| fixture::record("127.0.0.1", port, 100, 1);
    fixture::snapshot(&mut model, vec![one(8090)], now);
    fixture::snapshot(&mut model, vec![one(8089), one(8090)], now);
    assert_eq!(model.instances.selected, Some(key(8089)));
    press(&mut model, Key::char('j'), now);
    fixture::snapshot(&mut model, vec![one(8088), one(8089), one(8090)], now);
    assert_eq!(model.instances.selected, Some(key(8090)), "then it stays where it was put");
}

#[test]
fn the_first_list_is_no_change_and_a_later_one_is() {
    let now = fixture::now();
    let mut model = crate::model::Model::new("http://127.0.0.1:9999", now);
    let one = |port| fixture::record("127.0.0.1", port, 100, 1);
    fixture::snapshot(&mut model, vec![one(8089)], now);
    fixture::snapshot(&mut model, vec![one(8089), one(8090)], now);
    let changed = |port| model.instances.get(&key(port)).unwrap().changed_at.is_some();
    assert_eq!((changed(8089), changed(8090)), (false, true));
}

#[test]
fn sorting_puts_the_cursor_on_the_first_row() {
    let (mut model, now) = fixture::busy();
    for pressed in ['>', 'I', 'I', '<'] {
        press(&mut model, Key::char('G'), now);
        press(&mut model, Key::char(pressed), now);
        let first = model.instances.visible(now.at, true)[0].key.clone();
        assert_eq!(model.instances.selected, Some(first), "{pressed}");
    }
}

#[test]
fn quitting_asks_once_while_something_runs() {
    let (mut model, now) = fixture::busy();
    assert_eq!(press(&mut model, Key::char('q'), now), [Effect::Quit], "nothing runs");
    let (mut model, now) = fixture::loading();
    press(&mut model, Key::char('1'), now);
    assert!(press(&mut model, Key::char('q'), now).is_empty());
    let Some(Overlay::Menu(menu)) = &model.overlay else { panic!("no question") };
    assert_eq!(menu.title, "Quit? a load test is running");
    assert!(press(&mut model, Key::char('q'), now).is_empty(), "a second q closes the question");
    assert!(model.overlay.is_none());
    press(&mut model, Key::char('q'), now);
    press(&mut model, Key::char('j'), now);
    assert_eq!(press(&mut model, ENTER, now), [Effect::Quit]);
    press(&mut model, Key::char('q'), now);
    assert!(press(&mut model, ENTER, now).is_empty(), "staying is the default");
}

#[test]
fn unregister_is_in_the_palette_and_asks_for_the_address() {
    let (mut model, now) = fixture::busy();
    press(&mut model, Key::char(':'), now);
    types(&mut model, "unreg", now);
    assert!(press(&mut model, ENTER, now).is_empty());
    assert!(
        matches!(&model.overlay, Some(Overlay::Prompt(p)) if p.title.starts_with("Unregister 127.0.0.1:8089"))
    );
    press(&mut model, ESC, now);
    model.readonly = true;
    let palette = Default::default();
    let entries = palette_entries(&model, &palette);
    assert!(!entries.iter().any(|entry| entry.label().starts_with("unregister")));
}

#[test]
fn an_unknown_name_in_the_palette_is_refused() {
    let (mut model, now) = fixture::busy();
    press(&mut model, Key::char(':'), now);
    types(&mut model, "qqqqqq", now);
    press(&mut model, ENTER, now);
    assert_eq!(model.toast.as_ref().unwrap().text, "no such command or method");
}

#[test]
fn a_source_is_chosen_from_a_list_that_can_be_filtered() {
    let (mut model, now) = fixture::logs();
    press(&mut model, Key::char('S'), now);
    types(&mut model, "8090", now);
    press(&mut model, ENTER, now);
    assert_eq!(model.logs.source, Some(Source::Server(key(8090))));
    press(&mut model, Key::char('S'), now);
    press(&mut model, Key::plain(Code::Up), now);
    press(&mut model, ENTER, now);
    assert_eq!(model.logs.source, Some(Source::Server(key(8089))), "it starts at the one shown");
    press(&mut model, ESC, now);
    assert_eq!(model.logs.source, None);
}

#[test]
fn space_pauses_in_the_logs_too_and_stops_only_a_running_load_test() {
    let (mut model, now) = fixture::logs();
    press(&mut model, Key::char(' '), now);
    assert!(model.paused.is_some() && model.logs.bottom.is_none());
}

#[test]
fn a_crash_is_not_announced_as_good_news() {
    let (mut model, now) = fixture::demo();
    feed(&mut model, Msg::Demo(DemoUpdate::Server(key(8089), false)), now);
    assert!(model.toast.as_ref().unwrap().is_error);
    feed(&mut model, Msg::Demo(DemoUpdate::Server(key(8089), true)), now);
    assert!(!model.toast.as_ref().unwrap().is_error);
}

#[test]
fn a_fault_of_a_demo_server_is_told_with_the_key_that_changes_it() {
    let (mut model, now) = fixture::demo();
    let mut told = |fault| {
        feed(&mut model, Msg::Demo(DemoUpdate::Fault(key(8089), fault)), now);
        let toast = model.toast.take().unwrap();
        (toast.text, toast.is_error)
    };
    let (text, is_error) = told(Some("refuses all calls"));
    assert!(is_error && text.ends_with("refuses all calls; F changes that"), "{text}");
    let (text, is_error) = told(None);
    assert!(!is_error && text.ends_with("is well again"), "{text}");
}

#[test]
fn demo_keys_exist_only_in_a_demo() {
    use crate::action::Action;
    let (model, _) = fixture::busy();
    assert!(!exists(&model, Action::DemoServer) && exists(&model, Action::Help));
    let (model, _) = fixture::demo();
    assert!(exists(&model, Action::DemoServer));
}

#[test]
fn keys_that_do_nothing_here_are_not_offered() {
    use crate::action::Action::{Copy, Escape, Filter, NextField, SortRight};
    let (mut model, now) = fixture::unreachable();
    assert!(!is_useful(&model, SortRight) && !is_useful(&model, Filter));
    press(&mut model, Key::char('5'), now);
    for action in [NextField, Escape, Copy] {
        assert!(!is_useful(&model, action) && unavailable(&model, action).is_none(), "{action:?}");
    }
    let (model, _) = fixture::load_plan();
    for action in [NextField, Escape, Copy] {
        assert!(is_useful(&model, action), "{action:?}");
    }
}

#[test]
fn every_state_has_one_word_in_rows_counts_and_events() {
    let (model, now) = fixture::states();
    let words: std::collections::HashSet<_> =
        model.instances.all().map(|row| row.state_text(now.at, true)).collect();
    assert!(words.contains("gone") && !words.contains("left"), "{words:?}");
}

#[test]
fn a_load_test_follows_the_clients_limit_of_calls_in_flight() {
    let (mut model, now) = fixture::form();
    model.load.max_in_flight = Some(2);
    types(&mut model, "1", now);
    press(&mut model, TAB, now);
    types(&mut model, "2", now);
    press(&mut model, Key::ctrl('b'), now);
    let request = fixture::start_load(&mut model, now);
    assert_eq!(request.mode, rpc_load::Mode::OpenLoop { rate: 100.0, max_in_flight: 2 });
}
