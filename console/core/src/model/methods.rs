//! The methods of all instances in one list, and the instances that lack or differ in some.

use std::collections::{BTreeMap, BTreeSet};

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use rpc_wire::instance::InstanceKey;
use rpc_wire::signature::Signature;
use tui_input::Input;

use super::scroll::Step;

/// A method, and the instances that have it.
#[derive(Debug, Clone)]
pub struct Method {
    /// Its signature on most instances.
    pub signature: Signature,
    /// The instances that have it.
    pub on: BTreeSet<InstanceKey>,
    /// Those of them where its signature differs.
    pub differing: BTreeSet<InstanceKey>,
}

/// The methods of all instances.
#[derive(Debug, Default)]
pub struct Methods {
    by_instance: BTreeMap<InstanceKey, Vec<Signature>>,
    /// Why the methods of an instance are unknown.
    pub errors: BTreeMap<InstanceKey, String>,
    union: BTreeMap<String, Method>,
    /// The instance whose methods are listed; `None`: all.
    pub scope: Option<InstanceKey>,
    /// The name of the selected method.
    pub selected: Option<String>,
    /// The fuzzy filter of names.
    pub filter: Input,
    /// The first visible row.
    pub top: usize,
}

impl Methods {
    /// Sets the methods of an instance.
    pub fn insert(&mut self, key: InstanceKey, signatures: Vec<Signature>) {
        self.errors.remove(&key);
        self.by_instance.insert(key, signatures);
        self.rebuild();
    }

    /// Sets why the methods of an instance are unknown.
    pub fn set_error(&mut self, key: InstanceKey, error: String) {
        self.errors.insert(key, error);
    }

    /// Removes an instance.
    pub fn remove(&mut self, key: &InstanceKey) {
        self.errors.remove(key);
        if self.scope.as_ref() == Some(key) {
            self.scope = None;
        }
        if self.by_instance.remove(key).is_some() {
            self.rebuild();
        }
    }

    fn rebuild(&mut self) {
        let mut variants: BTreeMap<&str, Vec<(&Signature, BTreeSet<InstanceKey>)>> =
            BTreeMap::new();
        for (key, signatures) in &self.by_instance {
            for signature in signatures {
                let variants = variants.entry(&signature.name).or_default();
                let at =
                    variants.iter().position(|(variant, _)| are_compatible(variant, signature));
                let at = at.unwrap_or_else(|| {
                    variants.push((signature, BTreeSet::new()));
                    variants.len() - 1
                });
                if known_types(signature) > known_types(variants[at].0) {
                    variants[at].0 = signature;
                }
                variants[at].1.insert(key.clone());
            }
        }
        let method = |variants: Vec<(&Signature, BTreeSet<InstanceKey>)>| {
            // The first of equally common ones, so that a form never changes by chance.
            let (reference, most_common) = variants.iter().rev().max_by_key(|(_, on)| on.len())?;
            let on: BTreeSet<_> = variants.iter().flat_map(|(_, on)| on).cloned().collect();
            let differing = on.difference(most_common).cloned().collect();
            Some((
                reference.name.clone(),
                Method { signature: (*reference).clone(), on, differing },
            ))
        };
        self.union = variants.into_values().filter_map(method).collect();
    }

    /// The method with this name.
    pub fn get(&self, name: &str) -> Option<&Method> {
        self.union.get(name)
    }

    /// Every method, by name.
    pub fn all(&self) -> impl Iterator<Item = &Method> {
        self.union.values()
    }

    /// Whether no methods are known.
    pub fn is_empty(&self) -> bool {
        self.union.is_empty()
    }

    /// Number of instances whose methods are known.
    pub fn known_instances(&self) -> usize {
        self.by_instance.len()
    }

    /// Methods that most instances have and `key` lacks: it may run an older version.
    pub fn missing(&self, key: &InstanceKey) -> Vec<&str> {
        let all = self.by_instance.len();
        if !self.by_instance.contains_key(key) || all < 2 {
            return Vec::new();
        }
        let is_missing = |method: &&Method| !method.on.contains(key) && method.on.len() * 2 >= all;
        self.union.values().filter(is_missing).map(|m| m.signature.name.as_str()).collect()
    }

    /// Methods of `key` whose signature differs from that of most instances, as `add(a, b, c=10)`.
    pub fn differing(&self, key: &InstanceKey) -> Vec<String> {
        let own = self.by_instance.get(key).into_iter().flatten();
        let is_differing = |signature: &&Signature| {
            self.get(&signature.name).is_some_and(|method| method.differing.contains(key))
        };
        own.filter(is_differing).map(call_shape).collect()
    }

    /// The methods in scope that match the filter: by name, or best match first.
    pub fn visible(&self) -> Vec<&Method> {
        let in_scope =
            |method: &&Method| self.scope.as_ref().is_none_or(|key| method.on.contains(key));
        let filter = self.filter.value().trim();
        if filter.is_empty() {
            return self.union.values().filter(in_scope).collect();
        }
        let mut ranked: Vec<_> =
            fuzzy(filter, self.union.values().filter(in_scope), |method| &method.signature.name);
        ranked.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        ranked.into_iter().map(|(_, method)| method).collect()
    }

    /// The selected method.
    pub fn selected_method(&self) -> Option<&Method> {
        self.union.get(self.selected.as_deref()?)
    }

    /// Moves the selection.
    pub fn step(&mut self, step: Step, height: usize) {
        let visible = self.visible();
        let at = self.selected_index(&visible).unwrap_or(0);
        let to =
            if self.selected_index(&visible).is_none() { 0 } else { step.from(at, visible.len()) };
        let selected = visible.get(to).map(|method| method.signature.name.clone());
        let top = super::scroll::keep_visible(self.top, to, height, visible.len());
        (self.selected, self.top) = (selected, top);
    }

    /// The index of the selected method in `visible`.
    pub fn selected_index(&self, visible: &[&Method]) -> Option<usize> {
        let name = self.selected.as_deref()?;
        visible.iter().position(|method| method.signature.name == name)
    }

    /// Selects the first visible method if the selected one is not visible, or always with `prefer_first`.
    pub fn keep_selection(&mut self, prefer_first: bool) {
        let visible = self.visible();
        if prefer_first || self.selected_index(&visible).is_none() {
            self.selected = visible.first().map(|method| method.signature.name.clone());
        }
    }
}

/// Whether both accept the same calls. An unknown type agrees with any type.
fn are_compatible(one: &Signature, other: &Signature) -> bool {
    let parameters = one.parameters.iter().zip(&other.parameters);
    one.stream == other.stream
        && one.parameters.len() == other.parameters.len()
        && parameters.into_iter().all(|(one, other)| {
            let unknown = one.schema.is_boolean() || other.schema.is_boolean();
            one.name == other.name
                && one.required == other.required
                && one.default == other.default
                && (unknown || one.schema == other.schema)
        })
}

fn known_types(signature: &Signature) -> usize {
    signature.parameters.iter().filter(|parameter| !parameter.schema.is_boolean()).count()
}

fn call_shape(signature: &Signature) -> String {
    let parameters = signature.parameters.iter().map(|parameter| match &parameter.default {
        None if !parameter.is_required() => format!("{}?", parameter.name),
        None => parameter.name.clone(),
        Some(default) => format!("{}={default}", parameter.name),
    });
    format!("{}({})", signature.name, parameters.collect::<Vec<_>>().join(", "))
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
mod tests {
    use super::*;

    fn signature(name: &str) -> Signature {
        Signature { name: name.to_owned(), ..Signature::default() }
    }

    fn key(port: u16) -> InstanceKey {
        rpc_wire::instance::Instance::new("h", port).key()
    }

    fn three() -> Methods {
        let mut methods = Methods::default();
        methods.insert(key(1), vec![signature("add"), signature("square")]);
        methods.insert(key(2), vec![signature("add"), signature("square")]);
        methods.insert(key(3), vec![signature("add"), signature("own")]);
        methods
    }

    #[test]
    fn the_list_is_the_union_and_missing_methods_are_found() {
        let methods = three();
        assert_eq!(methods.all().count(), 3);
        assert_eq!(methods.missing(&key(3)), ["square"]);
        assert!(
            methods.missing(&key(1)).is_empty(),
            "a method of one instance only is not missing"
        );
    }

    #[test]
    fn differing_signatures_are_found_and_unknown_types_agree() {
        use rpc_wire::signature::Parameter;
        use serde_json::json;
        let number = || Parameter::required("a", json!({"type": "number"}));
        let add = |parameters: Vec<Parameter>| Signature { parameters, ..signature("add") };
        let mut methods = Methods::default();
        methods.insert(key(1), vec![add(vec![Parameter::required("a", json!(true))])]);
        methods.insert(key(2), vec![add(vec![number()])]);
        let more = Parameter::optional("b", json!({"type": "number"}), json!(10));
        methods.insert(key(3), vec![add(vec![number(), more])]);
        let found: Vec<_> = (1..=3).map(|port| methods.differing(&key(port))).collect();
        assert_eq!(found, [vec![], vec![], vec!["add(a, b=10)".to_owned()]]);
        assert_eq!(methods.get("add").unwrap().signature.parameters, [number()], "types are known");
        methods.remove(&key(2));
        assert_eq!(
            methods.differing(&key(3)).len(),
            1,
            "of two equally common ones the first is the reference"
        );
    }

    #[test]
    fn a_scope_is_cleared_when_its_instance_is_removed() {
        let mut methods = three();
        methods.scope = Some(key(3));
        assert_eq!(methods.visible().len(), 2);
        methods.remove(&key(3));
        assert_eq!((methods.scope.clone(), methods.visible().len()), (None, 2));
    }

    #[test]
    fn the_best_match_comes_first() {
        let mut methods = three();
        methods.filter = Input::new("sq".to_owned());
        methods.keep_selection(true);
        assert_eq!(methods.selected.as_deref(), Some("square"));
    }
}
