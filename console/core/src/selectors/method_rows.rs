//! The rows of the list of methods: the saved requests, then the methods.

use crate::model::Model;
use crate::model::methods::{Method, fuzzy};
use crate::model::saved::SavedRequest;

/// A row of the list.
#[derive(Debug, Clone, Copy)]
pub enum MethodRow<'a> {
    /// A saved request.
    Saved(&'a SavedRequest),
    /// A method.
    Method(&'a Method),
}

/// The rows that match the filter. With one instance in scope, only requests of its methods.
pub fn method_rows(model: &Model) -> Vec<MethodRow<'_>> {
    let in_scope = |request: &&SavedRequest| {
        let Some(key) = &model.methods.scope else { return true };
        model.methods.named(&request.method).any(|method| method.on.contains(key))
    };
    let requests = model.saved.contents.requests.iter().filter(in_scope);
    let filter = model.methods.filter.value().trim();
    let requests: Vec<_> = if filter.is_empty() {
        requests.collect()
    } else {
        let mut ranked = fuzzy(filter, requests, |request| &request.name);
        ranked.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        ranked.into_iter().map(|(_, request)| request).collect()
    };
    let methods = model.methods.visible().into_iter().map(MethodRow::Method);
    requests.into_iter().map(MethodRow::Saved).chain(methods).collect()
}

/// The index of the selected row in `rows`.
pub fn selected_row(model: &Model, rows: &[MethodRow<'_>]) -> Option<usize> {
    let saved = model.saved.selected.as_deref();
    let method = model.methods.selected.as_ref().filter(|_| saved.is_none());
    rows.iter().position(|row| match row {
        MethodRow::Saved(request) => saved == Some(request.name.as_str()),
        MethodRow::Method(one) => method == Some(&one.id),
    })
}
