//! When would the picture change by time alone?

use std::time::{Duration, Instant};

use crate::message::Now;
use crate::model::instances::{FLASH, LINGER};
use crate::model::link::LinkState;
use crate::model::{Model, Overlay, View};

/// How often the elapsed time of a running call is redrawn.
const RUNNING: Duration = Duration::from_millis(100);

/// The next moment at which something visible changes without any message; `None` is never.
/// Ages change at whole-second edges, counted from `origin`, so that they all change together.
pub fn next_wake(model: &Model, now: Now, origin: Instant) -> Option<Instant> {
    let mut next = Soonest(None, now.at);
    next.consider(Some(minute_edge(now)));
    next.consider(model.toast.as_ref().map(|toast| toast.until));
    if let LinkState::Lost { .. } | LinkState::Connecting = model.link.state {
        next.consider(second_edge(now.at, origin));
    }
    if model.view == View::Methods && model.calls.running().is_some() {
        next.consider(now.at.checked_add(RUNNING));
    }
    if model.logs.is_searching() {
        next.consider(Some(now.at));
    }
    if model.held.is_some() {
        return next.0;
    }
    let in_view =
        model.view == View::Instances && !matches!(model.overlay, Some(Overlay::Help { .. }));
    let live = model.link.is_live();
    for row in model.instances.all() {
        if let Some((at, _)) = row.gone {
            next.consider(at.checked_add(LINGER));
        } else if live && !row.was_late {
            // The header counts the late ones in every view.
            next.consider(row.last_beat.and_then(|beat| beat.reaches(row.late_after())));
        }
        if in_view {
            next.consider(
                row.changed_at.and_then(|at| at.checked_add(FLASH)).filter(|at| *at > now.at),
            );
            if row.last_beat.is_some() {
                next.consider(second_edge(now.at, origin));
            }
        }
    }
    next.0
}

/// The soonest moment that is not already over.
struct Soonest(Option<Instant>, Instant);

impl Soonest {
    fn consider(&mut self, at: Option<Instant>) {
        let Some(at) = at.map(|at| at.max(self.1)) else { return };
        self.0 = Some(self.0.map_or(at, |soonest| soonest.min(at)));
    }
}

fn second_edge(now: Instant, origin: Instant) -> Option<Instant> {
    let whole = now.saturating_duration_since(origin).as_secs() + 1;
    origin.checked_add(Duration::from_secs(whole))
}

fn minute_edge(now: Now) -> Instant {
    now.at + Duration::from_millis(60_000 - now.wall_ms % 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Msg, RegistryNews};
    use crate::update::update;
    use rpc_wire::instance::{Instance, InstanceRecord, InstanceState, WatchEvent};

    fn live_model(now: Now) -> Model {
        let mut model = Model::new("http://127.0.0.1:9999", now);
        let record = InstanceRecord {
            instance: Instance::new("h", 1),
            age_ms: 500,
            ttl_ms: 10_000,
            registered_ms_ago: 0,
            heartbeats: 1,
            state: InstanceState::Up,
            incarnation: None,
        };
        update(&mut model, Msg::Registry(RegistryNews::Live { ages: true }), now);
        let list = WatchEvent::Snapshot(vec![record]);
        update(&mut model, Msg::Registry(RegistryNews::Change(list)), now);
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
    fn out_of_view_only_the_clock_and_a_late_heartbeat_wake() {
        let now = Now { at: Instant::now(), wall_ms: 1 };
        let mut model = live_model(now);
        model.view = View::Methods;
        assert_eq!(next_wake(&model, now, now.at), Some(now.at + Duration::from_millis(6_500)));
        let later = Now { at: now.at + Duration::from_secs(7), wall_ms: 7_001 };
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
}
