//! Traffic: which instances are asked for it, and its sums.

use std::time::Instant;

use rpc_wire::instance::InstanceKey;

use crate::model::instances::Row;
use crate::model::methods::Method;
use crate::model::traffic::Trend;
use crate::model::{Model, Overlay, View};

/// The instances to ask: those on the screen. Where all can be asked, all are, because the header
/// shows their sum.
pub fn sampled(model: &Model) -> Vec<InstanceKey> {
    let is_shown = matches!(model.view, View::Instances | View::Methods)
        && model.paused.is_none()
        && !matches!(model.overlay, Some(Overlay::Help { .. }));
    if !is_shown {
        return Vec::new();
    }
    let all = model.instances.all().filter(|row| has_statistics(row));
    let limit = model.instances.max_probed;
    let mut found: Vec<_> = all.take(limit + 1).map(|row| row.key.clone()).collect();
    if found.len() > limit {
        let known = |key: &&InstanceKey| model.instances.get(key).is_some_and(has_statistics);
        found = model.shown.iter().filter(known).take(limit).cloned().collect();
    }
    found.sort();
    found
}

fn has_statistics(row: &Row) -> bool {
    row.gone.is_none() && row.speaks_extended() && !row.traffic.is_unsupported
}

/// The sum of the traffic of the instances that are asked, and whether that is all of it.
pub fn total_traffic(model: &Model, now: Instant) -> Option<(Trend, bool)> {
    let sum = sum(model, |row| row.traffic.total(now))?;
    let all = model.instances.all().filter(|row| row.gone.is_none()).count();
    Some((sum, model.sampled.len() == all))
}

/// The traffic of a method on the instances that are asked.
pub fn method_traffic(model: &Model, method: &Method, now: Instant) -> Option<Trend> {
    sum(model, |row| {
        let has_it = method.on.contains(&row.key);
        has_it.then(|| row.traffic.method(&method.id.name, now)).flatten()
    })
}

fn sum<'a>(model: &'a Model, of: impl Fn(&'a Row) -> Option<&'a Trend>) -> Option<Trend> {
    let rows = model.sampled.iter().filter_map(|key| model.instances.get(key));
    let mut trends = rows.filter_map(of);
    let mut sum = trends.next()?.clone();
    trends.for_each(|trend| sum.add(trend));
    Some(sum)
}
