//! Taking an instance out of use, and bringing it back: what and how long, why, and done.

use rpc_wire::instance::{InstanceKey, MAX_REASON_BYTES, OverrideRequest, OverrideState};
use rpc_wire::is_hidden;
use tui_input::Input;

use super::Effects;
use super::ask::confirm;
use crate::message::Effect;
use crate::model::ask::{Choice, Draining, Item, Menu, Prompt, Purpose};
use crate::model::{Model, Now, Overlay};
use crate::selectors::unavailable;
use crate::text;

/// What can be chosen: the state and how long, as the registry reads it and as people do.
const CHOICES: [(OverrideState, Option<&str>, &str, &str); 5] = [
    (
        OverrideState::Draining,
        Some("10m"),
        "drain for 10 minutes",
        "no new calls; those in flight finish",
    ),
    (OverrideState::Draining, Some("1h"), "drain for 1 hour", ""),
    (OverrideState::Draining, None, "drain", "until it is brought back"),
    (
        OverrideState::Maintenance,
        Some("1h"),
        "maintenance for 1 hour",
        "the same, and says that it is being worked on",
    ),
    (OverrideState::Maintenance, None, "maintenance", "until it is brought back"),
];

/// Asks what the selected instance is taken out of use for, or whether to bring it back.
pub(super) fn ask(model: &mut Model, now: Now) {
    if let Some(why) = unavailable(model, crate::action::Action::Drain) {
        return model.notify_error(why, now);
    }
    let Some(row) = model.instances.selected.as_ref().and_then(|key| model.instances.get(key))
    else {
        return;
    };
    let (key, shown) = (row.key.clone(), text::printable(&row.key.to_string()).into_owned());
    if let Some(overridden) = row.override_text(now.at) {
        let title = format!("Bring {shown} back? It is {overridden}");
        let detail = "it takes calls again with its next heartbeat".to_owned();
        return confirm(model, title, "bring back", detail, Choice::Undrain(key));
    }
    let cancel =
        Item { label: "cancel".to_owned(), detail: String::new(), choice: Ok(Choice::Cancel) };
    let choices = CHOICES.into_iter().map(|(state, duration, label, detail)| Item {
        label: label.to_owned(),
        detail: detail.to_owned(),
        choice: Ok(Choice::Drain(Box::new(Draining { key: key.clone(), state, duration }))),
    });
    let items = [cancel].into_iter().chain(choices).collect();
    let title = format!("Take {shown} out of use?");
    model.overlay = Some(Overlay::Menu(Menu { title, items, selected: 0 }));
}

/// Asks for the reason.
pub(super) fn why(model: &mut Model, draining: Box<Draining>) {
    let shown = text::printable(&draining.key.to_string()).into_owned();
    let what = match draining.state {
        OverrideState::Draining => format!("Drain {shown}"),
        OverrideState::Maintenance => format!("Maintenance of {shown}"),
    };
    let time = draining.duration.map(|time| format!(" for {time}")).unwrap_or_default();
    model.overlay = Some(Overlay::Prompt(Prompt {
        title: format!("{what}{time}: why?"),
        input: Input::default(),
        purpose: Purpose::Drain(draining),
        note: "⏎ does it, with or without a reason; esc cancels".to_owned(),
        is_error: false,
        is_proposal: false,
    }));
}

/// Takes it out of use for the typed reason.
pub(super) fn submit(model: &mut Model, mut prompt: Prompt, now: Now, effects: &mut Effects) {
    let Purpose::Drain(draining) = &prompt.purpose else { return };
    let reason = prompt.input.value().trim().replace(is_hidden, "");
    if reason.len() > MAX_REASON_BYTES {
        let bytes = reason.len();
        prompt.note = format!("{bytes} bytes, {MAX_REASON_BYTES} fit: shorten it; esc cancels");
        prompt.is_error = true;
        model.overlay = Some(Overlay::Prompt(prompt));
        return;
    }
    let Draining { key, state, duration } = (**draining).clone();
    let reason = Some(reason).filter(|reason| !reason.is_empty());
    let asked = OverrideRequest { state, reason, duration: duration.map(str::to_owned), by: None };
    let shown = text::printable(&key.to_string()).into_owned();
    model.notify(format!("taking {shown} out of use"), now);
    effects.push(Effect::Override(model.link.url.clone(), key, Some(Box::new(asked))));
}

/// Brings it back.
pub(super) fn undrain(model: &mut Model, key: InstanceKey, now: Now, effects: &mut Effects) {
    let shown = text::printable(&key.to_string()).into_owned();
    model.notify(format!("bringing {shown} back"), now);
    effects.push(Effect::Override(model.link.url.clone(), key, None));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, feed, press, types};
    use crate::key::{Code, Key};
    use crate::message::{Msg, RegistryUpdate};
    use crate::model::standing::Standing;
    use rpc_wire::instance::OverrideRecord;
    use rpc_wire::report::Whoami;

    const ENTER: Key = Key::plain(Code::Enter);

    fn menu(model: &Model) -> &Menu {
        let Some(Overlay::Menu(menu)) = &model.overlay else { panic!("{:?}", model.overlay) };
        menu
    }

    #[test]
    fn an_instance_is_drained_for_a_time_and_a_reason_after_a_question() {
        let (mut model, now) = fixture::busy();
        let key = model.instances.selected.clone().unwrap();
        assert!(press(&mut model, Key::char('o'), now).is_empty());
        assert_eq!(menu(&model).title, format!("Take {key} out of use?"));
        // "cancel" is the answer of a second key pressed too early.
        assert!(press(&mut model, ENTER, now).is_empty() && model.overlay.is_none());
        press(&mut model, Key::char('o'), now);
        press(&mut model, Key::char('j'), now);
        assert!(press(&mut model, ENTER, now).is_empty(), "the reason is asked for");
        types(&mut model, "deploy 7", now);
        let effects = press(&mut model, ENTER, now);
        let [Effect::Override(url, of, Some(asked))] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        assert_eq!((url.as_str(), of), (model.link.url.as_str(), &key));
        assert_eq!(
            (asked.state, asked.duration.as_deref()),
            (OverrideState::Draining, Some("10m"))
        );
        assert_eq!(asked.reason.as_deref(), Some("deploy 7"));
        assert!(model.overlay.is_none());
    }

    #[test]
    fn a_reason_that_is_too_long_is_said_before_anything_is_sent() {
        let (mut model, now) = fixture::busy();
        press(&mut model, Key::char('o'), now);
        press(&mut model, Key::char('j'), now);
        press(&mut model, ENTER, now);
        types(&mut model, &"x".repeat(MAX_REASON_BYTES + 1), now);
        assert!(press(&mut model, ENTER, now).is_empty());
        let Some(Overlay::Prompt(prompt)) = &model.overlay else { panic!("closed") };
        assert!(prompt.is_error && prompt.note.starts_with("257 bytes, 256 fit"));
    }

    #[test]
    fn one_that_is_out_of_use_is_brought_back_after_a_question_that_says_who_and_why() {
        let (mut model, now) = fixture::busy();
        let key = model.instances.selected.clone().unwrap();
        let record = OverrideRecord {
            state: OverrideState::Maintenance,
            reason: Some("new disk".to_owned()),
            by: Some("me@home".to_owned()),
            for_ms: Some(540_000),
        };
        model.instances.get_mut(&key).unwrap().overridden = Some((record, now.at));
        press(&mut model, Key::char('o'), now);
        let title =
            format!("Bring {key} back? It is in maintenance, 9m left, by me@home: new disk");
        assert_eq!(menu(&model).title, title);
        press(&mut model, Key::char('j'), now);
        let effects = press(&mut model, ENTER, now);
        assert!(
            matches!(&effects[..], [Effect::Override(_, of, None)] if of == &key),
            "{effects:?}"
        );
    }

    #[test]
    fn without_the_role_it_says_which_is_missing_and_with_it_it_asks() {
        let (mut model, now) = fixture::guarded(false);
        assert!(press(&mut model, Key::char('o'), now).is_empty() && model.overlay.is_none());
        let said = &model.toast.as_ref().unwrap().text;
        assert_eq!(said, "your token lacks the role operate");

        let whoami = Whoami {
            auth: "required".to_owned(),
            name: Some("ops".to_owned()),
            roles: vec!["operate".to_owned()],
            ..Whoami::default()
        };
        let may = RegistryUpdate::Standing(Standing::of(&whoami));
        feed(&mut model, Msg::Registry(may), now);
        press(&mut model, Key::char('o'), now);
        assert!(menu(&model).title.starts_with("Take "));
    }

    #[test]
    fn without_a_registry_or_when_read_only_it_says_why_not() {
        let (mut model, now) = fixture::busy();
        model.readonly = true;
        assert!(press(&mut model, Key::char('o'), now).is_empty());
        assert!(model.overlay.is_none());
        assert!(model.toast.as_ref().unwrap().text.contains("read-only"));
    }
}
