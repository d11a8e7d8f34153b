//! The union of the methods of all contracts, and how contracts of one service differ.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rpc_wire::instance::InstanceKey;
use rpc_wire::signature::{Effect, Signature};

use super::list::ListedMethod;
use super::shape::call_shape;
use super::{Differences, Method, Offer};
use crate::model::service::{MethodId, Service};

/// Differences of an offer that are named; no screen has room for more.
const MAX_NAMED: usize = 200;

/// Instances in sets that are shared with their contracts: many methods have the same ones.
#[derive(Debug, Clone, Default)]
pub struct Holders(Vec<Arc<BTreeSet<InstanceKey>>>);

impl Holders {
    /// Number of instances.
    pub fn len(&self) -> usize {
        self.0.iter().map(|set| set.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|set| set.is_empty())
    }

    /// Whether an instance is among them.
    pub fn contains(&self, key: &InstanceKey) -> bool {
        self.0.iter().any(|set| set.contains(key))
    }

    /// The instances, unordered.
    pub fn iter(&self) -> impl Iterator<Item = &InstanceKey> {
        self.0.iter().flat_map(|set| set.iter())
    }

    /// The instances, by address.
    pub fn sorted(&self) -> Vec<InstanceKey> {
        let mut all: Vec<_> = self.iter().cloned().collect();
        all.sort();
        all
    }

    fn has(&self, set: &Arc<BTreeSet<InstanceKey>>) -> bool {
        self.0.iter().any(|other| Arc::ptr_eq(other, set))
    }
}

/// Signatures of a method that accept the same calls, and the instances that have one of them.
struct Variant<'a> {
    method: &'a ListedMethod,
    /// What all of them promise: one that may change something is enough to ask.
    effect: Effect,
    on: Holders,
}

/// The methods of these offers, by service and name.
pub(super) fn union<'a>(
    offers: impl Iterator<Item = (&'a Service, &'a Offer)>,
) -> BTreeMap<MethodId, Method> {
    let mut variants: BTreeMap<(&Service, &str), Vec<Variant<'_>>> = BTreeMap::new();
    for (service, offer) in offers {
        for method in offer.methods.iter().flat_map(|list| list.methods()) {
            let ListedMethod { signature, shape } = method;
            let variants = variants.entry((service, &signature.name)).or_default();
            let at = variants.iter().position(|one| one.method.shape.is_compatible(shape));
            let at = at.unwrap_or_else(|| {
                let (effect, on) = (signature.effect, Holders::default());
                variants.push(Variant { method, effect, on });
                variants.len() - 1
            });
            variants[at].effect = variants[at].effect.min(signature.effect);
            if shape.known_types() > variants[at].method.shape.known_types() {
                variants[at].method = method;
            }
            // A list names a method once.
            variants[at].on.0.push(offer.instances.clone());
        }
    }
    let method = |((service, name), variants): ((&Service, &str), Vec<Variant<'_>>)| {
        // The first of equally common ones, so that a form never changes by chance.
        let common = variants.iter().rev().max_by_key(|variant| variant.on.len())?;
        let effect = variants.iter().map(|variant| variant.effect).min().unwrap_or_default();
        let signature = match &common.method.signature {
            signature if signature.effect == effect => Arc::clone(signature),
            signature => Arc::new(Signature { effect, ..Signature::clone(signature) }),
        };
        let id = MethodId::new(service, name);
        let others = variants.iter().filter(|variant| !std::ptr::eq(*variant, common));
        let sets = |variant: &Variant<'_>| variant.on.0.clone();
        Some((
            id.clone(),
            Method {
                id,
                signature,
                on: Holders(variants.iter().flat_map(sets).collect()),
                differing: Holders(others.flat_map(sets).collect()),
            },
        ))
    };
    variants.into_iter().filter_map(method).collect()
}

/// How an offer differs from those of the other instances of its service, of which `all` are known.
pub(super) fn differences(
    union: &BTreeMap<MethodId, Method>,
    service: &Service,
    offer: &Offer,
    all: usize,
) -> Differences {
    let Some(list) = offer.methods.as_ref().filter(|_| all > 1) else {
        return Differences::default();
    };
    let of_service = union
        .range(MethodId::new(service, "")..)
        .map(|(_, method)| method)
        .take_while(|method| method.id.service == *service);
    let is_missing =
        |method: &&Method| !method.on.has(&offer.instances) && method.on.len() * 2 >= all;
    let is_differing = |signature: &&Signature| {
        let method = union.get(&MethodId::new(service, signature.name.as_str()));
        method.is_some_and(|method| method.differing.has(&offer.instances))
    };
    Differences {
        missing: of_service
            .filter(is_missing)
            .map(|method| method.id.name.clone())
            .take(MAX_NAMED)
            .collect(),
        differing: list.signatures().filter(is_differing).map(call_shape).take(MAX_NAMED).collect(),
    }
}
