//! The tools: what live instances offer, as far as it is exposed, in an order that depends on nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rpc_client::Catalog;
use rpc_wire::most_similar;
use rpc_wire::signature::{Effect, Example, Signature};
use serde_json::{Map, Value, json};

use crate::era::Era;
use crate::exposure::{Exposure, Offered};
use crate::schema;

/// Characters of a name that every client and model takes; the protocol has up to 128.
const MAX_NAME_CHARS: usize = 64;
/// Examples of a method that its description shows.
const EXAMPLES: usize = 3;

/// All tools of a moment, by name.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tools {
    all: Vec<Arc<Tool>>,
    /// Methods that are no tools since they may change something.
    pub(crate) not_allowed: usize,
    /// Tools beyond the limit.
    pub(crate) left_out: usize,
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
    /// Whether its result is in an object of its own in versions where each result is one.
    pub(crate) wraps: bool,
    modern: String,
    /// Where it differs.
    legacy: Option<String>,
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

impl Tools {
    /// The tools among what a catalog has, at most `max` of them.
    pub(crate) fn of(catalog: &Catalog, exposure: &Exposure, prefix: &str, max: usize) -> Self {
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
        Self::from_methods(methods, exposure, prefix, max)
    }

    /// The tools among the methods of one server, at most `max` of them.
    pub(crate) fn described(
        methods: &[Signature],
        exposure: &Exposure,
        prefix: &str,
        max: usize,
    ) -> Self {
        let methods = methods.iter().map(|signature| Method {
            name: &signature.name,
            variants: vec![Variant { signature, offers: vec![(None, signature)] }],
        });
        Self::from_methods(methods, exposure, prefix, max)
    }

    fn from_methods<'a>(
        methods: impl Iterator<Item = Method<'a>>,
        exposure: &Exposure,
        prefix: &str,
        max: usize,
    ) -> Self {
        let mut named: BTreeMap<String, Arc<Tool>> = BTreeMap::new();
        let (mut not_allowed, mut left_out) = (0, 0);
        for method in methods {
            for (service, variant) in method.apart() {
                let services: Vec<_> = variant.offers.iter().map(|offer| offer.0).collect();
                match exposure.offers(method.name, &services, variant.effect()) {
                    Offered::Yes if named.len() >= max => left_out += 1,
                    Offered::Yes => {
                        let name = free_name(&named, prefix, service, method.name);
                        let tool = Tool::new(name.clone(), method.name, service, &variant);
                        named.insert(name, Arc::new(tool));
                    }
                    Offered::NotAllowed => not_allowed += 1,
                    Offered::Denied => {}
                }
            }
        }
        Self { all: named.into_values().collect(), not_allowed, left_out }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The tools behind the one of the name `after`, at most `max` of those that the caller may use, as
    /// JSON; and after which one the next page begins, if there is one.
    pub(crate) fn page(
        &self,
        era: Era,
        after: Option<&str>,
        may: May<'_>,
        max: usize,
    ) -> (Vec<&str>, Option<&str>) {
        let begin =
            after.map_or(0, |after| self.all.partition_point(|it| it.name.as_str() <= after));
        let rest = self.all.get(begin..).unwrap_or_default();
        let mut visible = rest.iter().filter(|tool| tool.may_be_called(may)).peekable();
        let mut page = Vec::new();
        let mut last = None;
        while let Some(tool) = visible.next_if(|_| page.len() < max.max(1)) {
            page.push(tool.json(era));
            last = Some(tool.name.as_str());
        }
        let next = if visible.peek().is_some() { last } else { None };
        (page, next)
    }

    /// The tool of that name, if the caller may use it; else names that may be meant.
    pub(crate) fn find(&self, name: &str, may: May<'_>) -> Result<&Arc<Tool>, Vec<&str>> {
        let found = self.all.binary_search_by(|tool| tool.name.as_str().cmp(name));
        let found = found.ok().and_then(|at| self.all.get(at));
        found.filter(|tool| tool.may_be_called(may)).ok_or_else(|| {
            let visible = self.all.iter().filter(|tool| tool.may_be_called(may));
            most_similar(name, visible.map(|tool| tool.name.as_str()), 3)
        })
    }
}

impl<'a> Method<'a> {
    /// The ways to call it, each with the service that it is limited to: one, unless services differ. Of the
    /// versions of one service, the first.
    fn apart(&self) -> Vec<(Option<&'a str>, Variant<'a>)> {
        let services: BTreeSet<_> =
            self.variants.iter().flat_map(|it| it.offers.iter().map(|offer| offer.0)).collect();
        let Some(first) = self.variants.first() else { return Vec::new() };
        if self.variants.len() == 1 || services.len() == 1 {
            // Calls may go to each version.
            let offers = self.variants.iter().flat_map(|it| it.offers.iter().copied()).collect();
            return vec![(None, Variant { offers, ..first.clone() })];
        }
        let of = |service: Option<&'a str>| {
            let is_its = |offer: &&(Option<&str>, &Signature)| offer.0 == service;
            let first = self.variants.iter().find(|it| it.offers.iter().any(|it| is_its(&it)))?;
            let offers = self.variants.iter().flat_map(|it| it.offers.iter().filter(is_its));
            let signature = first.offers.iter().find(is_its)?.1;
            Some((service, Variant { signature, offers: offers.copied().collect() }))
        };
        // What has no service cannot be told apart from the others.
        services.into_iter().filter(Option::is_some).filter_map(of).collect()
    }
}

impl Variant<'_> {
    /// A call may go to each that offers it.
    fn effect(&self) -> Effect {
        self.offers.iter().map(|(_, signature)| signature.effect).min().unwrap_or_default()
    }
}

impl Tool {
    fn new(name: String, method: &str, service: Option<&str>, variant: &Variant<'_>) -> Self {
        let Variant { signature, offers } = variant;
        let is_sure = offers.iter().all(|(_, it)| it.result == signature.result);
        let output = schema::output(signature).filter(|_| is_sure);
        let wraps = output.as_ref().is_some_and(|output| !schema::is_of_objects(output));
        let tool = |output: Option<Value>| {
            let mut tool = json!({
                "name": name,
                "description": description(signature),
                "inputSchema": schema::input(&signature.parameters),
                "annotations": annotations(variant.effect()),
            });
            if let Some(output) = output {
                tool["outputSchema"] = output;
            }
            tool.to_string()
        };
        let legacy =
            output.as_ref().filter(|_| wraps).map(|output| tool(Some(schema::wrapped(output))));
        let modern = tool(output);
        Self {
            name,
            method: method.to_owned(),
            service: service.map(str::to_owned),
            services: offers.iter().map(|(service, _)| service.map(str::to_owned)).collect(),
            stream: signature.stream,
            wraps,
            modern,
            legacy,
        }
    }

    fn json(&self, era: Era) -> &str {
        match &self.legacy {
            Some(legacy) if !era.is_modern() => legacy,
            _ => &self.modern,
        }
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

/// The first name that no other tool has, of characters that every client takes.
fn free_name(
    named: &BTreeMap<String, Arc<Tool>>,
    prefix: &str,
    service: Option<&str>,
    method: &str,
) -> String {
    let service = service.map(|service| format!("{service}.")).unwrap_or_default();
    let is_usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let name = format!("{prefix}{service}{method}");
    let name: String = name.chars().map(|c| if is_usual(c) { c } else { '_' }).collect();
    let numbered = |number: usize| {
        let end = if number < 2 { String::new() } else { format!("_{number}") };
        let start: String = name.chars().take(MAX_NAME_CHARS.saturating_sub(end.len())).collect();
        start + &end
    };
    // One of more numbers than there are names is free.
    (1..=named.len() + 1).map(numbered).find(|it| !named.contains_key(it)).unwrap_or(name)
}

fn annotations(effect: Effect) -> Value {
    json!({"readOnlyHint": effect.is_read_only(), "idempotentHint": effect.is_idempotent()})
}

fn description(signature: &Signature) -> String {
    let mut parts = Vec::new();
    if signature.deprecated {
        parts.push("Deprecated.".to_owned());
    }
    parts.push(match signature.doc.is_empty() {
        false => signature.doc.clone(),
        // Clients ask for one.
        true => format!("The method {}, of which nothing is said.", signature.name),
    });
    if signature.stream {
        parts.push(
            "Returns a list of what it sends until it ends, or as far as there is time.".to_owned(),
        );
    }
    parts.extend(signature.examples.iter().take(EXAMPLES).map(example));
    parts.join("\n\n")
}

fn example(example: &Example) -> String {
    let arguments: Map<String, Value> = example.arguments.iter().cloned().collect();
    let name = if example.name.is_empty() { String::new() } else { format!(" ({})", example.name) };
    let result = example.result.as_ref().map(|result| format!(" returns {result}"));
    format!("Example{name}: {}{}", Value::Object(arguments), result.unwrap_or_default())
}

#[cfg(test)]
pub(crate) mod tests;
