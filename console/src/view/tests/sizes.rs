//! What each size shows: every pane, wide terminals used, nothing cut beside free space.

use rpc_console_core::fixture::learn;
use rpc_console_core::message::{InstanceUpdate, Msg};
use rpc_console_core::model::logs::{Source, SourceState};
use rpc_settings::Settings;
use rpc_wire::report::SharingState;

use super::*;

type Build = fn() -> (Model, Now);

const WIDE: (u16, u16) = (200, 50);

fn shown(model: &mut Model, now: Now, size: (u16, u16)) -> String {
    draw(model, Theme::default(), now, size);
    text_of(&draw(model, Theme::default(), now, size))
}

fn after_keys(build: Build, keys: &str) -> (Model, Now) {
    let (mut model, now) = build();
    types(&mut model, keys, now);
    (model, now)
}

#[test]
fn wide_terminals_are_used() {
    let builds: [(&str, Build); 4] = [
        ("instances", fixture::busy),
        ("logs", fixture::logs),
        ("load", fixture::compared),
        ("history", fixture::history),
    ];
    for (name, build) in builds {
        let (mut model, now) = build();
        insta::assert_snapshot!(format!("{name}_200x50"), shown(&mut model, now, WIDE));
    }
}

#[test]
fn the_detail_of_an_instance() {
    golden("detail", || after_keys(fixture::busy, "i"));
}

#[test]
fn scrolling_up_from_the_end_moves_at_once() {
    for (build, keys) in [(fixture::busy as Build, "iG"), (fixture::compared, "G")] {
        let (mut model, now) = build();
        shown(&mut model, now, (40, 12));
        types(&mut model, &keys[..keys.len() - 1], now);
        shown(&mut model, now, (40, 12));
        types(&mut model, "G", now);
        let end = shown(&mut model, now, (40, 12));
        types(&mut model, "k", now);
        assert_ne!(shown(&mut model, now, (40, 12)), end);
    }
}

#[test]
fn the_events() {
    golden("events", || after_keys(fixture::busy, "E"));
}

#[test]
fn the_text_of_an_event_is_readable_at_any_width() {
    let (mut model, now) = after_keys(fixture::busy, "E");
    let text = shown(&mut model, now, (40, 12));
    assert!(text.contains("expired: last heartbeat"), "{text}");
}

#[test]
fn a_long_error_in_the_detail_is_wrapped() {
    let (mut model, now) = after_keys(fixture::busy, "i");
    let why = "no connection or no reply to the probe within 2s: the reply is larger than 60 B";
    let probe = InstanceUpdate::Probe(Err(why.to_owned()));
    feed(&mut model, Msg::Instance(fixture::key(8089), probe), now);
    let text = shown(&mut model, now, (120, 35));
    for part in ["no connection or no", "larger than 60 B"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("but its probe failed"), "{text}");
}

#[test]
fn a_terminal_too_small_says_so_without_a_cut_word() {
    let notice = |size: (u16, u16)| {
        let (mut model, now) = fixture::busy();
        shown(&mut model, now, size).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(notice((29, 7)), "terminal too small: needs 30x8, is 29x7");
    assert_eq!(notice((19, 5)), "terminal too small: needs 30x8, is 19x5");
    assert_eq!(notice((20, 1)), "needs 30x8, is 20x1");
    assert_eq!(notice((10, 1)), "needs 30x8");
    assert_eq!(notice((5, 1)), "30x8");
    assert_eq!(notice((3, 3)), "");
}

#[test]
fn the_header_counts_each_state_by_its_word() {
    let (mut model, now) = fixture::states();
    let text = shown(&mut model, now, (120, 35));
    assert!(text.contains("1 up  1 late  1 suspect  1 draining  1 maint.  2 gone"), "{text}");
    assert!(shown(&mut model, now, (80, 24)).contains("1 up  4 not up  2 gone"));
}

#[test]
fn tabs_show_the_keys_in_effect() {
    let settings = "[keys]\nview_load = F5\nview_logs = none";
    let settings = Settings::parse(settings, "config.ini", []).unwrap();
    let (mut model, now) = fixture::busy();
    model.keys = crate::keys::keymap(&settings).unwrap();
    let text = shown(&mut model, now, (120, 35));
    assert!(text.contains("[1 Instances] 2 Methods  3 History  Logs  F5 Load"), "{text}");
}

#[test]
fn nothing_is_highlighted_as_changed_at_the_start() {
    let now = fixture::now();
    let mut model = Model::new("http://127.0.0.1:9999", now);
    fixture::snapshot(&mut model, vec![fixture::record("127.0.0.1", 8089, 100, 1)], now);
    let buffer = draw(&mut model, Theme::default(), now, (120, 35));
    let changed = |cell: &ratatui::buffer::Cell| cell.modifier.contains(Modifier::UNDERLINED);
    assert!(!buffer.content.iter().any(changed));
}

#[test]
fn the_sources_that_do_not_fit_are_counted() {
    let (mut model, now) = fixture::logs();
    for port in 9_000..9_020 {
        let source = Source::Server(fixture::key(port));
        feed(&mut model, Msg::LogSource(source, SourceState::Live), now);
    }
    let text = shown(&mut model, now, (80, 24));
    assert!(text.contains("more (S)"), "{text}");
}

#[test]
fn the_list_of_log_sources() {
    golden("log_sources", || {
        let (mut model, now) = fixture::logs();
        let lost = SourceState::Lost("the server closed the connection".to_owned());
        feed(&mut model, Msg::LogSource(Source::Server(fixture::key(8090)), lost), now);
        types(&mut model, "S", now);
        (model, now)
    });
}

#[test]
fn a_source_without_lines_says_why() {
    let (mut model, now) = fixture::logs();
    model.logs.show_source(
        model.logs.sources.iter().find_map(|(source, state)| {
            (*state == SourceState::Unsupported).then(|| source.clone())
        }),
    );
    assert!(shown(&mut model, now, (80, 24)).contains("this instance has no log stream"));
}

#[test]
fn a_level_that_servers_do_not_send_says_so() {
    let (mut model, now) = fixture::busy();
    let line = fixture::line(rpc_wire::report::Level::Info, 1_000, "started");
    feed(&mut model, Msg::Logs(Source::Registry, vec![line]), now);
    types(&mut model, "4<<", now);
    let text = shown(&mut model, now, (120, 35));
    assert!(text.contains("no trace lines arrived: a source sends what it logs itself"), "{text}");
}

#[test]
fn log_lines_of_another_day_have_a_date_and_all_have_milliseconds() {
    let (mut model, now) = fixture::logs();
    assert!(shown(&mut model, now, (120, 35)).contains(" 14:02:14.343  "));
    let later = Now { wall_ms: now.wall_ms + 86_400_000, ..now };
    assert!(shown(&mut model, later, (120, 35)).contains(" 01-01 14:02:14.343  "));
    types(&mut model, "T", now);
    assert!(shown(&mut model, now, (120, 35)).contains(" 14:02:14  "));
}

#[test]
fn wrapped_log_lines_break_at_words() {
    let (mut model, now) = fixture::logs();
    let text = "word ".repeat(40);
    let line = fixture::line(rpc_wire::report::Level::Error, 90_000_000, text.trim_end());
    feed(&mut model, Msg::Logs(Source::Registry, vec![line]), now);
    types(&mut model, "w", now);
    let text = shown(&mut model, now, (80, 24));
    let broken = text.lines().filter(|line| line.contains("word"));
    assert!(broken.into_iter().all(|line| !line.trim_end_matches(['┃', ' ']).ends_with("wo")));
    assert!(
        !text.lines().any(|line| line.trim_start_matches(['┃', ' ']).starts_with("rd ")),
        "{text}"
    );
}

#[test]
fn help_lists_what_exists_with_a_legend_and_reasons_for_this_pane_only() {
    let help = |build: Build, filter: &str| {
        let (mut model, now) = build();
        types(&mut model, "?", now);
        types(&mut model, filter, now);
        shown(&mut model, now, WIDE)
    };
    let instances = help(fixture::busy, "");
    for part in ["Symbols and columns", "◐ late", "HEARTBEAT", "METHODS", "type to filter"] {
        assert!(instances.contains(part), "{part}: {instances}");
    }
    assert!(!instances.contains("demo:"), "{instances}");
    assert!(help(fixture::demo, "").contains("demo: crash or restart this server"));
    let edit = help(fixture::busy, "editor");
    assert!(edit.contains("edit the arguments as JSON in $EDITOR"), "{edit}");
    assert!(!edit.contains("no result") && !edit.contains("no method selected"), "{edit}");
    assert!(help(fixture::busy, "overdue").contains("◐ late"), "the legend is filtered, too");
    for of_several in ["owner", "peer", "hb age"] {
        assert!(help(fixture::busy, of_several).contains("Symbols and columns"), "{of_several}");
    }
}

#[test]
fn the_header_says_as_much_of_the_peers_as_there_is_room_for() {
    let header = |width, cut_off: Option<u64>| {
        let (mut model, now) = fixture::sharing(cut_off);
        if let Some(sharing) = &mut model.link.readiness.sharing {
            sharing.state = SharingState::NoQuorum;
        }
        shown(&mut model, now, (width, 20)).lines().next().unwrap_or_default().to_owned()
    };
    assert!(
        header(160, None).contains("with 10.0.0.6:9999, 10.0.0.7:9999"),
        "{}",
        header(160, None)
    );
    assert!(header(100, None).contains("● live, store etcd, 1 of 3 "), "{}", header(100, None));
    assert!(header(80, None).contains("● live, 1 of 3 "), "{}", header(80, None));
    assert!(header(120, Some(42_000)).contains("◐ etcd has no quorum 42s "));
    for narrow in [100, 80] {
        let header = header(narrow, Some(42_000));
        assert!(header.contains("42s ") && !header.contains("…"), "{header}");
    }
}

#[test]
fn help_has_two_columns_where_there_is_room() {
    golden("help_instances", || after_keys(fixture::busy, "?"));
}

#[test]
fn an_empty_load_view_offers_no_keys_that_do_nothing() {
    golden("load_empty", || after_keys(fixture::busy, "5"));
}

#[test]
fn a_load_plan_names_its_target_and_its_fields() {
    let (mut model, now) = fixture::load_plan();
    let text = shown(&mut model, now, (120, 35));
    for part in ["any of 3 instances", "connections", "duration", "e.g. 2m, 500 calls"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_hint_that_does_not_fit_beside_its_field_is_below_the_fields() {
    let (mut model, now) = fixture::load_plan();
    for _ in 0..3 {
        press(&mut model, Key::plain(Code::Tab), now);
    }
    let text = shown(&mut model, now, (80, 24));
    assert!(text.contains("duration: e.g. 2m, 500 calls"), "{text}");
}

#[test]
fn a_pause_offers_to_resume() {
    let (mut model, now) = after_keys(fixture::busy, " ");
    assert!(shown(&mut model, now, (120, 35)).contains("space resume"));
}

#[test]
fn ascii_names_keys_and_comparisons() {
    let theme = Theme { ascii: true, ..Theme::default() };
    let (mut model, now) = fixture::load_plan();
    let text = text_of(&draw(&mut model, theme, now, (120, 35)));
    assert!(text.contains("enter Start"), "{text}");
    let (mut model, now) = fixture::logs();
    assert!(text_of(&draw(&mut model, theme, now, (120, 35))).contains("level >= info"));
    let (mut model, now) = fixture::history();
    assert!(text_of(&draw(&mut model, theme, now, (120, 35))).contains("ok "));
}

#[test]
fn the_field_that_is_typed_in_is_shown_at_the_least_size() {
    let (mut model, now) = fixture::form();
    types(&mut model, "47", now);
    let text = shown(&mut model, now, (30, 8));
    assert!(text.contains("TYPING") && text.contains("number 47"), "{text}");
    press(&mut model, Key { code: Code::Tab, ctrl: false, alt: false }, now);
    types(&mut model, "58", now);
    let text = shown(&mut model, now, (30, 8));
    assert!(text.contains("number 58") && text.contains("⏎ Send"), "{text}");
}

#[test]
fn in_ascii_menus_and_prompts_name_the_key_that_confirms() {
    let theme = Theme { ascii: true, ..Theme::default() };
    let shown = |(mut model, now): (Model, Now), keys: &[Key], size| {
        for key in keys {
            press(&mut model, *key, now);
        }
        text_of(&draw(&mut model, theme, now, size))
    };
    let esc = Key { code: Code::Esc, ctrl: false, alt: false };
    for size in [(120, 35), (80, 24), (40, 12)] {
        let menu = shown(fixture::replied(), &[esc, Key::char('Y')], size);
        // Beside a long title there is no room for the keys.
        let has_room = size.0 > 40;
        assert!(menu.contains(" enter choose . esc close ") || !has_room, "{menu}");
        let prompt = shown(fixture::replied(), &[esc, Key::ctrl('n')], size);
        assert!(prompt.contains(" enter saves it in "), "{prompt}");
        let typed: Vec<_> = ":add 1".chars().map(Key::char).collect();
        let palette = shown(fixture::busy(), &typed, size);
        assert!(palette.contains(" enter send "), "{palette}");
    }
}

#[test]
fn a_method_list_is_wider_on_a_wide_terminal() {
    let (mut model, now) = fixture::form();
    let long = rpc_wire::signature::Signature {
        name: "a_method_with_a_long_name".to_owned(),
        ..Default::default()
    };
    learn(&mut model, fixture::key(8089), vec![long], now);
    assert!(shown(&mut model, now, WIDE).contains("a_method_with_a_long_name"));
}
