//! The methods of all instances, with who has what: for people, not for the choice of an instance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rpc_wire::instance::InstanceKey;
use rpc_wire::most_similar;
use rpc_wire::signature::Signature;
use serde_json::Value;

use crate::method_list::Methods;
use crate::{CallError, NoSuchMethod};

/// Names that an error suggests.
pub(crate) const SUGGESTED: usize = 3;

/// What the instances of a client's target offer, see [`Client::catalog`](crate::Client::catalog). Its order
/// does not depend on who replied first.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Catalog {
    /// Instances by service and contract, sorted by both.
    pub replicas: Vec<Replicas>,
    /// Instances whose methods are unknown, sorted by service and address.
    pub unknown: Vec<UnknownInstance>,
}

/// The instances of one service that offer the same methods.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Replicas {
    /// The service; `None` where it has no name.
    pub service: Option<String>,
    /// The digest of the methods, computed from what was received. Of several instances with one contract
    /// one was asked.
    pub contract: String,
    /// The instances, by address.
    pub instances: Vec<InstanceKey>,
    methods: Arc<Methods>,
}

/// An instance that could not tell its methods.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UnknownInstance {
    /// The instance.
    pub instance: InstanceKey,
    /// Its service; `None` where it has no name.
    pub service: Option<String>,
    /// Why its methods are unknown.
    pub reason: CallError,
}

/// A method, with everyone who offers it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CatalogMethod<'a> {
    /// Its name.
    pub name: &'a str,
    /// Who offers it, by signature: several where callers must write different calls.
    pub variants: Vec<Variant<'a>>,
}

/// One signature of a method. What an older server does not say, types above all, differs from nothing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Variant<'a> {
    /// The signature, as the first that says its types or else the first has it.
    pub signature: &'a Signature,
    /// Who offers it, in the order of [`Catalog::replicas`].
    pub offered_by: Vec<&'a Replicas>,
    /// The signatures of those, each once.
    distinct: Vec<&'a Signature>,
}

/// One instance and what it offers.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) service: Option<String>,
    pub(crate) instance: InstanceKey,
    pub(crate) methods: Arc<Methods>,
}

impl Catalog {
    pub(crate) fn new(
        offered: Vec<Offered>,
        unknown: Vec<(InstanceKey, Option<String>, CallError)>,
    ) -> Self {
        let mut by_contract: BTreeMap<(Option<String>, String), Replicas> = BTreeMap::new();
        for Offered { service, instance, methods } in offered {
            let contract = methods.contract().to_owned();
            let replicas = by_contract.entry((service.clone(), contract.clone()));
            let new = || Replicas { service, contract, instances: Vec::new(), methods };
            replicas.or_insert_with(new).instances.push(instance);
        }
        let mut replicas: Vec<Replicas> = by_contract.into_values().collect();
        replicas.iter_mut().for_each(|replicas| replicas.instances.sort());
        let unknown = unknown.into_iter();
        let mut unknown: Vec<UnknownInstance> = unknown
            .map(|(instance, service, reason)| UnknownInstance { instance, service, reason })
            .collect();
        unknown.sort_by(|a, b| (&a.service, &a.instance).cmp(&(&b.service, &b.instance)));
        Self { replicas, unknown }
    }

    /// Every method that any instance offers, by name.
    pub fn methods(&self) -> Vec<CatalogMethod<'_>> {
        let mut methods: BTreeMap<&str, Vec<Variant<'_>>> = BTreeMap::new();
        for replicas in &self.replicas {
            for signature in replicas.methods() {
                let variants = methods.entry(signature.name.as_str()).or_default();
                add(variants, signature, replicas);
            }
        }
        let method = |(name, variants)| CatalogMethod { name, variants };
        methods.into_iter().map(method).collect()
    }

    /// The method of that name, if any instance offers it.
    pub fn method(&self, name: &str) -> Option<CatalogMethod<'_>> {
        let mut variants = Vec::new();
        for replicas in &self.replicas {
            if let Some(signature) = replicas.methods.get(name) {
                add(&mut variants, signature, replicas);
            }
        }
        let name = variants.first().map(|variant| variant.signature.name.as_str())?;
        Some(CatalogMethod { name, variants })
    }

    /// Why there is no method of that name, in the words of a call of it.
    pub fn no_such_method(&self, name: &str) -> NoSuchMethod {
        let asked = self.replicas.iter().map(|replicas| replicas.instances.len()).sum();
        let all = self.replicas.iter().flat_map(Replicas::methods);
        let names: BTreeSet<&str> = all.map(|signature| signature.name.as_str()).collect();
        NoSuchMethod {
            method: name.to_owned(),
            service: None,
            asked,
            of: asked + self.unknown.len(),
            nearest: most_similar(name, names, SUGGESTED).into_iter().map(str::to_owned).collect(),
        }
    }

    /// One signature per name: the first variant.
    pub fn signatures(&self) -> Vec<Signature> {
        let first = |method: CatalogMethod<'_>| Some(method.variants.first()?.signature.clone());
        self.methods().into_iter().filter_map(first).collect()
    }
}

impl Replicas {
    /// Their methods, by name.
    pub fn methods(&self) -> &[Signature] {
        self.methods.all()
    }
}

/// Adds what one more contract says of a method.
fn add<'a>(variants: &mut Vec<Variant<'a>>, signature: &'a Signature, replicas: &'a Replicas) {
    match variants.iter_mut().find(|variant| variant.includes(signature)) {
        Some(variant) => variant.add(signature, replicas),
        None => variants.push(Variant {
            signature,
            offered_by: vec![replicas],
            distinct: vec![signature],
        }),
    }
}

impl<'a> Variant<'a> {
    /// Whether callers of any that is here already may call this one. All are compared: what says no types
    /// is like two that differ.
    fn includes(&self, signature: &Signature) -> bool {
        self.distinct.iter().all(|known| is_called_alike(known, signature))
    }

    fn add(&mut self, signature: &'a Signature, replicas: &'a Replicas) {
        if !says_types(self.signature) && says_types(signature) {
            self.signature = signature;
        }
        if !self.distinct.contains(&signature) {
            self.distinct.push(signature);
        }
        self.offered_by.push(replicas);
    }
}

/// Whether callers need not know which of the two they call. Docs and examples do not matter.
fn is_called_alike(a: &Signature, b: &Signature) -> bool {
    a.stream == b.stream
        && are_alike(a.result.as_ref(), b.result.as_ref())
        && a.parameters.len() == b.parameters.len()
        && a.parameters.iter().zip(&b.parameters).all(|(a, b)| {
            let defaults_differ = matches!((&a.default, &b.default), (Some(a), Some(b)) if a != b);
            (&a.name, a.required) == (&b.name, b.required)
                && are_alike(Some(&a.schema), Some(&b.schema))
                && !defaults_differ
        })
}

fn are_alike(a: Option<&Value>, b: Option<&Value>) -> bool {
    a == b || !says_type(a) || !says_type(b)
}

fn says_types(signature: &Signature) -> bool {
    let mut parameters = signature.parameters.iter().map(|parameter| Some(&parameter.schema));
    says_type(signature.result.as_ref()) || parameters.any(says_type)
}

fn says_type(schema: Option<&Value>) -> bool {
    schema.is_some_and(|schema| *schema != Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(service: &str, port: u16, names: &[&str]) -> Offered {
        let signature =
            |name: &&str| Signature { name: (*name).to_owned(), ..Signature::default() };
        Offered {
            service: Some(service.to_owned()),
            instance: rpc_wire::instance::Instance::<()> {
                protocol: "json".to_owned(),
                host: "h".to_owned(),
                port,
                status: true,
                parameters: (),
            }
            .key(),
            methods: Arc::new(Methods::new(names.iter().map(signature).collect(), 1)),
        }
    }

    #[test]
    fn it_does_not_depend_on_the_order_of_replies() {
        let new = |order: [usize; 4]| {
            let mut offers = [
                Some(offered("b", 2, &["get"])),
                Some(offered("a", 3, &["get", "add"])),
                Some(offered("b", 1, &["get"])),
                Some(offered("b", 4, &["put"])),
            ];
            let offers = order.iter().filter_map(|&index| offers[index].take()).collect();
            format!("{:?}", Catalog::new(offers, Vec::new()))
        };
        assert_eq!(new([0, 1, 2, 3]), new([3, 2, 1, 0]));
        assert_eq!(new([0, 1, 2, 3]), new([2, 0, 3, 1]));
    }

    #[test]
    fn what_says_no_types_hides_no_difference_of_others() {
        let typed = |service: &str, port, kind: &str| {
            let mut offered = offered(service, port, &[]);
            let result = Some(serde_json::json!({"type": kind}));
            let signature = Signature { name: "get".to_owned(), result, ..Signature::default() };
            offered.methods = Arc::new(Methods::new(vec![signature], 1));
            offered
        };
        let untyped = offered("a", 1, &["get"]);
        let offers = vec![typed("b", 2, "string"), untyped, typed("c", 3, "number")];
        let catalog = Catalog::new(offers, Vec::new());
        let get = catalog.method("get").unwrap();
        let types: Vec<_> = get.variants.iter().map(|it| &it.signature.result).collect();
        let [Some(first), Some(second)] = types[..] else { panic!("{types:?}") };
        assert_eq!([&first["type"], &second["type"]], ["string", "number"]);
        assert_eq!(get.variants[0].offered_by.len(), 2);
    }

    #[test]
    fn a_method_has_a_variant_per_signature() {
        let mut other = offered("c", 9, &["get"]);
        let stream = Signature { name: "get".to_owned(), stream: true, ..Signature::default() };
        other.methods = Arc::new(Methods::new(vec![stream], 1));
        let offers = vec![offered("a", 1, &["add", "get"]), offered("b", 2, &["get"]), other];
        let catalog = Catalog::new(offers, Vec::new());
        let services = |variant: &Variant<'_>| -> Vec<String> {
            variant.offered_by.iter().filter_map(|it| it.service.clone()).collect()
        };
        let get = catalog.method("get").unwrap();
        let variants: Vec<_> = get.variants.iter().map(services).collect();
        assert_eq!(variants, [vec!["a", "b"], vec!["c"]]);
        let names: Vec<_> = catalog.signatures().into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["add", "get"]);
        assert!(catalog.method("put").is_none());
    }
}
