//! Golden screens of settings: themes, glyphs, keys, registries.

use rpc_settings::Settings;

use super::*;

type Build = fn() -> (Model, Now);

/// The main screens: the table, a form with its result, folded JSON, log lines.
const MAIN: [(&str, Build); 4] = [
    ("instances", fixture::busy),
    ("methods", fixture::replied),
    ("folded", fixture::folded),
    ("logs", fixture::logs),
];

const MONO: Theme = Theme { mono: true, light: false, ascii: false };
const LIGHT: Theme = Theme { mono: false, light: true, ascii: false };
const ASCII: Theme = Theme { mono: false, light: false, ascii: true };

#[test]
fn every_theme_has_these_styles() {
    for (name, build) in MAIN {
        for (theme_name, theme) in [("dark", Theme::default()), ("light", LIGHT), ("mono", MONO)] {
            let (mut model, now) = build();
            let buffer = draw(&mut model, theme, now, (120, 35));
            insta::assert_snapshot!(format!("{name}_{theme_name}_style"), style_of(&buffer));
        }
    }
}

#[test]
fn with_ascii_glyphs_the_main_screens_look_like_this() {
    for (name, build) in MAIN {
        let (mut model, now) = build();
        let buffer = draw(&mut model, ASCII, now, (80, 24));
        insta::assert_snapshot!(format!("{name}_ascii_80x24"), text_of(&buffer));
    }
}

#[test]
fn no_theme_needs_more_than_sixteen_colours_and_none_paints_the_background() {
    let plain = [
        Color::Reset,
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::White,
    ];
    for build in [fixture::busy as Build, fixture::folded, fixture::logs_stopped, fixture::lost] {
        for theme in [Theme::default(), LIGHT] {
            let (mut model, now) = build();
            let buffer = draw(&mut model, theme, now, (120, 35));
            for cell in &buffer.content {
                assert!(plain.contains(&cell.fg), "{:?}", cell.fg);
                assert_eq!(cell.bg, Color::Reset);
            }
        }
    }
}

#[test]
fn on_a_light_background_nothing_is_cyan_or_yellow() {
    for (_, build) in MAIN {
        let (mut model, now) = build();
        let buffer = draw(&mut model, LIGHT, now, (120, 35));
        let pale = |colour| matches!(colour, Color::Cyan | Color::Yellow | Color::White);
        assert!(!buffer.content.iter().any(|cell| pale(cell.fg)));
    }
}

#[test]
fn without_colour_every_state_still_has_a_word_and_a_glyph_of_its_own() {
    let (mut model, now) = fixture::busy();
    let text = text_of(&draw(&mut model, MONO, now, (120, 35)));
    for state in ["● up", "◐ late", "✗ gone"] {
        assert!(text.contains(state), "{state}");
    }
    let (mut model, now) = fixture::lost();
    assert!(text_of(&draw(&mut model, MONO, now, (120, 35))).contains("? was up"));
}

#[test]
fn the_list_of_registries() {
    golden("registries", || {
        let (mut model, now) = fixture::busy();
        model.registries = fixture::registries();
        fixture::press(&mut model, Key::char('@'), now);
        fixture::press(&mut model, Key::plain(Code::Down), now);
        (model, now)
    });
}

#[test]
fn hints_and_help_show_rebound_keys() {
    let build = || {
        let settings = "[keys]\nhelp = F9\npause = P\nlogs.wrap =\nhelp.close = F9 esc\n\
                        instances.sort_right = alt-s";
        let settings = Settings::parse(settings, "config.ini", []).unwrap();
        let (mut model, now) = fixture::busy();
        model.keys = crate::keys::keymap(&settings).unwrap();
        (model, now)
    };
    golden("rebound", build);
    golden("rebound_help", || {
        let (mut model, now) = build();
        fixture::press(&mut model, Key::plain(Code::F(9)), now);
        (model, now)
    });
}

#[test]
fn a_note_says_when_not_all_instances_are_probed() {
    for (count, noted) in [(200, false), (201, true)] {
        let (mut model, now) = fixture::crowd(count);
        // By then the fixture's own instances, which the list does not hold, are removed.
        let later = Now { at: now.at + Duration::from_secs(10), ..now };
        fixture::feed(&mut model, rpc_console_core::message::Msg::Tick, later);
        let text = text_of(&draw(&mut model, Theme::default(), now, (120, 35)));
        assert_eq!(text.contains("probing 200 of 201"), noted, "{text}");
    }
}
