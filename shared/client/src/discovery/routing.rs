//! The choice of an instance for a call: one that offers the method.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rpc_wire::instance::is_service_name;
use rpc_wire::most_similar;
use rpc_wire::paths::is_reserved;
use tokio::time::Instant;

use super::contracts::{Contracts, Offering};
use super::list::List;
use super::member::Member;
use super::view::{Candidates, Route, View};
use super::{Discovery, learn};
use crate::catalog::SUGGESTED;
use crate::pool::Peer;
use crate::wanted::{Picked, Wanted};
use crate::{CallError, ListProblem, NoSuchMethod};

impl Discovery {
    /// An instance for a call. Waits for the first list, however often the registry has to be asked for it, for one
    /// refresh if there is none, and for what the instances offer if none is known to offer the method.
    pub(crate) async fn pick(&self, wanted: Wanted<'_>) -> Result<Picked, CallError> {
        match self.pick_now(&self.shared.list.load(), wanted) {
            Some(picked) => Ok(picked),
            // In a box: it is rare, and every call would have to carry its state.
            None => Box::pin(self.pick_later(wanted)).await,
        }
    }

    pub(super) fn pick_now(&self, list: &List, wanted: Wanted<'_>) -> Option<Picked> {
        let Some(service) = wanted.service else { return self.pick_from(&list.all, wanted) };
        self.pick_from(&list.of_service(service, &self.shared.contracts), wanted)
    }

    fn pick_from(&self, view: &View, wanted: Wanted<'_>) -> Option<Picked> {
        if view.is_uniform && !wanted.is_unoffered || is_reserved(wanted.method) {
            return self.choose(view.anyone(wanted.method), wanted.tried);
        }
        self.choose(&*view.known_route(wanted.method)?, wanted.tried)
    }

    async fn pick_later(&self, wanted: Wanted<'_>) -> Result<Picked, CallError> {
        self.check_service(wanted.service)?;
        let mut is_last = false;
        let mut is_late = false;
        loop {
            let mut learned = self.shared.learned.subscribe();
            let list = self.shared.list.load_full();
            if let Some(picked) = self.pick_now(&list, wanted) {
                return Ok(picked);
            }
            let view = self.view(&list, wanted.service);
            let needs_route = !view.members.is_empty()
                && !is_reserved(wanted.method)
                && (!view.is_uniform || wanted.is_unoffered);
            match needs_route.then(|| view.route(wanted.method, &self.shared.contracts, is_late)) {
                Some(Route::To(candidates)) => {
                    // Those that share a digest with the one that replied may be down.
                    let connected = candidates.connected().unwrap_or_default();
                    let picked = self.choose(&connected, wanted.tried);
                    if let Some(picked) = picked.or_else(|| self.choose(&candidates, wanted.tried))
                    {
                        return Ok(picked);
                    }
                }
                Some(Route::Unknown) => {
                    self.shared.learn();
                    tokio::select! {
                        () = self.shared.context.end.cancelled() => return Err(CallError::Closed),
                        // Never an error: the sender lives as long as `self`.
                        _ = learned.changed() => continue,
                        () = tokio::time::sleep_until(wanted.guess_at) => {
                            is_late = true;
                            continue;
                        }
                    }
                }
                Some(Route::Nowhere) | None => {}
            }
            if is_last && !list.is_awaited() {
                return Err(self.nobody(&list, wanted));
            }
            is_last = true;
            self.refresh_now(wanted.guess_at).await?;
            self.doubt(&view, wanted.began);
        }
    }

    /// Before a call that began then is given up, what may have changed is asked for again, and instances that
    /// were taken at the word of their digest are asked themselves.
    fn doubt(&self, view: &View, began: Instant) {
        let now = Instant::now();
        let since = now.checked_sub(learn::pause(&self.shared)).map(|since| since.min(began));
        self.ask_again(|contracts| {
            let instances = view.identities();
            for member in view.members.iter() {
                member.take_probed(contracts);
            }
            let is_outdated = since.is_some_and(|since| contracts.doubt(&instances, since));
            contracts.confirm(&instances, since, now, &mut rand::rng()) || is_outdated
        });
    }

    /// Has instances asked again if `change` says so.
    pub(super) fn ask_again(&self, change: impl FnOnce(&mut Contracts) -> bool) {
        let mut any = false;
        self.shared.update(|list, contracts| {
            any = change(contracts);
            contracts.is_wanted |= any;
            any.then(|| list.with_usable(contracts))
        });
        if any {
            self.shared.learn_wanted.notify_one();
        }
    }

    pub(super) fn view(&self, list: &List, service: Option<&str>) -> Arc<View> {
        match service {
            None => Arc::clone(&list.all),
            Some(service) => list.of_service(service, &self.shared.contracts),
        }
    }

    pub(super) fn choose(&self, candidates: &Candidates, tried: &[Arc<Peer>]) -> Option<Picked> {
        if !self.shared.is_watched.load(Ordering::Relaxed) {
            self.shared.is_watched.store(true, Ordering::Relaxed);
            self.shared.calls_begin.notify_one();
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (options, now) = (&self.shared.context.options, Instant::now());
        let mut rng = rand::rng();
        if tried.is_empty() {
            return candidates.choose(turn, options, now, &mut rng);
        }
        let steady = candidates.steady.as_ref().map(|steady| steady.without(tried));
        let left = steady.filter(|steady| !steady.members.is_empty());
        let left = left.unwrap_or_else(|| candidates.without(tried));
        // After a failure, rather one that is known to be up.
        left.connected().as_ref().unwrap_or(&left).choose(turn, options, now, &mut rng)
    }

    /// Whether there is an instance for the call besides those that were tried.
    pub(crate) fn has_other(&self, wanted: Wanted<'_>) -> bool {
        self.has_other_that(wanted, |_| true)
    }

    /// The same, of those that `is_fit`.
    pub(super) fn has_other_that(
        &self,
        wanted: Wanted<'_>,
        is_fit: impl Fn(&Member) -> bool,
    ) -> bool {
        let list = self.shared.list.load();
        let view = self.view(&list, wanted.service);
        if view.is_uniform || is_reserved(wanted.method) {
            return view.anyone(wanted.method).has_other(wanted.tried, is_fit);
        }
        match view.route(wanted.method, &self.shared.contracts, false) {
            Route::To(candidates) => candidates.has_other(wanted.tried, is_fit),
            // Some may turn out to offer it.
            Route::Unknown => true,
            Route::Nowhere => false,
        }
    }

    /// Notes that the instance said it does not have the method.
    pub(crate) fn note_unoffered(&self, peer: &Arc<Peer>, method: &str) {
        // No list names those.
        if is_reserved(method) {
            return;
        }
        let Some(identity) = self.shared.identity_of(peer) else { return };
        tracing::debug!(instance = %peer.name(), method, "the instance does not offer the method");
        self.shared.update(|list, contracts| {
            let now = (Instant::now(), learn::pause(&self.shared));
            contracts.note_unoffered(&identity, method, now);
            contracts.is_wanted = true;
            Some(list.with_usable(contracts))
        });
        self.shared.learn_wanted.notify_one();
    }

    /// Whether calling the method twice does no harm, by the word of the instance that was called, which may have
    /// left the list; `None` if its contract is not known.
    pub(crate) fn is_known_idempotent(&self, peer: &Arc<Peer>, method: &str) -> Option<bool> {
        // Reserved methods only read; no list names them.
        if is_reserved(method) {
            return Some(true);
        }
        let Some(identity) = self.shared.identity_of(peer) else { return Some(false) };
        Some(self.shared.contracts().effect(method, &identity)?.is_idempotent())
    }

    /// The same; waits for its contract, which another instance may tell.
    pub(crate) async fn is_idempotent(&self, peer: &Arc<Peer>, method: &str) -> bool {
        if let Some(known) = self.is_known_idempotent(peer, method) {
            return known;
        }
        let Some(identity) = self.shared.identity_of(peer) else { return false };
        loop {
            let mut learned = self.shared.learned.subscribe();
            let list = self.shared.list.load_full();
            {
                let contracts = self.shared.contracts();
                if let Some(effect) = contracts.effect(method, &identity) {
                    return effect.is_idempotent();
                }
                // It has left the list, and nobody of its contract is there.
                if !contracts.can_tell(&list.all.identities(), &identity) {
                    return false;
                }
            }
            self.shared.learn();
            tokio::select! {
                () = self.shared.context.end.cancelled() => return false,
                _ = learned.changed() => {}
            }
        }
    }

    /// That no instance offers the method; `None` if none of them could be asked.
    fn no_such_method(&self, wanted: Wanted<'_>) -> Option<NoSuchMethod> {
        let list = self.shared.list.load();
        let view = self.view(&list, wanted.service);
        let identities = view.identities();
        let contracts = self.shared.contracts();
        let asked = contracts.asked(wanted.method, &identities);
        let lists = contracts.lists(&identities);
        drop(contracts);
        let names = lists.iter().flat_map(|list| list.all()).map(|known| known.name.as_str());
        let names = names.filter(|name| *name != wanted.method && !is_reserved(name));
        let nearest = most_similar(wanted.method, names, SUGGESTED);
        (asked > 0).then(|| NoSuchMethod {
            method: wanted.method.to_owned(),
            service: wanted.service.map(str::to_owned).or_else(|| self.only_service()),
            asked,
            of: identities.len(),
            nearest: nearest.into_iter().map(str::to_owned).collect(),
        })
    }

    /// The error of an instance that perhaps offers the method and could not be reached, with what is known of
    /// the others.
    pub(crate) fn not_found(&self, wanted: Wanted<'_>, error: CallError) -> CallError {
        match (error, self.no_such_method(wanted)) {
            (CallError::Unreachable { peer, reason }, Some(others)) => {
                CallError::Unreachable { peer, reason: format!("{reason}, and {others}") }
            }
            (error, _) => error,
        }
    }

    fn nobody(&self, list: &List, wanted: Wanted<'_>) -> CallError {
        // With a list that may be outdated, "nobody" is not known.
        if let Some(ListProblem::Registry(error)) = &list.problem {
            return CallError::Registry(error.clone());
        }
        let view = self.view(list, wanted.service);
        let unreached = {
            let (contracts, identities) = (self.shared.contracts(), view.identities());
            let Offering { unknown, pending, .. } = contracts.offering(wanted.method, &identities);
            contracts.first_failure(&identities, &[unknown, pending].concat())
        };
        if let Some(error) = unreached {
            return self.not_found(wanted, error);
        }
        self.no_such_method(wanted).map_or_else(
            || self.no_instance(list, wanted.service),
            |error| CallError::NoSuchMethod(Box::new(error)),
        )
    }

    pub(super) fn no_instance(&self, list: &List, service: Option<&str>) -> CallError {
        match &list.problem {
            Some(ListProblem::Registry(error)) => CallError::Registry(error.clone()),
            _ => CallError::NoInstance {
                registry: self.shared.url.clone(),
                service: service.map(str::to_owned).or_else(|| self.only_service()),
                invalid: list.invalid,
            },
        }
    }

    /// No instance has a service of another form, so that it is checked only where there is none to call.
    pub(super) fn check_service(&self, service: Option<&str>) -> Result<(), CallError> {
        let only = self.shared.context.options.service.as_deref();
        let bad = [service, only].into_iter().flatten().find(|name| !is_service_name(name));
        bad.map_or(Ok(()), |name| {
            Err(CallError::BadArguments(format!(
                "{name:?} is not the name of a service; write 1 to 64 ASCII letters, digits, \".\", \"_\" or \"-\""
            )))
        })
    }

    /// The service that the whole client is limited to.
    fn only_service(&self) -> Option<String> {
        self.shared.context.options.service.clone()
    }
}
