//! The sources of log lines to choose from.

use crate::model::Model;
use crate::model::logs::Source;
use crate::model::sources::Sources;

/// All (`None`), then every source whose name contains the filter.
pub fn sources(model: &Model, choice: &Sources) -> Vec<Option<Source>> {
    let filter = choice.filter.value().trim().to_lowercase();
    let passes = |source: &&Source| source.name().to_lowercase().contains(&filter);
    let all = "all sources".contains(&filter).then_some(None);
    let found = model.logs.sources.keys().filter(passes).cloned().map(Some);
    all.into_iter().chain(found).collect()
}
