//! The methods of all services in one list, and the instances that lack or differ in some.
//!
//! Instances that show the same contract have the same methods, so a list is kept per contract.
//! One without a contract, or whose own reply is another list than its contract says, has a list of
//! its own.

mod list;
mod shape;
mod union;

pub use list::{MAX_BYTES, MAX_METHODS, MethodList, Room};
pub use union::Holders;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use rpc_wire::instance::{Instance, InstanceKey};
use rpc_wire::signature::Signature;
use tui_input::Input;

use super::service::{MethodId, Service};

/// A method of a service, and the instances that have it.
#[derive(Debug, Clone)]
pub struct Method {
    /// What identifies it.
    pub id: MethodId,
    /// Its signature on most instances.
    pub signature: Arc<Signature>,
    /// The instances that have it.
    pub on: Holders,
    /// Those of them where its signature differs.
    pub differing: Holders,
}

/// What identifies a list of methods.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Contract {
    /// Its digest.
    Digest(String),
    /// The list of one instance.
    Own(InstanceKey),
}

/// The instances of a service with the same contract, and their methods.
#[derive(Debug, Default)]
struct Offer {
    instances: Arc<BTreeSet<InstanceKey>>,
    methods: Option<Arc<MethodList>>,
    differences: Differences,
}

/// How an offer differs from those of most instances of its service.
#[derive(Debug, Default)]
struct Differences {
    missing: Vec<String>,
    differing: Vec<String>,
}

impl Differences {
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.differing.is_empty()
    }
}

/// The methods of all services.
#[derive(Debug, Default)]
pub struct Methods {
    offers: BTreeMap<(Service, Contract), Offer>,
    homes: HashMap<InstanceKey, (Service, Contract)>,
    contracts: HashMap<String, Arc<MethodList>>,
    own: HashMap<InstanceKey, Arc<MethodList>>,
    /// Why the methods of an instance are unknown.
    pub errors: BTreeMap<InstanceKey, String>,
    union: BTreeMap<MethodId, Method>,
    known: BTreeMap<Service, usize>,
    /// Names that methods of several services have.
    ambiguous: BTreeSet<String>,
    /// Instances that lack or differ in methods.
    deviating: BTreeSet<InstanceKey>,
    is_stale: bool,
    /// The instance whose methods are listed; `None`: all.
    pub scope: Option<InstanceKey>,
    /// The selected method.
    pub selected: Option<MethodId>,
    /// The fuzzy filter of names.
    pub filter: Input,
    /// The first visible row.
    pub top: usize,
    /// Whether a row was selected: until then it is the first one, also of methods found later.
    pub is_chosen: bool,
}

impl Methods {
    /// Places an instance: its service and its contract.
    pub fn join(&mut self, instance: &Instance) {
        let key = instance.key();
        let contract = match instance.contract() {
            Some(digest) => {
                self.own.remove(&key);
                Contract::Digest(digest.to_owned())
            }
            None => Contract::Own(key.clone()),
        };
        self.place(key, Service::of(instance), contract);
    }

    /// Sets the methods of a contract.
    pub fn learn(&mut self, digest: String, methods: Arc<MethodList>) {
        if self.contracts.get(&digest) == Some(&methods) {
            return;
        }
        self.stale();
        self.contracts.insert(digest, methods);
    }

    /// Sets the methods of one instance, as it replied itself.
    pub fn insert(&mut self, key: InstanceKey, methods: Arc<MethodList>) {
        self.errors.remove(&key);
        self.own.insert(key.clone(), methods);
        let service = self.homes.get(&key).map(|(service, _)| service.clone());
        self.place(key.clone(), service.unwrap_or_default(), Contract::Own(key));
    }

    /// Sets why the methods of an instance are unknown.
    pub fn set_error(&mut self, key: InstanceKey, error: String) {
        self.errors.insert(key, error);
    }

    /// Removes an instance.
    pub fn remove(&mut self, key: &InstanceKey) {
        self.errors.remove(key);
        self.own.remove(key);
        if self.scope.as_ref() == Some(key) {
            self.scope = None;
        }
        self.take(key);
    }

    fn place(&mut self, key: InstanceKey, service: Service, contract: Contract) {
        self.take(&key);
        let home = (service, contract);
        let offer = self.offers.entry(home.clone()).or_default();
        Arc::make_mut(&mut offer.instances).insert(key.clone());
        self.homes.insert(key, home);
    }

    fn take(&mut self, key: &InstanceKey) {
        self.stale();
        let Some(home) = self.homes.remove(key) else { return };
        let Some(offer) = self.offers.get_mut(&home) else { return };
        Arc::make_mut(&mut offer.instances).remove(key);
        if offer.instances.is_empty() {
            self.offers.remove(&home);
        }
    }

    /// The union must be computed again. It is dropped at once, so that changing the sets that it
    /// shares copies none of them.
    fn stale(&mut self) {
        self.is_stale = true;
        self.union.clear();
    }

    /// Computes the union after changes: once for many.
    pub fn refresh(&mut self) {
        if !std::mem::take(&mut self.is_stale) {
            return;
        }
        let digests: BTreeSet<&String> = self
            .offers
            .keys()
            .filter_map(|(_, contract)| match contract {
                Contract::Digest(digest) => Some(digest),
                Contract::Own(_) => None,
            })
            .collect();
        self.contracts.retain(|digest, _| digests.contains(digest));
        self.known.clear();
        for ((service, contract), offer) in &mut self.offers {
            offer.methods = match contract {
                Contract::Digest(digest) => self.contracts.get(digest).cloned(),
                Contract::Own(key) => self.own.get(key).cloned(),
            };
            if offer.methods.is_some() {
                *self.known.entry(service.clone()).or_default() += offer.instances.len();
            }
        }
        self.union = union::union(self.offers.iter().map(|((service, _), offer)| (service, offer)));
        let mut names = BTreeSet::new();
        let repeated = self.union.keys().filter(|id| !names.insert(&id.name));
        self.ambiguous = repeated.map(|id| id.name.clone()).collect();
        self.deviating.clear();
        for ((service, _), offer) in &mut self.offers {
            // Instances without a service are not replicas of each other.
            let all = self.known.get(service).copied().filter(|_| service.name().is_some());
            offer.differences =
                union::differences(&self.union, service, offer, all.unwrap_or_default());
            if !offer.differences.is_empty() {
                self.deviating.extend(offer.instances.iter().cloned());
            }
        }
    }

    /// The method.
    pub fn get(&self, id: &MethodId) -> Option<&Method> {
        self.union.get(id)
    }

    /// The method; where its service is not known, the first of this name.
    pub fn find(&self, id: &MethodId) -> Option<&Method> {
        let is_known = id.service.name().is_some();
        self.get(id).or_else(|| self.all().find(|method| !is_known && method.id.name == id.name))
    }

    /// Whether no instance has the method, as far as what they have is known.
    pub fn is_gone(&self, id: &MethodId) -> bool {
        let of_service = self.offers.iter().filter(|((service, _), _)| *service == id.service);
        self.get(id).is_none() && of_service.into_iter().all(|(_, offer)| offer.methods.is_some())
    }

    /// The methods of this name, by service.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Method> {
        self.union.values().filter(move |method| method.id.name == name)
    }

    /// Every method, by service and name.
    pub fn all(&self) -> impl Iterator<Item = &Method> {
        self.union.values()
    }

    /// Whether no methods are known.
    pub fn is_empty(&self) -> bool {
        self.union.is_empty()
    }

    /// Whether the methods are those of several services.
    pub fn has_services(&self) -> bool {
        self.known.len() > 1
    }

    /// The service of a method, where there are several and it is known.
    pub fn shown_service<'a>(&self, id: &'a MethodId) -> Option<&'a str> {
        let is_known = id.service.name().is_some() || self.get(id).is_some();
        (self.has_services() && is_known).then(|| id.service.shown())
    }

    /// `orders · add` where there are several services, else the name alone.
    pub fn label(&self, id: &MethodId) -> String {
        match self.shown_service(id) {
            Some(service) => format!("{service} · {}", id.name),
            None => id.name.clone(),
        }
    }

    /// Whether several services have a method of this name.
    pub fn is_ambiguous(&self, name: &str) -> bool {
        self.ambiguous.contains(name)
    }

    /// Number of instances that could have a method: those of its service whose methods are known.
    /// Instances without a service are unrelated programs, so that only those that have it count.
    pub fn possible_instances(&self, method: &Method) -> usize {
        match method.id.service.name() {
            Some(_) => self.known.get(&method.id.service).copied().unwrap_or_default(),
            None => method.on.len(),
        }
    }

    /// Number of methods of an instance, if they are known.
    pub fn count(&self, key: &InstanceKey) -> Option<usize> {
        match self.homes.get(key)? {
            (_, Contract::Digest(digest)) => self.contracts.get(digest).map(|list| list.len()),
            (_, Contract::Own(key)) => self.own.get(key).map(|list| list.len()),
        }
    }

    /// Whether `key` lacks methods or differs in some. Unlike for [`missing`](Self::missing) and
    /// [`differing`](Self::differing), to ask it for each of thousands is cheap.
    pub fn deviates(&self, key: &InstanceKey) -> bool {
        self.deviating.contains(key)
    }

    /// Methods that most instances of its service have and `key` lacks: it may run an older version.
    pub fn missing(&self, key: &InstanceKey) -> &[String] {
        self.differences(key).map_or(&[], |differences| &differences.missing)
    }

    /// Methods of `key` whose signature differs from that of most instances of its service, as
    /// `add(a, b, c=10)`.
    pub fn differing(&self, key: &InstanceKey) -> &[String] {
        self.differences(key).map_or(&[], |differences| &differences.differing)
    }

    fn differences(&self, key: &InstanceKey) -> Option<&Differences> {
        Some(&self.offers.get(self.homes.get(key)?)?.differences)
    }

    /// The methods in scope that match the filter: by name, or best match first.
    pub fn visible(&self) -> Vec<&Method> {
        let in_scope =
            |method: &&Method| self.scope.as_ref().is_none_or(|key| method.on.contains(key));
        let in_scope = self.union.values().filter(in_scope);
        let filter = self.filter.value().trim();
        if filter.is_empty() {
            return in_scope.collect();
        }
        let labelled = in_scope.map(|method| (self.label(&method.id), method));
        let mut ranked = fuzzy(filter, labelled, |(label, _)| label);
        ranked.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        ranked.into_iter().map(|(_, (_, method))| method).collect()
    }

    /// The selected method.
    pub fn selected_method(&self) -> Option<&Method> {
        self.union.get(self.selected.as_ref()?)
    }

    /// The index of the selected method in `visible`.
    pub fn selected_index(&self, visible: &[&Method]) -> Option<usize> {
        let id = self.selected.as_ref()?;
        visible.iter().position(|method| method.id == *id)
    }

    /// Selects the first visible method if the selected one is not visible, or always with `prefer_first`. One that
    /// may be listed again in a moment, as while its service is asked for its new methods, stays selected.
    pub fn keep_selection(&mut self, prefer_first: bool) {
        let visible = self.visible();
        let is_awaited = |id: &MethodId| self.get(id).is_none() && !self.is_gone(id);
        let is_kept = self.selected_index(&visible).is_some()
            || self.selected.as_ref().is_some_and(is_awaited);
        if prefer_first || !is_kept {
            self.selected = visible.first().map(|method| method.id.clone());
        }
    }
}

/// The items that fuzzily match `pattern`, with a score: higher is better.
pub fn fuzzy<'a, T: 'a>(
    pattern: &str,
    items: impl Iterator<Item = T>,
    text: impl Fn(&T) -> &str,
) -> Vec<(u32, T)> {
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(pattern, CaseMatching::Ignore, Normalization::Smart);
    let mut buffer = Vec::new();
    items
        .filter_map(|item| {
            let score = pattern.score(Utf32Str::new(text(&item), &mut buffer), &mut matcher)?;
            Some((score, item))
        })
        .collect()
}

#[cfg(test)]
mod tests;
