//! What a person has to read is never cut or covered.

use super::*;
use rpc_console_core::message::Msg;
use rpc_console_core::model::calls::{Failure, Outcome};
use rpc_console_core::model::registries::{NamedRegistry, Registries};
use rpc_wire::target::Target;

const SIZES: [(u16, u16); 3] = [(120, 35), (80, 24), (40, 12)];
const ENTER: Key = Key::plain(Code::Enter);

fn shown(model: &mut Model, now: Now, size: (u16, u16)) -> String {
    draw(model, Theme::default(), now, size);
    text_of(&draw(model, Theme::default(), now, size))
}

/// The words of a screen, without its frames.
fn words(screen: &str) -> String {
    let text = screen.replace(['│', '┃'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_error_of_a_stream_is_shown_as_that_of_a_call_below_its_items() {
    let (mut model, now) = fixture::streaming();
    let id = model.calls.shown.unwrap();
    let failure = Failure {
        data: Some(r#"{"at":7}"#.to_owned()),
        ..Failure::new("error -32099", "the counter lost its place and cannot go on")
    };
    let outcome = Outcome { result: Err(failure), ..fixture::outcome(Ok("null")) };
    feed(&mut model, Msg::CallEnded(id, Box::new(outcome)), now);
    model.toast = None;
    for size in SIZES {
        let screen = shown(&mut model, now, size);
        let text = words(&screen);
        for part in ["✗ error -32099", r#"{"left":0,"#] {
            assert!(text.contains(part), "{size:?} {part}\n{screen}");
        }
        let (item, error) = (screen.find(r#""left":0"#).unwrap(), screen.find("✗ error").unwrap());
        assert!(item < error, "{screen}");
    }
    let text = words(&shown(&mut model, now, (120, 35)));
    assert!(text.contains("the counter lost its place") && text.contains(r#""at": 7"#), "{text}");
    // Where there is less room it scrolls.
    for (size, steps) in [((80, 24), 10), ((40, 12), 20)] {
        model.set_focus(Pane::Response);
        types(&mut model, "G", now);
        let mut seen = String::new();
        for _ in 0..steps {
            seen.push_str(&words(&shown(&mut model, now, size)));
            types(&mut model, "j", now);
        }
        for part in ["the counter lost", "data", r#""at": 7"#] {
            assert!(seen.contains(part), "{size:?} {part}\n{seen}");
        }
        types(&mut model, "g", now);
        assert!(shown(&mut model, now, size).contains(r#"{"left":29"#));
    }
}

#[test]
fn the_mode_word_stays_beside_a_message() {
    let (mut model, now) = fixture::form();
    model.notify("saved 120 B to somewhere", now);
    let screen = shown(&mut model, now, (40, 12));
    let last = screen.lines().last().unwrap();
    assert!(last.starts_with(" TYPING ") && last.contains("saved 120 B"), "{screen}");
}

#[test]
fn the_error_of_a_path_is_shown_whole() {
    for size in SIZES {
        let (mut model, now) = fixture::folded();
        press(&mut model, Key::char('&'), now);
        types(&mut model, "$.list[?(@.deep", now);
        press(&mut model, ENTER, now);
        let (why, is_error) = model.calls.shown_call().unwrap().filtered.as_ref().unwrap().note();
        assert!(is_error);
        let screen = shown(&mut model, now, size);
        assert!(words(&screen).contains(&why), "{why}\n{screen}");
    }
}

#[test]
fn the_size_of_a_message_is_never_cut() {
    let (mut model, now) = fixture::replied();
    model.set_focus(Pane::Response);
    press(&mut model, Key::char('}'), now);
    for size in SIZES {
        let screen = shown(&mut model, now, size);
        let size = model.calls.shown_call().unwrap().wire.iter().next().unwrap().size;
        assert!(screen.contains(&format!("sent {size} B to 127.0.0.1")), "{screen}");
    }
}

#[test]
fn lines_below_are_new_only_if_they_came_later() {
    let (mut model, now) = fixture::logs();
    shown(&mut model, now, (80, 24));
    types(&mut model, "kk", now);
    let screen = shown(&mut model, now, (80, 24));
    assert!(screen.contains("STOPPED ▼ ") && screen.contains(" more "), "{screen}");
    assert!(!screen.contains(" new "), "{screen}");
}

#[test]
fn a_target_that_is_not_listed_is_marked() {
    let (mut model, now) = fixture::form();
    let target = rpc_wire::instance::Instance::new("10.9.9.9", 1).key();
    model.forms.get_mut().unwrap().target = Some(target);
    for size in &SIZES[..2] {
        let screen = shown(&mut model, now, *size);
        assert!(screen.contains("to 10.9.9.9:1 (not listed)"), "{screen}");
    }
    assert!(shown(&mut model, now, (40, 12)).contains("to 10.9.9.9:1"));
}

#[test]
fn typing_replaces_a_proposed_name() {
    let (mut model, now) = fixture::form();
    press(&mut model, Key::plain(Code::Esc), now);
    types(&mut model, "S", now);
    let screen = shown(&mut model, now, (80, 24));
    assert!(screen.contains("> add"), "{screen}");
    types(&mut model, "mine", now);
    let screen = shown(&mut model, now, (80, 24));
    assert!(screen.contains("> mine"), "{screen}");
}

#[test]
fn cancelled_is_not_said_once_it_was_confirmed() {
    let (mut model, now) = fixture::load_plan();
    press(&mut model, ENTER, now);
    press(&mut model, ENTER, now);
    assert!(model.toast.as_ref().unwrap().text.starts_with("cancelled"));
    press(&mut model, ENTER, now);
    press(&mut model, Key::plain(Code::Down), now);
    press(&mut model, ENTER, now);
    assert!(model.load.is_running() && model.toast.is_none());
}

#[test]
fn a_silent_registry_is_said_in_the_header() {
    use rpc_console_core::message::RegistryUpdate;
    let (mut model, now) = fixture::busy();
    feed(&mut model, Msg::Registry(RegistryUpdate::Heard(now.at)), now);
    let later = fixture::after(now, 6_000);
    feed(&mut model, Msg::Tick, later);
    for size in SIZES {
        let screen = shown(&mut model, later, size);
        assert!(screen.lines().next().unwrap().contains("silent for 6s"), "{screen}");
        assert!(!screen.contains("▲ late") && !screen.contains("1 late"), "{screen}");
    }
}

#[test]
fn what_has_become_of_the_method_stands_above_its_form() {
    use rpc_console_core::message::InstanceUpdate;
    for size in SIZES {
        let (mut model, now) = fixture::form();
        types(&mut model, "1", now);
        let mut methods = fixture::methods();
        methods[0].parameters.truncate(2);
        for key in [
            fixture::key(8089),
            fixture::key(8090),
            rpc_wire::instance::Instance::new("10.0.0.7", 8089).key(),
        ] {
            let methods = std::sync::Arc::new(methods.clone().into());
            feed(&mut model, Msg::Instance(key, InstanceUpdate::Methods(Ok(methods))), now);
        }
        let screen = shown(&mut model, now, size);
        assert!(words(&screen).contains("≠ the method has changed: c is gone"), "{screen}");
        press(&mut model, Key::ctrl('j'), now);
        let screen = shown(&mut model, now, size);
        assert!(words(&screen).contains("≠ the method has changed: c is gone"), "{screen}");
    }
}

/// A model of one registry or server.
fn opened(named: NamedRegistry, now: Now) -> Model {
    let mut model = Model::new("", now);
    let target = named.target.clone();
    model.registries = Registries::new(vec![named], 0);
    model.switch_registry(&target, now);
    model
}

#[test]
fn a_server_that_was_opened_by_its_url_is_named_by_all_of_it() {
    use rpc_console_core::message::RegistryUpdate;
    let url = "http://127.0.0.1:28502/rpc".to_owned();
    let now = fixture::now();
    let mut model = opened(NamedRegistry::new(url.clone(), Target::JsonRpc { url }), now);
    let instance = rpc_wire::instance::Instance::new("127.0.0.1", 28502);
    feed(&mut model, Msg::Registry(RegistryUpdate::Direct(instance)), now);
    for (size, header) in [
        ((120, 35), " rpc-console  server http://127.0.0.1:28502/rpc ○ no registry "),
        ((80, 24), " http://127.0.0.1:28502/rpc ○ no registry "),
        ((40, 12), " ○ 127.0.0.1:28502/rpc "),
    ] {
        let screen = shown(&mut model, now, size);
        assert!(screen.starts_with(header), "{screen}");
    }
}

#[test]
fn why_a_token_is_withheld_is_said_and_where_the_registry_refuses_the_console_in_the_place_of_a_remedy()
 {
    use rpc_console_core::message::RegistryUpdate;
    use rpc_console_core::model::access::Access;
    use rpc_console_core::model::link::Obstacle;
    let why = "no token is shown to http://127.0.0.1:9999: ./config.ini says where it is";
    let access = Access { withheld: Some(why.to_owned()), ..Access::default() };
    let target = Target::Registry { url: "http://127.0.0.1:9999".to_owned() };
    let named = NamedRegistry { access, ..NamedRegistry::new("local", target) };
    let now = fixture::now();
    for size in SIZES {
        let mut model = opened(named.clone(), now);
        fixture::snapshot(&mut model, vec![fixture::record("127.0.0.1", 8089, 100, 60)], now);
        let screen = words(&shown(&mut model, now, size));
        assert!(size.0 < 80 || screen.contains("⚿ no token is shown to"), "{screen}");
        let mut model = opened(named.clone(), now);
        let (error, retry_in) =
            ("this needs a token".to_owned(), std::time::Duration::from_secs(1));
        let lost = RegistryUpdate::Lost { error, obstacle: Obstacle::Refused, retry_in };
        feed(&mut model, Msg::Registry(lost), now);
        let screen = words(&shown(&mut model, now, size));
        assert!(screen.contains(why), "{screen}");
        assert!(!screen.contains("token_file") && !screen.contains("read again"), "{screen}");
    }
}
