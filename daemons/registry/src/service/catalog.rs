//! The services that have instances, counted by state, version and contract.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rpc_wire::instance::InstanceRecord;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use super::Service;
use super::pages::Page;
use super::targets::with_parameters;
use crate::error::Refusal;
use crate::table::Scope;

/// A version is free text: of a longer one, so many characters are shown.
const MAX_VERSION_CHARS: usize = 64;

/// The catalog that was made last, for its next reader, and the turn to make one: a stranger who asks often
/// keeps one processor busy at most.
#[derive(Debug)]
pub(super) struct Catalogs {
    turn: Semaphore,
    /// With the revision that it is at least as new as.
    last: Mutex<Option<(u64, Bytes)>>,
}

impl Default for Catalogs {
    fn default() -> Self {
        Self { turn: Semaphore::new(1), last: Mutex::default() }
    }
}

impl Catalogs {
    /// Drops what is only kept for the next reader.
    pub(super) fn forget(&self) {
        self.keep(None);
    }

    fn of(&self, revision: u64) -> Option<Bytes> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(known, _)| *known == revision).map(|(_, body)| body.clone())
    }

    fn keep(&self, catalog: Option<(u64, Bytes)>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = catalog;
    }
}

/// Every service, by name, and the instances that are of none.
#[derive(Debug, Default)]
struct Catalog {
    services: BTreeMap<String, Summary>,
    without_service: Summary,
}

/// Instances, and how many have each value.
#[derive(Debug, Default, Serialize)]
struct Summary {
    instances: usize,
    protocols: BTreeMap<String, usize>,
    states: BTreeMap<String, usize>,
    versions: BTreeMap<String, usize>,
    contracts: BTreeMap<String, usize>,
}

/// A service as it is written.
#[derive(Debug, Serialize)]
struct Named<'a> {
    name: &'a str,
    #[serde(flatten)]
    summary: &'a Summary,
}

impl Catalog {
    fn add(&mut self, record: &InstanceRecord<&RawValue>) {
        let instance = with_parameters(record);
        let summary = match instance.service() {
            Some(name) => self.services.entry(name.to_owned()).or_default(),
            None => &mut self.without_service,
        };
        summary.instances += 1;
        let version = instance.version().map(shortened);
        for (counts, value) in [
            (&mut summary.protocols, Some(instance.protocol.clone())),
            (&mut summary.states, Some(record.state.to_string())),
            (&mut summary.versions, version),
            (&mut summary.contracts, instance.contract().map(str::to_owned)),
        ] {
            if let Some(value) = value {
                *counts.entry(value).or_default() += 1;
            }
        }
    }

    fn write(&self) -> Bytes {
        #[derive(Serialize)]
        struct Written<'a> {
            services: Vec<Named<'a>>,
            without_service: &'a Summary,
        }
        let services = self.services.iter().map(|(name, summary)| Named { name, summary });
        let written =
            Written { services: services.collect(), without_service: &self.without_service };
        // Text and numbers serialise.
        serde_json::to_vec(&written).unwrap_or_default().into()
    }
}

fn shortened(version: &str) -> String {
    match version.char_indices().nth(MAX_VERSION_CHARS) {
        Some((end, _)) => format!("{}…", &version[..end]),
        None => version.to_owned(),
    }
}

impl Service {
    /// The catalog of a scope as JSON, never older than the last acknowledged change. The instances are counted page
    /// by page, so that it keeps no other request waiting.
    ///
    /// # Errors
    /// Too much stays unread.
    pub(crate) async fn catalog(&self, scope: &Scope) -> Result<Bytes, Refusal> {
        // Never closed.
        let _turn = self.catalogs.turn.acquire().await;
        let revision = self.lock().table.revision();
        let is_of_all = *scope == Scope::default();
        if let Some(body) = self.catalogs.of(revision).filter(|_| is_of_all) {
            return Ok(body);
        }
        let mut catalog = Catalog::default();
        let mut page = Page::default();
        loop {
            let (rows, now) = self.next_rows(scope, &mut page);
            if rows.is_empty() {
                break;
            }
            rows.iter().for_each(|row| catalog.add(&row.record(self.options.ttl, now)));
            tokio::task::yield_now().await;
        }
        let body = catalog.write();
        self.make_room(body.len()).await?;
        let body = self.answers.keep(body);
        if is_of_all {
            self.catalogs.keep(Some((revision, body.clone())));
        }
        Ok(body)
    }
}
