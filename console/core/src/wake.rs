//! When the screen next changes by time alone, and when live data may change it.

use std::time::{Duration, Instant};

use crate::model::Now;
use crate::model::heard::SILENCE;
use crate::model::instances::{FLASH, LINGER};
use crate::model::{Model, Overlay, View};

/// Interval at which the elapsed time of a call in flight is redrawn.
const RUNNING_INTERVAL: Duration = Duration::from_millis(100);
/// After an input, live data is applied at once for this long: the user is watching.
const ACTIVE_AFTER_INPUT: Duration = Duration::from_secs(1);
const SECOND: Duration = Duration::from_secs(1);

/// When something visible next changes without a message; `None`: never.
/// Ages change at whole seconds since `origin`, all together: one redraw per second.
pub fn next_wake(model: &Model, now: Now, origin: Instant) -> Option<Instant> {
    let mut next = Earliest(None, now.at);
    next.consider(Some(next_minute(now)));
    next.consider(model.toast.as_ref().map(|toast| toast.until));
    let shows_seconds = shows_seconds(model);
    if shows_seconds {
        next.consider(next_second(now.at, origin));
    }
    if model.view == View::Methods && model.calls.running().is_some() {
        next.consider(now.at.checked_add(RUNNING_INTERVAL));
    }
    if model.logs.has_pending_work() {
        next.consider(Some(now.at));
    }
    // Where seconds are shown, changes between two of them wait for the next.
    if shows_seconds || model.paused.is_some() {
        return next.0;
    }
    let in_view = shows_instances(model);
    let live = model.link.is_live();
    let heard = model.link.heard.filter(|_| live);
    next.consider(heard.and_then(|heard| heard.last.checked_add(SILENCE)));
    for row in model.instances.all() {
        if let Some((at, _)) = row.gone {
            next.consider(at.checked_add(LINGER));
        } else if live && !row.was_late {
            // The header counts late instances in every view.
            let at = row.last_beat.and_then(|beat| beat.reaches(row.late_after()));
            // Later it is judged with the next news of the registry.
            next.consider(at.filter(|at| *at > now.at));
        }
        if in_view {
            next.consider(
                row.changed_at.and_then(|at| at.checked_add(FLASH)).filter(|at| *at > now.at),
            );
        }
    }
    next.0
}

/// When live data is next applied, given the times of the last input and of the last live data:
/// with the next whole second where seconds are shown, otherwise at most once a second. At once
/// for log lines, for the end of an outage, and while the user is active.
pub fn live_due(
    model: &Model,
    last_input: Instant,
    last_applied: Option<Instant>,
    now: Instant,
    origin: Instant,
) -> Instant {
    let active = now.saturating_duration_since(last_input) < ACTIVE_AFTER_INPUT;
    if active || !model.link.is_live() || model.view == View::Logs {
        return now;
    }
    let due = if shows_seconds(model) {
        next_second(now, origin)
    } else {
        last_applied.and_then(|last_applied| last_applied.checked_add(SECOND))
    };
    due.unwrap_or(now).max(now)
}

/// Whether the screen shows seconds: ages, or the time until the next attempt.
fn shows_seconds(model: &Model) -> bool {
    let ages = model.paused.is_none() && shows_instances(model);
    !model.link.is_live() || ages && model.instances.all().any(|row| row.last_beat.is_some())
}

fn shows_instances(model: &Model) -> bool {
    model.view == View::Instances && !matches!(model.overlay, Some(Overlay::Help { .. }))
}

/// The earliest time; times in the past count as now.
struct Earliest(Option<Instant>, Instant);

impl Earliest {
    fn consider(&mut self, at: Option<Instant>) {
        let Some(at) = at.map(|at| at.max(self.1)) else { return };
        self.0 = Some(self.0.map_or(at, |earliest| earliest.min(at)));
    }
}

fn next_second(now: Instant, origin: Instant) -> Option<Instant> {
    let whole = now.saturating_duration_since(origin).as_secs() + 1;
    origin.checked_add(Duration::from_secs(whole))
}

fn next_minute(now: Now) -> Instant {
    now.at + Duration::from_millis(60_000 - now.wall_ms % 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Msg, RegistryUpdate};
    use crate::model::link::Obstacle;
    use crate::update::update;
    use rpc_wire::instance::{Instance, InstanceRecord, InstanceState, WatchEvent};

    fn live_model(now: Now) -> Model {
        let mut model = Model::new("http://127.0.0.1:9999", now);
        let record = InstanceRecord {
            instance: Instance::new("h", 1),
            age_ms: Some(500),
            ttl_ms: 10_000,
            registered_ms_ago: 0,
            heartbeats: Some(1),
            state: InstanceState::Up,
            incarnation: None,
            held_ms: None,
            overridden: None,
            durable: true,
            owner: None,
        };
        update(&mut model, Msg::Registry(RegistryUpdate::Live { ages: true }), now);
        let list = WatchEvent::Snapshot(vec![record]);
        update(&mut model, Msg::Registry(RegistryUpdate::Change(list, now.at)), now);
        model
    }

    #[test]
    fn ages_in_view_change_at_whole_seconds() {
        let now = Now { at: Instant::now(), wall_ms: 1 };
        let model = live_model(now);
        let later = Now { at: now.at + Duration::from_millis(1_300), ..now };
        assert_eq!(next_wake(&model, later, now.at), Some(now.at + Duration::from_secs(2)));
    }

    #[test]
    fn outside_the_view_only_the_clock_and_a_late_heartbeat_wake() {
        let now = Now { at: Instant::now(), wall_ms: 1 };
        let mut model = live_model(now);
        model.view = View::Methods;
        assert_eq!(next_wake(&model, now, now.at), Some(now.at + Duration::from_millis(7_500)));
        let later = Now { at: now.at + Duration::from_secs(8), wall_ms: 8_001 };
        update(&mut model, Msg::Tick, later);
        assert_eq!(next_wake(&model, later, now.at), Some(now.at + Duration::from_millis(59_999)));
    }

    #[test]
    fn a_pause_sleeps_until_the_clock_changes() {
        let now = Now { at: Instant::now(), wall_ms: 0 };
        let mut model = live_model(now);
        update(&mut model, Msg::Key(crate::key::Key::char(' ')), now);
        assert_eq!(next_wake(&model, now, now.at), Some(now.at + Duration::from_secs(60)));
    }

    #[test]
    fn live_data_waits_for_the_next_second_where_seconds_are_shown() {
        let now = Now { at: Instant::now(), wall_ms: 1 };
        let model = live_model(now);
        let at = |ms| now.at + Duration::from_millis(ms);
        let due = |ms| live_due(&model, now.at, Some(at(3_004)), at(ms), now.at);
        assert_eq!(due(3_500), at(4_000));
        assert_eq!(due(9_999), at(10_000), "even after a long silence");
        assert_eq!(due(900), at(900), "the user was active just now");
    }

    #[test]
    fn without_seconds_live_data_is_applied_at_most_once_a_second() {
        let now = Now { at: Instant::now(), wall_ms: 1 };
        let mut model = live_model(now);
        model.view = View::Methods;
        let at = |ms| now.at + Duration::from_millis(ms);
        let due = |model: &Model, ms| live_due(model, now.at, Some(at(3_004)), at(ms), now.at);
        assert_eq!(due(&model, 3_500), at(4_004));
        assert_eq!(due(&model, 9_500), at(9_500));
        model.view = View::Logs;
        assert_eq!(due(&model, 3_500), at(3_500), "log lines are not delayed");
        let lost = RegistryUpdate::Lost {
            error: "refused".into(),
            obstacle: Obstacle::Unreachable,
            retry_in: Duration::from_secs(9),
        };
        model.view = View::Methods;
        update(&mut model, Msg::Registry(lost), now);
        assert_eq!(due(&model, 3_500), at(3_500), "an outage ends at once");
    }
}
