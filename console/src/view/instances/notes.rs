//! Texts on instances that need attention, below the table.

use std::time::Instant;

use super::glyph;
use rpc_console_core::model::Model;
use rpc_console_core::model::instances::{Probe, Row, State};
use rpc_console_core::model::link::LinkState;
use rpc_console_core::text;

/// No screen has room for more.
const MAX_NOTES: usize = 20;
/// Names in a note at most: no screen has room for more.
const MAX_NAMES: usize = 50;
/// Rows of notes, where the table leaves them.
pub(super) const MAX_ROWS: usize = 3;

/// Texts on instances that need attention, and on those that are not probed.
pub(super) fn notes(model: &Model, now: Instant, live: bool) -> Vec<String> {
    let listed = model.instances.all().filter(|row| row.gone.is_none()).count();
    let mut notes = Vec::new();
    if let LinkState::Lost { error, obstacle, .. } = &model.link.state
        && let Some(remedy) = model.registries.remedy(*obstacle)
    {
        notes.push(format!("✗ registry: {}; {remedy}", text::printable(error)));
    }
    if let Some(withheld) = model.registries.withheld()
        && notes.is_empty()
    {
        notes.push(format!("⚿ {}", text::printable(withheld)));
    }
    let troubles = if live { model.link.readiness.troubles() } else { Vec::new() };
    let printable = |trouble: &String| format!("◐ registry: {}", text::printable(trouble));
    notes.extend(troubles.iter().map(printable));
    let probed = model.instances.max_probed;
    if listed > probed {
        notes.push(format!("probing {probed} of {listed} ([console] max_probed)"));
    }
    if model.instances.beyond > 0 {
        let beyond = text::count(model.instances.beyond as u64, "instance", "instances");
        notes.push(format!("✗ the table is full: {beyond} listed, but not shown"));
    }
    let is_notable = |row: &&Row| {
        needs_attention(row.state(now, live))
            || matches!(row.probe, Probe::Failed(_))
            || model.methods.deviates(&row.key)
    };
    let mut shunned: Vec<_> = model.own_client.health.iter().collect();
    shunned.sort_by_key(|(_, health)| health.gets_calls);
    for (key, health) in shunned.into_iter().take(MAX_NOTES) {
        let share = if health.gets_calls { "fewer" } else { "none" };
        let (key, why) = (key.to_string(), health.text(now));
        notes.push(format!("◐ {} gets {share} of your calls: {why}", text::printable(&key)));
    }
    let is_less_urgent = |row: &Row| !needs_attention(row.state(now, live));
    let mut rows: Vec<&Row> = model.instances.all().filter(is_notable).collect();
    rows.sort_by(|a, b| (is_less_urgent(a), &a.key).cmp(&(is_less_urgent(b), &b.key)));
    for row in rows.into_iter().take(MAX_NOTES) {
        let state = row.state(now, live);
        if needs_attention(state) {
            let (glyph, what) = (glyph(state), row.condition(now, live));
            notes.push(format!("{glyph} {} is {what}", text::printable(&row.key.to_string())));
        }
        let lacking = model.methods.missing(&row.key);
        if row.gone.is_none() && !lacking.is_empty() {
            let names = &lacking[..lacking.len().min(MAX_NAMES)];
            let names = text::printable(&names.join(", ")).into_owned();
            notes.push(format!("≠ {} lacks {names}", text::printable(&row.key.to_string())));
        }
        if let Some(method) = model.methods.differing(&row.key).first() {
            let (key, method) = (row.key.to_string(), text::printable(method));
            notes.push(format!("≠ {} has {method}", text::printable(&key)));
        }
        if let Probe::Failed(why) = &row.probe
            && state == State::Up
        {
            let (key, why) = (row.key.to_string(), text::printable(why));
            notes.push(format!("✗ {} is up, but its probe failed: {why}", text::printable(&key)));
        }
    }
    notes
}

fn needs_attention(state: State) -> bool {
    matches!(state, State::Late | State::Suspect | State::Draining | State::Maintenance)
}
