//! Discovery in a build without the feature `registry`: there is none, so that a client has one address.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::catalog::Catalog;
use crate::pool::{Peer, Run};
use crate::wanted::{Picked, Wanted};
use crate::{CallError, KnownInstance};

/// Never made.
#[derive(Debug)]
pub(crate) enum Discovery {}

impl Discovery {
    pub(crate) async fn pick(&self, _: Wanted<'_>) -> Result<Picked, CallError> {
        match *self {}
    }

    pub(crate) fn awaits_list(&self) -> bool {
        match *self {}
    }

    pub(crate) async fn refresh_now(&self, _: Instant) -> Result<(), CallError> {
        match *self {}
    }

    pub(crate) fn has_other(&self, _: Wanted<'_>) -> bool {
        match *self {}
    }

    pub(crate) fn is_known_idempotent(&self, _: &Arc<Peer>, _: &str) -> Option<bool> {
        match *self {}
    }

    pub(crate) fn only_reads(&self, _: &Arc<Peer>, _: &str) -> Option<bool> {
        match *self {}
    }

    pub(crate) fn pick_other(&self, _: Wanted<'_>) -> Option<Arc<Peer>> {
        match *self {}
    }

    pub(crate) async fn look_again(&self, _: Wanted<'_>) -> bool {
        match *self {}
    }

    pub(crate) fn note_failure(&self, _: &Arc<Peer>, _: &CallError, _: bool) {
        match *self {}
    }

    pub(crate) fn note_slow(&self, _: &Arc<Peer>, _: Run) {
        match *self {}
    }

    pub(crate) fn fares_worse(&self, _: &Arc<Peer>) -> bool {
        match *self {}
    }

    pub(crate) fn note_unoffered(&self, _: &Arc<Peer>, _: &str) {
        match *self {}
    }

    pub(crate) async fn is_idempotent(&self, _: &Arc<Peer>, _: &str) -> bool {
        match *self {}
    }

    pub(crate) fn not_found(&self, _: Wanted<'_>, _: CallError) -> CallError {
        match *self {}
    }

    pub(crate) fn timed_out(&self, _: Duration) -> CallError {
        match *self {}
    }

    pub(crate) async fn settle(&self) {
        match *self {}
    }

    pub(crate) fn find(&self, _: &str, _: u16) -> Option<Arc<Peer>> {
        match *self {}
    }

    pub(crate) fn knows_json_rpc(&self) -> bool {
        match *self {}
    }

    pub(crate) fn instances(&self) -> Vec<KnownInstance> {
        match *self {}
    }

    pub(crate) fn instances_not_up(&self) -> Vec<KnownInstance> {
        match *self {}
    }

    pub(crate) async fn catalog(
        &self,
        _: Option<&str>,
        _: Duration,
        _: bool,
    ) -> Result<Catalog, CallError> {
        match *self {}
    }
}
