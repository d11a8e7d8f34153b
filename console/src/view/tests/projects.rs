//! Golden screens: one server without a registry, saved requests, a registry that asks first.

use super::*;

#[test]
fn one_server_without_a_registry() {
    golden("direct", fixture::direct);
    golden("direct_lost", fixture::direct_lost);
}

#[test]
fn saved_requests_are_above_the_methods() {
    golden("saved", || {
        let (mut model, now) = fixture::saved();
        press(&mut model, Key::char('2'), now);
        press(&mut model, Key::char('g'), now);
        press(&mut model, Key::plain(Code::Enter), now);
        (model, now)
    });
}

#[test]
fn a_request_to_save_gets_a_name() {
    golden("saving", || {
        let (mut model, now) = fixture::replied();
        press(&mut model, Key::ctrl('n'), now);
        (model, now)
    });
}

#[test]
fn a_registry_with_a_colour_asks_first() {
    golden("confirm", || {
        let (mut model, now) = fixture::production();
        press(&mut model, Key::plain(Code::Enter), now);
        (model, now)
    });
    let name = |theme: Theme| {
        let (mut model, now) = fixture::production();
        let buffer = draw(&mut model, theme, now, (120, 35));
        let text = text_of(&buffer).lines().next().unwrap_or_default().to_owned();
        let at = text.find("production").unwrap();
        (buffer.content[at].fg, text)
    };
    let (colour, text) = name(Theme::default());
    assert!(colour == Color::Red && text.contains("@production asks first"), "{text}");
    let (colour, text) = name(Theme { mono: true, ..Theme::default() });
    assert!(colour == Color::Reset && text.contains("@production (red) asks first"), "{text}");
}

#[test]
fn a_file_of_requests_that_cannot_be_read_is_named_above_the_methods() {
    golden("unreadable", || {
        let (mut model, now) = fixture::saved();
        press(&mut model, Key::char('2'), now);
        let error = "rpcd-requests.toml:3: unknown key \"metod\"; did you mean method?";
        let read = rpc_console_core::message::Msg::Requests(Err(error.to_owned()));
        feed(&mut model, read, now);
        (model, now)
    });
}

#[test]
fn a_question_is_shown_whole() {
    golden("question", || {
        let (mut model, now) = fixture::history_restored();
        press(&mut model, Key::char('g'), now);
        (0..3).for_each(|_| drop(press(&mut model, Key::char('j'), now)));
        press(&mut model, Key::char('r'), now);
        (model, now)
    });
}
