//! Several services: grouped instances, methods of each, and who has them.

use super::*;

#[test]
fn instances_by_service() {
    golden("services", fixture::services);
    golden("services_folded", || {
        let (mut model, now) = fixture::services();
        press(&mut model, Key::char('h'), now);
        (model, now)
    });
}

#[test]
fn methods_by_service_with_who_has_them() {
    golden("services_methods", || {
        let (mut model, now) = fixture::services();
        types(&mut model, "2/refund", now);
        press(&mut model, Key::plain(Code::Enter), now);
        press(&mut model, Key::plain(Code::F(2)), now);
        (model, now)
    });
    golden("services_form", || {
        let (mut model, now) = fixture::services();
        types(&mut model, "2/weather", now);
        press(&mut model, Key::plain(Code::Enter), now);
        press(&mut model, Key::plain(Code::Enter), now);
        (model, now)
    });
}

/// The frame at this size, as text.
fn frame(build: (Model, Now), size: (u16, u16)) -> String {
    let (mut model, now) = build;
    text_of(&draw(&mut model, Theme::default(), now, size))
}

#[test]
fn replicas_of_a_service_are_compared_and_unnamed_instances_are_not() {
    use rpc_console_core::message::{InstanceUpdate, Msg};
    let (mut model, now) = fixture::services();
    let lists = |model: &mut Model, key, without: &str| {
        let mut methods = fixture::methods();
        methods.retain(|method| method.name != without);
        feed(
            model,
            Msg::Instance(key, InstanceUpdate::Methods(Ok(std::sync::Arc::new(methods.into())))),
            now,
        );
    };
    lists(&mut model, fixture::key(8091), "square");
    let shown = frame((model, now), (120, 35));
    assert!(shown.contains("≠ 127.0.0.1:8091 lacks square"), "{shown}");
    let (mut model, now) = fixture::services();
    let mut shorter = fixture::methods();
    shorter[0].parameters.truncate(2);
    let own = Msg::Instance(
        fixture::key(8091),
        InstanceUpdate::Methods(Ok(std::sync::Arc::new(shorter.into()))),
    );
    feed(&mut model, own, now);
    let shown = frame((model, now), (120, 35));
    assert!(shown.contains("≠ 127.0.0.1:8091 has add(a, b)"), "{shown}");
    let (mut model, now) = fixture::services();
    lists(&mut model, fixture::key(8091), "square");
    press(&mut model, Key::char('2'), now);
    let shown = frame((model, now), (120, 35));
    assert!(shown.contains("shop · square") && shown.contains(" 2/3 "), "{shown}");

    let (model, now) = fixture::busy();
    let shown = frame((model, now), (120, 35));
    assert!(!shown.contains("lacks"), "{shown}");
    let (mut model, now) = fixture::busy();
    press(&mut model, Key::char('2'), now);
    let shown = frame((model, now), (120, 35));
    assert!(shown.contains("square") && !shown.contains("2/3"), "{shown}");
}

#[test]
fn the_important_traffic_is_shown_at_every_size() {
    let shown = frame(fixture::traffic(), (120, 35));
    for part in ["calls/s", "errors/s", "in flight", "p99", "INFL", "P99", "ERR/S"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let shown = frame(fixture::traffic(), (80, 24));
    for part in ["336/s", "4.0 err", "p99 6.6ms", "INFL"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let demo = || {
        let (mut model, now) = fixture::traffic();
        model.demo = Some(rpc_console_core::model::Demo {
            traffic: true,
            registry: true,
            servers: Vec::new(),
        });
        (model, now)
    };
    let shown = frame(demo(), (120, 35));
    for part in ["336/s", "4.0 err/s", "10 infl", "p99 6.6ms", "demo: traffic on"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let shown = frame(demo(), (80, 24));
    assert!(shown.contains("336/s 4.0 err p99 6.6ms"), "{shown}");
}

#[test]
fn versions_are_a_part_of_the_heading() {
    let shown = frame(fixture::traffic(), (120, 35));
    assert!(shown.contains("weather 1  ◐ 1 late  2.0.1"), "{shown}");
    let shown = frame(fixture::services(), (120, 35));
    assert!(shown.contains("shop 3  ◐ 1 late  1.4.0, 1.5.0"), "{shown}");
}

#[test]
fn a_method_keeps_its_service_in_every_title() {
    use rpc_console_core::message::Msg;
    let (mut model, now) = fixture::services();
    types(&mut model, "2/weather add", now);
    press(&mut model, Key::plain(Code::Enter), now);
    press(&mut model, Key::plain(Code::Enter), now);
    let effects = press(&mut model, Key::plain(Code::Enter), now);
    let [rpc_console_core::message::Effect::Call(request)] = &effects[..] else {
        panic!("{effects:?}")
    };
    let outcome = fixture::outcome(Ok("3"));
    feed(&mut model, Msg::CallEnded(request.id, Box::new(outcome)), now);
    for size in [(120, 35), (80, 24)] {
        let shown = text_of(&draw(&mut model, Theme::default(), now, size));
        assert!(shown.contains("✓ weather · add"), "{shown}");
    }
    press(&mut model, Key::plain(Code::Esc), now);
    press(&mut model, Key::char('3'), now);
    let shown = text_of(&draw(&mut model, Theme::default(), now, (120, 35)));
    assert!(shown.contains("weather · add"), "of several services with this method: {shown}");
}

#[test]
fn a_folded_service_hides_its_instances_and_keeps_a_valid_selection() {
    let (mut model, now) = fixture::services();
    let shown = |model: &Model| model.instances.visible(now.at, true).len();
    press(&mut model, Key::char('h'), now);
    assert_eq!((shown(&model), &model.instances.selected), (2, &None));
    press(&mut model, Key::char('j'), now);
    assert_eq!(model.instances.current_service().unwrap().name(), Some("weather"));
    press(&mut model, Key::char('k'), now);
    press(&mut model, Key::plain(Code::Enter), now);
    assert_eq!(shown(&model), 5, "Enter on a service unfolds it");
    press(&mut model, Key::char('z'), now);
    assert_eq!(shown(&model), 0);
    press(&mut model, Key::char('z'), now);
    assert_eq!(shown(&model), 5);
}

#[test]
fn rows_are_sorted_and_filtered_within_their_service() {
    let (mut model, now) = fixture::services();
    let ports = |model: &Model| -> Vec<_> {
        model.instances.visible(now.at, true).iter().map(|row| row.key.port).collect()
    };
    press(&mut model, Key::char('I'), now);
    assert_eq!(ports(&model), [8091, 8090, 8089, 8092, 8089], "reversed in each service");
    types(&mut model, "/8090|weather", now);
    assert_eq!(ports(&model), [8090, 8092], "the service is one of the texts");
    let lines = model.instances.lines(now.at, true);
    assert_eq!(lines.len(), 4, "services without a match have no heading");
}

#[test]
fn a_call_goes_to_an_instance_of_its_service_that_has_the_method() {
    let (mut model, now) = fixture::services();
    types(&mut model, ":add 1 2", now);
    let palette = match &model.overlay {
        Some(rpc_console_core::model::Overlay::Palette(palette)) => palette,
        other => panic!("{other:?}"),
    };
    let entries = rpc_console_core::selectors::palette_entries(&model, palette);
    let labels: Vec<_> = entries.iter().map(|entry| entry.label()).collect();
    assert_eq!(
        labels,
        ["call shop · add [1,2]", "call weather · add [1,2]", "call (unnamed) · add [1,2]"]
    );
    press(&mut model, Key::plain(Code::Down), now);
    let effects = press(&mut model, Key::plain(Code::Enter), now);
    let candidates = effects.iter().find_map(|effect| match effect {
        rpc_console_core::message::Effect::Call(request) => Some(request.candidates.clone()),
        _ => None,
    });
    assert_eq!(candidates, Some(vec![fixture::key(8092)]));
}

#[test]
fn traffic_of_instances_services_and_methods() {
    golden("traffic", fixture::traffic);
    golden("traffic_methods", || {
        let (mut model, now) = fixture::traffic();
        types(&mut model, "2/forecast", now);
        press(&mut model, Key::plain(Code::Enter), now);
        press(&mut model, Key::plain(Code::Enter), now);
        (model, now)
    });
    let (mut model, now) = fixture::traffic();
    let buffer = draw(&mut model, Theme::default(), now, (200, 50));
    insta::assert_snapshot!("traffic_200x50", text_of(&buffer));
}

#[test]
fn only_what_is_on_the_screen_is_asked_for_its_traffic() {
    let (mut model, now) = fixture::traffic();
    let ports = |model: &Model| model.sampled.iter().map(|key| key.port).collect::<Vec<_>>();
    assert_eq!(ports(&model), [8089, 8090, 8091, 8092], "not the older server");
    for (keys, asked) in [("3", 0), ("2", 4), ("4", 0), ("1", 4), (" ", 0), (" ", 4), ("?", 0)] {
        types(&mut model, keys, now);
        assert_eq!(ports(&model).len(), asked, "after {keys:?}");
    }
    press(&mut model, Key::plain(Code::Esc), now);
    model.instances.max_probed = 2;
    let shown = vec![fixture::key(8092), fixture::key(8091), fixture::key(8090)];
    feed(&mut model, rpc_console_core::message::Msg::Drawn(Vec::new(), shown), now);
    assert_eq!(ports(&model), [8091, 8092], "of many those in the table, and at most max_probed");
}

#[test]
fn without_replies_the_traffic_is_unknown() {
    let (mut model, now) = fixture::traffic();
    let later = fixture::after(now, 5_000);
    let buffer = draw(&mut model, Theme::default(), later, (120, 35));
    assert!(!text_of(&buffer).contains("calls/s"), "{}", text_of(&buffer));
}

#[test]
fn readonly_allows_what_says_that_it_is_read_only() {
    use rpc_console_core::message::Effect;
    let (mut model, now) = fixture::services();
    model.readonly = true;
    let sent = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Call(_)));
    types(&mut model, "2/forecast", now);
    press(&mut model, Key::plain(Code::Enter), now);
    press(&mut model, Key::plain(Code::Enter), now);
    assert!(sent(&press(&mut model, Key::plain(Code::Enter), now)), "it is read-only");
    press(&mut model, Key::plain(Code::Esc), now);
    press(&mut model, Key::plain(Code::Esc), now);
    types(&mut model, "/weather add", now);
    press(&mut model, Key::plain(Code::Enter), now);
    press(&mut model, Key::plain(Code::Enter), now);
    assert!(!sent(&press(&mut model, Key::plain(Code::Enter), now)));
    assert!(model.toast.as_ref().unwrap().text.contains("may change something"));
}
