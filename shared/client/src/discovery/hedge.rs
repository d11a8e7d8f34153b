//! What hedging asks of discovery, without waiting.

use std::sync::Arc;

use rpc_wire::paths::is_reserved;
use rpc_wire::signature::Effect;

use super::Discovery;
use super::view::Route;
use crate::pool::Peer;
use crate::wanted::Wanted;

impl Discovery {
    /// Whether the method only reads; `None` if that is not known. Then it is asked for.
    pub(crate) fn only_reads(&self, peer: &Arc<Peer>, method: &str) -> Option<bool> {
        if is_reserved(method) {
            return Some(true);
        }
        let Some(identity) = self.shared.identity_of(peer) else { return Some(false) };
        let effect = self.shared.contracts().effect(method, &identity);
        if effect.is_none() {
            self.shared.learn();
        }
        effect.map(Effect::is_read_only)
    }

    /// Another instance that is known to offer the method, besides those that were tried.
    pub(crate) fn pick_other(&self, wanted: Wanted<'_>) -> Option<Arc<Peer>> {
        let list = self.shared.list.load();
        let picked = self.pick_now(&list, wanted).or_else(|| {
            // It was learned while the call was pending.
            let view = self.view(&list, wanted.service);
            match view.route(wanted.method, &self.shared.contracts, false) {
                Route::To(candidates) => self.choose(&candidates, wanted.tried),
                Route::Unknown | Route::Nowhere => None,
            }
        })?;
        (!picked.is_guess).then_some(picked.peer)
    }
}
