//! The tools: what live instances offer, as far as it is exposed, in an order that depends on nothing else.

mod entry;
mod left_out;
mod name;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rpc_client::{Args, Catalog};
use rpc_wire::call::Types;
use rpc_wire::most_similar;
use rpc_wire::signature::{Effect, ParamStructure, Signature};

use crate::GatewayOptions;
use crate::era::Era;
use crate::exposure::Offered;
use entry::Entry;
pub(crate) use entry::Listed;
use left_out::LeftOut;
pub(crate) use left_out::NoTool;

/// Names that may be meant by an unknown one.
const SUGGESTED: usize = 3;

/// All tools of a moment, by name.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tools {
    all: Vec<Arc<Tool>>,
    /// Methods that are no tools since they may change something.
    pub(crate) not_allowed: usize,
    /// Names of earlier lists, by which what they stood for is still called.
    former: BTreeMap<String, Arc<Tool>>,
    /// Methods that can be none.
    pub(crate) left_out: LeftOut,
}

/// A method as a tool.
#[derive(Debug, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) method: String,
    /// Only its instances are called: others have a method of that name that is called differently.
    pub(crate) service: Option<String>,
    /// Whose instances offer it; `None`: of one without a name.
    services: BTreeSet<Option<String>>,
    pub(crate) stream: bool,
    /// The signature of a method that takes no names.
    by_position: Option<Signature>,
    /// Whether its result is in an object of its own in versions where each result is one.
    pub(crate) wraps: bool,
    /// The types of its result, or of each item, where agents are told.
    result: Option<Types>,
    entry: Arc<Entry>,
}

/// Which services a caller may call; a name, or `None` for instances without one.
pub(crate) type May<'a> = &'a dyn Fn(Option<&str>) -> bool;

/// A method with everyone who offers it.
struct Method<'a> {
    name: &'a str,
    variants: Vec<Variant<'a>>,
}

/// One way in which a method is called, see [`rpc_client::Variant`].
#[derive(Clone)]
struct Variant<'a> {
    signature: &'a Signature,
    /// Who offers it so, with what each says.
    offers: Vec<(Option<&'a str>, &'a Signature)>,
}

/// What may become a tool.
struct Candidate<'a> {
    method: &'a str,
    service: Option<&'a str>,
    variant: Variant<'a>,
    /// Why it cannot, where that is known already.
    refused: Option<&'static str>,
}

impl Tools {
    /// The tools among what a catalog has, after those of `before`.
    pub(crate) fn of(catalog: &Catalog, options: &GatewayOptions, before: &Self) -> Self {
        let methods = catalog.methods().into_iter().map(|method| Method {
            name: method.name,
            variants: method
                .variants
                .iter()
                .map(|variant| Variant {
                    signature: variant.signature,
                    offers: variant
                        .offered_by
                        .iter()
                        .filter_map(|replicas| {
                            let all = replicas.methods();
                            let at = all.binary_search_by(|it| it.name.as_str().cmp(method.name));
                            Some((replicas.service.as_deref(), all.get(at.ok()?)?))
                        })
                        .collect(),
                })
                .collect(),
        });
        Self::from_methods(methods, options, before)
    }

    /// The tools among the methods of one server.
    pub(crate) fn described(methods: &[Signature], options: &GatewayOptions) -> Self {
        let methods = methods.iter().map(|signature| Method {
            name: &signature.name,
            variants: vec![Variant { signature, offers: vec![(None, signature)] }],
        });
        Self::from_methods(methods, options, &Self::default())
    }

    fn from_methods<'a>(
        methods: impl Iterator<Item = Method<'a>>,
        options: &GatewayOptions,
        before: &Self,
    ) -> Self {
        let mut candidates = Vec::new();
        let (mut not_allowed, mut left_out) = (0, LeftOut::default());
        for method in methods {
            for candidate in method.apart() {
                let Candidate { method, variant, refused, .. } = &candidate;
                let services: Vec<_> = variant.offers.iter().map(|offer| offer.0).collect();
                match options.exposure.offers(method, &services, variant.effect()) {
                    Offered::Yes => match *refused {
                        Some(why) => left_out.note(None, &candidate, why),
                        None => candidates.push(candidate),
                    },
                    Offered::NotAllowed => not_allowed += 1,
                    Offered::Denied => {}
                }
            }
        }
        let mut named = BTreeMap::new();
        let mut bytes = 0;
        for (name, candidate) in fairly(name_each(candidates, &options.prefix, &mut left_out)) {
            let (max_tools, max_bytes) = (options.max_tools, options.max_list_bytes);
            let tool = match Tool::new(name.clone(), &candidate, options) {
                Ok(_) if named.len() >= max_tools => {
                    Err(format!("there are {max_tools} others (max_tools)"))
                }
                Ok(tool) if bytes + tool.entry.bytes() > max_bytes => Err(format!(
                    "it and the others have more than {max_bytes} bytes (max_list_bytes)"
                )),
                result => result,
            };
            match tool {
                Err(why) => left_out.note(Some(&name), &candidate, why),
                Ok(tool) => {
                    bytes += tool.entry.bytes();
                    named.insert(name, Arc::new(tool));
                }
            }
        }
        let former = before.names_besides(&named);
        Self { all: named.into_values().collect(), not_allowed, former, left_out }
    }

    /// The names of these tools that are not among the new ones, with those that now are what they were.
    fn names_besides(&self, new: &BTreeMap<String, Arc<Tool>>) -> BTreeMap<String, Arc<Tool>> {
        let known = self.all.iter().map(|tool| (&tool.name, tool)).chain(&self.former);
        let gone = known.filter(|(name, _)| !new.contains_key(*name));
        gone.filter_map(|(name, tool)| {
            let is_it = |new: &&Arc<Tool>| new.method == tool.method && new.serves(tool);
            Some((name.clone(), Arc::clone(new.values().find(is_it)?)))
        })
        .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Bytes of what the list says of them.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.all.iter().map(|tool| tool.entry.kept_bytes()).sum()
    }

    /// What the list says of the tools behind the one of the name `after`, at most `max` of those that the caller
    /// may use; and after which one the next page begins, if there is one.
    pub(crate) fn page(
        &self,
        era: Era,
        after: Option<&str>,
        may: May<'_>,
        max: usize,
    ) -> (Vec<Listed>, Option<&str>) {
        let begin =
            after.map_or(0, |after| self.all.partition_point(|it| it.name.as_str() <= after));
        let rest = self.all.get(begin..).unwrap_or_default();
        let mut visible = rest.iter().filter(|tool| tool.may_be_called(may)).peekable();
        let mut page = Vec::new();
        let mut last = None;
        while let Some(tool) = visible.next_if(|_| page.len() < max.max(1)) {
            page.push(Listed::new(&tool.entry, era));
            last = Some(tool.name.as_str());
        }
        let next = if visible.peek().is_some() { last } else { None };
        (page, next)
    }

    /// The tool of that name, if the caller may use it; else names that may be meant.
    pub(crate) fn find(&self, name: &str, may: May<'_>) -> Result<&Arc<Tool>, Vec<&str>> {
        let found = self.all.binary_search_by(|tool| tool.name.as_str().cmp(name));
        let found = found.ok().and_then(|at| self.all.get(at)).or_else(|| self.former.get(name));
        found.filter(|tool| tool.may_be_called(may)).ok_or_else(|| {
            let visible = || self.all.iter().filter(|tool| tool.may_be_called(may));
            let same = visible().filter(|tool| tool.method == name);
            let same: Vec<_> = same.take(SUGGESTED).map(|tool| tool.name.as_str()).collect();
            match same.is_empty() {
                true => most_similar(name, visible().map(|tool| tool.name.as_str()), SUGGESTED),
                false => same,
            }
        })
    }
}

impl<'a> Method<'a> {
    /// The ways to call it, each with the service that it is limited to: one, unless services differ. Of the
    /// versions of one service, the first.
    fn apart(self) -> Vec<Candidate<'a>> {
        let Self { name: method, variants } = self;
        let services: BTreeSet<_> =
            variants.iter().flat_map(|it| it.offers.iter().map(|offer| offer.0)).collect();
        let Some(first) = variants.first() else { return Vec::new() };
        if variants.len() == 1 || services.len() == 1 {
            // Calls may go to each version.
            let offers = variants.iter().flat_map(|it| it.offers.iter().copied()).collect();
            let variant = Variant { offers, ..first.clone() };
            return vec![Candidate { method, service: None, variant, refused: None }];
        }
        const NAMELESS: &str = "services differ in it, and this one has no name to call it by";
        let of = |service: Option<&'a str>| {
            let is_its = |offer: &&(Option<&str>, &Signature)| offer.0 == service;
            let first = variants.iter().find(|it| it.offers.iter().any(|it| is_its(&it)))?;
            let offers = variants.iter().flat_map(|it| it.offers.iter().filter(is_its));
            let signature = first.offers.iter().find(is_its)?.1;
            let variant = Variant { signature, offers: offers.copied().collect() };
            let refused = service.is_none().then_some(NAMELESS);
            Some(Candidate { method, service, variant, refused })
        };
        services.into_iter().filter_map(of).collect()
    }
}

/// Each with its name as a tool: first those that are called as their method is, whose names no other may take.
fn name_each<'a>(
    mut candidates: Vec<Candidate<'a>>,
    prefix: &str,
    left_out: &mut LeftOut,
) -> Vec<(String, Candidate<'a>)> {
    candidates.sort_by_key(|it| !name::is_kept(prefix, it.service, it.method));
    let mut taken = BTreeSet::new();
    let mut named = Vec::new();
    for candidate in candidates {
        let names = name::of(prefix, candidate.service, candidate.method);
        let free = names.and_then(|names| {
            let free = names.into_iter().find(|name| !taken.contains(name));
            free.ok_or_else(|| "its name as a tool is that of another".to_owned())
        });
        match free {
            Ok(name) => {
                taken.insert(name.clone());
                named.push((name, candidate));
            }
            Err(why) => left_out.note(None, &candidate, why),
        }
    }
    named
}

/// By turns of one of each service, so that one that offers many leaves room to others.
fn fairly<'a>(named: Vec<(String, Candidate<'a>)>) -> Vec<(String, Candidate<'a>)> {
    let mut turns: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    let mut ranked: Vec<_> = named
        .into_iter()
        .map(|(name, candidate)| {
            let service = candidate.variant.offers.first().and_then(|offer| offer.0);
            let turn = turns.entry(service).or_default();
            *turn += 1;
            (*turn, name, candidate)
        })
        .collect();
    ranked.sort_by_key(|(turn, ..)| *turn);
    ranked.into_iter().map(|(_, name, candidate)| (name, candidate)).collect()
}

impl Variant<'_> {
    /// A call may go to each that offers it.
    fn effect(&self) -> Effect {
        self.offers.iter().map(|(_, signature)| signature.effect).min().unwrap_or_default()
    }
}

impl Tool {
    /// # Errors
    /// It can be none, and why.
    fn new(
        name: String,
        candidate: &Candidate<'_>,
        options: &GatewayOptions,
    ) -> Result<Self, String> {
        let Candidate { method, service, variant, .. } = candidate;
        let Variant { signature, offers } = variant;
        let is_sure = offers.iter().all(|(_, it)| it.result == signature.result);
        let entry =
            Entry::new(&name, signature, is_sure, variant.effect(), options.max_tool_bytes)?;
        Ok(Self {
            name,
            method: (*method).to_owned(),
            service: service.map(str::to_owned),
            services: offers.iter().map(|(service, _)| service.map(str::to_owned)).collect(),
            stream: signature.stream,
            by_position: Some(*signature)
                .filter(|it| it.param_structure == ParamStructure::ByPosition)
                .cloned(),
            wraps: entry.wraps(),
            result: signature.result.as_ref().filter(|_| is_sure).and_then(Types::of),
            entry: Arc::new(entry),
        })
    }

    /// Named arguments as the method takes them.
    pub(crate) fn arranged(&self, arguments: Args) -> Args {
        match &self.by_position {
            Some(signature) => signature.arranged(arguments, true),
            None => arguments,
        }
    }

    /// The types that agents were told, if a result or an item is of none of them: its JSON begins without a blank.
    pub(crate) fn mistaken_types(&self, json: &str) -> Option<Types> {
        self.result.filter(|types| !types.include_result(json))
    }

    /// Whether a service that offers the other offers this one.
    fn serves(&self, other: &Self) -> bool {
        !self.services.is_disjoint(&other.services)
    }

    fn may_be_called(&self, may: May<'_>) -> bool {
        self.services.iter().any(|service| may(service.as_deref()))
    }

    /// The service whose instances a caller is limited to who may not call them all.
    pub(crate) fn service_for(&self, may: May<'_>) -> Option<&str> {
        if self.service.is_some() || self.services.iter().all(|service| may(service.as_deref())) {
            return self.service.as_deref();
        }
        self.services.iter().filter_map(Option::as_deref).find(|service| may(Some(service)))
    }
}

#[cfg(test)]
pub(crate) mod tests;
