//! What there is to read about a method, with who has it.

use crate::model::Model;
use crate::model::docs::{Docs, Offered};
use crate::model::service::MethodId;

/// Instances that are listed; the others are counted.
const MAX_LISTED: usize = 50;

/// The documentation of a method: of the one that instances have, else of its form.
pub fn docs_of(model: &Model, id: &MethodId) -> Option<Docs> {
    let service = id.service.name().unwrap_or_default().to_owned();
    let Some(method) = model.methods.get(id) else {
        let form = model.forms.get().filter(|form| form.id() == *id)?;
        let offered = Offered { service, ..Offered::default() };
        return Some(Docs { signature: form.signature.clone(), offered });
    };
    let holders = method.on.sorted().into_iter().take(MAX_LISTED);
    let on = holders.map(|key| (key.to_string(), method.differing.contains(&key)));
    let offered = Offered {
        service,
        have: method.on.len(),
        all: model.methods.possible_instances(method),
        on: on.collect(),
    };
    Some(Docs { signature: method.signature.clone(), offered })
}
