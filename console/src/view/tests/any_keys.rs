//! Property test: any keys at any size draw without a panic and keep selections valid.

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use rpc_console_core::fixture::{self, press};
use rpc_console_core::key::{Code, Key};
use rpc_console_core::message::Msg;

fn any_key() -> impl Strategy<Value = Key> {
    let known: Vec<Key> = rpc_console_core::action::BINDINGS
        .iter()
        .flat_map(|row| row.keys.iter().copied())
        .collect();
    prop_oneof![
        4 => prop::sample::select(known),
        1 => any::<char>().prop_map(Key::char),
        1 => prop::sample::select(vec![Code::Backspace, Code::Delete, Code::Left, Code::Home, Code::End]).prop_map(Key::plain),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_keys_at_any_size_never_panic_and_the_selection_stays_valid(
        steps in prop::collection::vec((any_key(), prop::option::of((1u16..200, 1u16..80)), 0u64..3_000), 1..40),
        start in 0usize..12,
    ) {
        let builds = [
            fixture::busy,
            fixture::logs,
            fixture::folded,
            fixture::lost,
            fixture::demo,
            fixture::load_plan,
            fixture::compared,
            fixture::kinds,
            fixture::changed,
            fixture::history_restored,
            fixture::resend,
            fixture::saved,
            fixture::direct,
            fixture::production,
            fixture::streaming,
        ];
        let (mut model, mut now) = builds[start]();
        let mut size = (80, 24);
        for (key, resized, passed) in steps {
            now = fixture::after(now, passed);
            if let Some(new) = resized {
                size = new;
                fixture::feed(&mut model, Msg::Resize(size.0, size.1), now);
            }
            press(&mut model, key, now);
            let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
            let mut hits = crate::view::HitMap::default();
            terminal.draw(|frame| hits = crate::view::render(&model, &crate::view::Theme::default(), now, frame)).unwrap();
            fixture::feed(&mut model, Msg::Drawn(hits.heights, hits.instances), now);
            let shown = model.shown_at(now).at;
            let lines = model.instances.lines(shown, model.link.is_live());
            let has_heading = model.instances.selected_service.is_some();
            prop_assert_eq!(model.instances.selected.is_some() || has_heading, !lines.is_empty());
            prop_assert_eq!(has_heading && model.instances.selected.is_some(), false);
            prop_assert_eq!(model.instances.selected_line(&lines).is_some(), !lines.is_empty());
            let methods = model.methods.visible();
            prop_assert_eq!(model.methods.selected_index(&methods).is_some(), !methods.is_empty());
            if let Some(form) = model.forms.get() {
                prop_assert!(form.focus < form.fields.len().max(1));
            }
            if let Some(call) = model.calls.shown_call()
                && let Some(document) = call.body()
            {
                prop_assert!(call.folding.cursor < document.len());
            }
        }
    }
}
