//! Whether the registry is silent.

use super::feeds::push_event;
use crate::model::events::EventKind;
use crate::model::heard::SILENCE;
use crate::model::{Model, Now};

/// Looks whether the registry is silent, and reports it.
pub(super) fn look(model: &mut Model, now: Now) {
    let before = model.link.silent;
    let over = model.link.look(now.at);
    let (kind, text) = match (before, model.link.silent, over) {
        (None, Some(_), _) => {
            let silence = SILENCE.as_secs();
            let text = format!("connected, but silent for {silence} s — states unknown");
            (EventKind::Warning, text)
        }
        (.., Some(length)) => {
            (EventKind::Good, format!("heard again after {:.1} s", length.as_secs_f64()))
        }
        _ => return,
    };
    let subject = model.link.address().to_owned();
    push_event(model, kind, "registry", subject, text, now);
}
