//! Switching to another registry; no data of the previous one is kept.

use super::Effects;
use crate::message::Effect;
use crate::model::Now;
use crate::model::{Model, Overlay};

/// Opens the list, with the current registry selected.
pub(super) fn open(model: &mut Model) {
    model.overlay = Some(Overlay::Registries { selected: model.registries.current_index() });
}

/// Switches to the registry with this index.
pub(super) fn switch(model: &mut Model, index: usize, now: Now, effects: &mut Effects) {
    model.overlay = None;
    if index == model.registries.current_index() {
        let name = model.registries.current().map_or("", |named| named.name.as_str());
        model.notify(format!("already connected to {name}"), now);
        return;
    }
    let Some(named) = model.registries.select(index).cloned() else { return };
    model.switch_registry(&named.target, now);
    match &named.access.withheld {
        Some(withheld) => model.notify_error(withheld.clone(), now),
        None => {
            let text = format!("switched to {} at {}", named.name, model.link.address());
            model.notify(text, now);
        }
    }
    effects.push(Effect::SwitchRegistry(named.target));
}

#[cfg(test)]
mod tests {
    use crate::action::{Action, KeyLine, Keymap};
    use crate::fixture::{self, press};
    use crate::key::{Code, Key};
    use crate::message::Effect;
    use crate::model::{Model, Pane, View};
    use rpc_wire::target::Target;

    #[test]
    fn switching_registry_keeps_no_data_of_the_first() {
        for build in [
            fixture::logs_stopped,
            fixture::history,
            fixture::lost,
            fixture::folded,
            fixture::loading,
        ] {
            let (mut model, now) = build();
            model.registries = fixture::registries();
            model.keys =
                Keymap::new(&[KeyLine { action: "logs.wrap".into(), keys: "Z".into(), line: 1 }])
                    .unwrap();
            model.filtering = false;
            (model.logs.limit, model.logs.max_bytes) = (77, 76);
            model.calls.limit = 78;
            model.events.limit = 79;
            model.size = (100, 40);
            model.mouse = false;
            press(&mut model, Key::plain(Code::F(1)), now);
            press(&mut model, Key::plain(Code::Esc), now);
            // Leave the field, if one is focused.
            press(&mut model, Key::plain(Code::Esc), now);
            press(&mut model, Key::char('@'), now);
            press(&mut model, Key::plain(Code::Down), now);
            let effects = press(&mut model, Key::plain(Code::Enter), now);
            let url = "http://10.0.0.5:9999".to_owned();
            assert_eq!(effects, [Effect::SwitchRegistry(Target::Registry { url })]);

            // Everything else is as in a new model.
            let mut expected = Model::new("http://10.0.0.5:9999", now);
            expected.registries = fixture::registries();
            expected.registries.select(1);
            expected.keys = model.keys.clone();
            (expected.size, expected.mouse) = ((100, 40), false);
            (expected.logs.limit, expected.logs.max_bytes) = (77, 76);
            expected.logs.shift_ms = model.logs.shift_ms;
            (expected.calls.limit, expected.events.limit) = (78, 79);
            assert!(model.toast.take().unwrap().text.contains("switched to staging"));
            assert_eq!(format!("{model:?}"), format!("{expected:?}"));
            assert_eq!(
                model.keys.shown(crate::action::Context::Logs, Action::Wrap),
                "Z",
                "the keys are kept"
            );
        }
    }

    #[test]
    fn escape_and_the_same_registry_change_nothing() {
        let (mut model, now) = fixture::replied();
        model.registries = fixture::registries();
        model.set_focus(Pane::Methods);
        for key in [Key::plain(Code::Esc), Key::plain(Code::Enter)] {
            press(&mut model, Key::char('@'), now);
            assert!(press(&mut model, key, now).is_empty());
            assert_eq!((model.view, model.instances.len()), (View::Methods, 4));
            assert!(model.overlay.is_none() && !model.calls.is_empty());
        }
    }

    #[test]
    fn with_one_registry_the_key_says_why_it_does_nothing() {
        let (mut model, now) = fixture::busy();
        press(&mut model, Key::char('@'), now);
        assert!(model.overlay.is_none());
        assert!(model.toast.unwrap().text.contains("no other registry"));
    }
}
