//! Who offers a method, of all instances that a registry lists.

use std::collections::BTreeMap;

use rpc_client::{Catalog, CatalogMethod, Replicas, Variant};
use rpc_wire::instance::{Instance, InstanceKey};
use rpc_wire::shell_word;
use rpc_wire::signature::Signature;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output;

/// Services that an error names.
const NAMED: usize = 5;

/// Some of the instances of a service.
#[derive(Debug, Clone)]
pub(super) struct Part<'a> {
    /// `None` where it has no name.
    pub(super) service: Option<&'a str>,
    /// Those that are meant.
    pub(super) instances: Vec<&'a InstanceKey>,
    /// The method in their words: an older server says no types.
    pub(super) signature: &'a Signature,
    /// How many instances it has in all.
    pub(super) of: usize,
}

impl Part<'_> {
    /// `2 of 3`.
    pub(super) fn count(&self) -> String {
        format!("{} of {}", self.instances.len(), self.of)
    }
}

/// A service as people read it.
pub(super) fn shown(service: Option<&str>) -> &str {
    service.unwrap_or("(unnamed)")
}

/// Whether it is an instance of the service; of any, if none is wanted.
pub(super) fn is_of(instance: &Instance, service: Option<&str>) -> bool {
    service.is_none_or(|service| instance.service() == Some(service))
}

/// How many instances each service has, unknown ones included.
pub(super) fn sizes(catalog: &Catalog) -> BTreeMap<Option<&str>, usize> {
    let mut sizes = BTreeMap::new();
    for replicas in &catalog.replicas {
        *sizes.entry(replicas.service.as_deref()).or_default() += replicas.instances.len();
    }
    for unknown in &catalog.unknown {
        *sizes.entry(unknown.service.as_deref()).or_default() += 1;
    }
    sizes
}

/// Who offers the variant, by service.
pub(super) fn parts<'a>(
    variant: &Variant<'a>,
    sizes: &BTreeMap<Option<&str>, usize>,
) -> Vec<Part<'a>> {
    let mut parts: Vec<Part<'a>> = Vec::new();
    for replicas in &variant.offered_by {
        let service = replicas.service.as_deref();
        let own = method_of(replicas, &variant.signature.name).unwrap_or(variant.signature);
        // Sorted by service: another one of the same comes next.
        match parts.last_mut().filter(|part| part.service == service) {
            Some(part) => {
                part.instances.extend(&replicas.instances);
                // The variant's own says types, where any of them does.
                if own == variant.signature {
                    part.signature = own;
                }
            }
            None => {
                let of = sizes.get(&service).copied().unwrap_or_default();
                let instances = replicas.instances.iter().collect();
                parts.push(Part { service, instances, signature: own, of });
            }
        }
    }
    parts.iter_mut().for_each(|part| part.instances.sort());
    parts
}

/// The method of that name: they are sorted by name, and there may be thousands for each of which this is asked.
fn method_of<'a>(replicas: &'a Replicas, name: &str) -> Option<&'a Signature> {
    let methods = replicas.methods();
    let at = methods.binary_search_by(|method| method.name.as_str().cmp(name)).ok()?;
    methods.get(at)
}

/// The same in JSON: `[{"instances":[…],"of":3,"service":"orders"}]`.
pub(super) fn document(parts: &[Part<'_>]) -> Value {
    let part = |part: &Part<'_>| {
        let instances: Vec<_> = part.instances.iter().map(ToString::to_string).collect();
        json!({"service": part.service, "instances": instances, "of": part.of})
    };
    parts.iter().map(part).collect()
}

/// Says which instances could not be asked.
pub(super) fn warn_of_unknown(catalog: &Catalog) {
    for unknown in &catalog.unknown {
        let service = unknown.service.as_deref().map(|name| format!(" ({name})"));
        output::warn(&format!(
            "the methods of {}{} are unknown: {}",
            unknown.instance,
            service.unwrap_or_default(),
            unknown.reason
        ));
    }
}

/// The variant that is meant: of a service whose instances differ, the one that most of them offer.
///
/// # Errors
/// Several services offer the method, each as it likes: one must be chosen.
pub(super) fn chosen<'a>(method: CatalogMethod<'a>) -> Result<Option<Variant<'a>>, Failure> {
    let mut by_service: BTreeMap<Option<&str>, Vec<&InstanceKey>> = BTreeMap::new();
    for replicas in method.variants.iter().flat_map(|variant| &variant.offered_by) {
        by_service.entry(replicas.service.as_deref()).or_default().extend(&replicas.instances);
    }
    by_service.values_mut().for_each(|instances| instances.sort());
    if method.variants.len() > 1 && by_service.len() > 1 {
        return Err(choose_a_service(method.name, &by_service));
    }
    let size = |variant: &Variant<'_>| -> usize {
        variant.offered_by.iter().map(|replicas| replicas.instances.len()).sum()
    };
    // `max_by_key` would take the last of equals.
    Ok(method.variants.into_iter().rev().max_by_key(size))
}

/// Says that instances without a service name differ in the method: there is no service to choose.
pub(super) fn unnamed_hint(method: &CatalogMethod<'_>) -> Option<String> {
    let unnamed = |variant: &Variant<'_>| {
        let unnamed = variant.offered_by.iter().find(|replicas| replicas.service.is_none());
        unnamed?.instances.first().map(ToString::to_string)
    };
    let firsts: Vec<String> = method.variants.iter().filter_map(unnamed).collect();
    (firsts.len() > 1).then(|| {
        let named = firsts.get(..NAMED).unwrap_or(&firsts).join(", ");
        let more = if firsts.len() > NAMED { ", …" } else { "" };
        format!(
            "instances without a service name offer {} with different signatures ({named}{more}); choose \
             one by -i and -p",
            method.name
        )
    })
}

fn choose_a_service(
    method: &str,
    by_service: &BTreeMap<Option<&str>, Vec<&InstanceKey>>,
) -> Failure {
    let named: Vec<&str> = by_service.keys().filter_map(|service| *service).collect();
    let mut who: Vec<String> = named.iter().take(NAMED).map(|name| (*name).to_owned()).collect();
    if named.len() > NAMED {
        who.push(format!("{} more services", named.len() - NAMED));
    }
    let mut how = vec!["--service NAME".to_owned()];
    if let Some(instance) = by_service.get(&None).and_then(|instances| instances.first()) {
        who.push(format!("a service without a name ({instance})"));
        how.push(format!("-i {} -p {}", shell_word(&instance.host), instance.port));
    }
    let last = who.pop().unwrap_or_default();
    let message = format!(
        "{} and {last} offer {method} with different signatures; choose one by {}",
        who.join(", "),
        how.join(", or by ")
    );
    let offer = |(service, instances): (&Option<&str>, &Vec<&InstanceKey>)| {
        let instances: Vec<String> = instances.iter().map(ToString::to_string).collect();
        json!({"service": service, "instances": instances})
    };
    let offered_by: Vec<Value> = by_service.iter().map(offer).collect();
    let services: Vec<&Option<&str>> = by_service.keys().collect();
    Failure::usage(message).with_data(json!({"services": services, "offered_by": offered_by}))
}
