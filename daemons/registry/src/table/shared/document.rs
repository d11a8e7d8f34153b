//! The document of an address: an instance with its owner, an override, departures.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use rpc_wire::instance::InstanceKey;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::record::{Kind, Record, RecordKey};
use crate::table::Override;
use crate::table::departures::Departure;
use crate::table::kept::{Restored, RestoredInstance};

/// The document of an address, as it is stored.
#[derive(Serialize, Deserialize)]
pub(super) struct Document<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) instance: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub(super) overridden: Option<&'a RawValue>,
    /// The stamp of the override, or of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) override_ms: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) departure: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) classic_departure: Option<&'a RawValue>,
}

/// The document of an address that was understood.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) key: InstanceKey,
    pub(super) owner: Option<Arc<str>>,
    pub(super) instance: Option<RestoredInstance>,
    pub(super) overridden: Option<Override>,
    pub(super) override_ms: u64,
    pub(super) departures: Vec<Departure>,
}

/// What of an address is to be written, or was when nobody knew yet whether it could be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(super) instance: bool,
    pub(super) overridden: bool,
    pub(super) departure: bool,
}

impl Shared {
    /// Reads the document of an address.
    ///
    /// # Errors
    /// Says what about it is not as a registry writes it.
    pub(crate) fn read(key: InstanceKey, value: &[u8]) -> Result<Self, String> {
        let document: Document<'_> =
            serde_json::from_slice(value).map_err(|error| error.to_string())?;
        let mut shared = Self::nothing(key);
        shared.owner = document.owner.as_deref().map(Arc::from);
        shared.override_ms = document.override_ms.unwrap_or(0);
        for (kind, part) in [
            (Kind::Instance, document.instance),
            (Kind::Override, document.overridden),
            (Kind::Departure, document.departure),
            (Kind::ClassicDeparture, document.classic_departure),
        ] {
            let Some(part) = part else { continue };
            let value = Bytes::copy_from_slice(part.get().as_bytes());
            let key = RecordKey { kind, instance: shared.key.clone() };
            match Restored::read(&Record { key, value })? {
                Restored::Instance(instance) => shared.instance = Some(instance),
                Restored::Override(_, what) => shared.overridden = Some(what),
                Restored::Departure(departure) => shared.departures.push(departure),
            }
        }
        if shared.instance.is_some() && shared.owner.is_none() {
            return Err("its instance has no owner".to_owned());
        }
        Ok(shared)
    }

    /// That there is no document of an address.
    pub(crate) fn nothing(key: InstanceKey) -> Self {
        Self {
            key,
            owner: None,
            instance: None,
            overridden: None,
            override_ms: 0,
            departures: Vec::new(),
        }
    }

    /// What orders instances in a list: since when they are registered.
    pub(crate) fn order(&self) -> u64 {
        self.instance.as_ref().map_or(0, |instance| instance.registered_ms)
    }

    /// The incarnation of a server that has left.
    fn left(&self) -> Option<u64> {
        self.departures.iter().filter_map(|departure| departure.incarnation).max()
    }

    /// The stamp of the farewell of a server without incarnation; 0 if it says nothing of one.
    fn farewell(&self) -> u64 {
        let all = self.departures.iter().filter(|departure| departure.incarnation.is_none());
        all.map(|departure| departure.stamp).max().unwrap_or(0)
    }

    /// Whether it says that what said this, in that life, has left since.
    pub(super) fn has_left(&self, incarnation: Option<u64>, stamp: u64) -> bool {
        match incarnation {
            Some(_) => self.left() >= incarnation,
            None => self.farewell() > stamp,
        }
    }
}

impl Pending {
    pub(crate) const NOTHING: Self = Self { instance: false, overridden: false, departure: false };

    pub(super) fn note(&mut self, kind: Kind) {
        match kind {
            Kind::Instance => self.instance = true,
            Kind::Override => self.overridden = true,
            Kind::Departure | Kind::ClassicDeparture => self.departure = true,
        }
    }
}
