//! The methods of all instances that a registry lists, with who offers them.

use std::collections::BTreeMap;

use rpc_client::{Catalog, Target, Variant};
use rpc_wire::signature::to_openrpc;
use serde_json::{Value, json};

use super::table::Row;
use crate::client::offers::{self, Part};
use crate::failure::Failure;

/// A row per service and signature, sorted by service. Where all instances are alike, no row says who has
/// what.
pub(super) fn rows(catalog: &Catalog, is_wanted: impl Fn(&str) -> bool) -> Vec<Row> {
    let sizes = offers::sizes(catalog);
    let mut rows = Vec::new();
    for (_, parts) in variants(catalog, &sizes, is_wanted) {
        rows.extend(parts.into_iter().map(|part| (Row::new(part.signature), part)));
    }
    let is_everywhere = |part: &Part<'_>| part.instances.len() == part.of;
    if sizes.len() == 1 && rows.iter().all(|(_, part)| is_everywhere(part)) {
        return rows.into_iter().map(|(row, _)| row).collect();
    }
    rows.sort_by_key(|(_, part)| part.service);
    let with_service = |(row, part): (Row, Part<'_>)| Row {
        service: Some(offers::shown(part.service).to_owned()),
        offered: part.count(),
        ..row
    };
    rows.into_iter().map(with_service).collect()
}

/// An OpenRPC document with `x-offered-by` in each method, and `x-unknown`. A method with several signatures
/// is there once per signature.
pub(super) fn document(
    target: &Target,
    catalog: &Catalog,
    is_wanted: impl Fn(&str) -> bool,
) -> Value {
    let sizes = offers::sizes(catalog);
    let variants = variants(catalog, &sizes, is_wanted);
    let signatures = variants.iter().map(|(variant, _)| variant.signature);
    let mut document = to_openrpc(&target.to_string(), env!("CARGO_PKG_VERSION"), signatures);
    for (at, (_, parts)) in variants.iter().enumerate() {
        document["methods"][at]["x-offered-by"] = offers::document(parts);
    }
    let unknown = catalog.unknown.iter().map(|unknown| {
        let failure = Failure::from(unknown.reason.clone()).to_json();
        let mut object: Value = serde_json::from_str(&failure).unwrap_or_default();
        object["instance"] = json!(unknown.instance.to_string());
        object["service"] = json!(unknown.service);
        object
    });
    document["x-unknown"] = unknown.collect();
    document
}

/// Every signature of every method by name, with who offers it.
fn variants<'a>(
    catalog: &'a Catalog,
    sizes: &BTreeMap<Option<&str>, usize>,
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<(Variant<'a>, Vec<Part<'a>>)> {
    let methods = catalog.methods().into_iter().filter(|method| is_wanted(method.name));
    let variants = methods.flat_map(|method| method.variants);
    let with_parts = |variant: Variant<'a>| {
        let parts = offers::parts(&variant, sizes);
        (variant, parts)
    };
    variants.map(with_parts).collect()
}
