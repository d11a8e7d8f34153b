//! What all instances offer, collected for people.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::member::Member;
use super::view::View;
use super::{Discovery, learn};
use crate::catalog::{Catalog, Offered};
use crate::deadline::after;
use crate::{CallError, Phase};

impl Discovery {
    /// What the instances offer, as soon as each has replied or failed to, at most for that time. With
    /// `confirms`, a digest is not enough: the instances are asked themselves, as far as that is bounded.
    pub(crate) async fn catalog(
        &self,
        service: Option<&str>,
        within: Duration,
        confirms: bool,
    ) -> Result<Catalog, CallError> {
        self.check_service(service)?;
        let began = Instant::now();
        // A short wait for what is offered is no reason to go by an old list.
        let patience = within.max(self.shared.context.options.timeout) / 2;
        let (deadline, late_at) = (after(began, within), after(began, patience));
        let view = tokio::time::timeout_at(deadline, self.known_view(service, late_at))
            .await
            .map_err(|_| self.timed_out(within))??;
        let now = Instant::now();
        let since = now.checked_sub(learn::pause(&self.shared));
        self.ask_again(|contracts| {
            let instances = view.identities();
            let is_outdated = since.is_some_and(|since| contracts.doubt(&instances, since));
            let confirms = confirms && contracts.confirm(&instances, None, now, &mut rand::rng());
            is_outdated || confirms
        });
        let learned = tokio::time::timeout_at(deadline, self.learn_all(service)).await;
        let view = learned.unwrap_or_else(|_| Ok(self.view(&self.shared.list.load(), service)))?;
        Ok(self.collect(&view, within))
    }

    /// The instances, after a refresh if there are none.
    async fn known_view(
        &self,
        service: Option<&str>,
        late_at: Instant,
    ) -> Result<Arc<View>, CallError> {
        let mut is_last = false;
        loop {
            let list = self.shared.list.load_full();
            let view = self.view(&list, service);
            if !view.members.is_empty() {
                return Ok(view);
            }
            if is_last && !list.is_awaited() {
                return Err(self.no_instance(&list, service));
            }
            is_last = true;
            self.refresh_now(late_at).await?;
        }
    }

    /// The instances, once no contract of them is being asked for.
    async fn learn_all(&self, service: Option<&str>) -> Result<Arc<View>, CallError> {
        loop {
            let mut learned = self.shared.learned.subscribe();
            let view = self.view(&self.shared.list.load(), service);
            if !self.shared.contracts().is_pending(&view.identities()) {
                return Ok(view);
            }
            self.shared.learn();
            tokio::select! {
                () = self.shared.context.end.cancelled() => return Err(CallError::Closed),
                // Never an error: the sender lives as long as `self`.
                _ = learned.changed() => {}
            }
        }
    }

    fn collect(&self, view: &View, within: Duration) -> Catalog {
        let contracts = self.shared.contracts();
        let mut offered = Vec::new();
        let mut unknown = Vec::new();
        for member in view.members.iter() {
            let service = member.instance.service().map(str::to_owned);
            let instance = member.instance.key();
            match contracts.offer(&member.identity) {
                Ok(methods) => offered.push(Offered { service, instance, methods }),
                Err(reason) => {
                    let reason = reason.unwrap_or_else(|| no_reply(member, within));
                    unknown.push((instance, service, reason));
                }
            }
        }
        drop(contracts);
        Catalog::new(offered, unknown)
    }
}

fn no_reply(member: &Member, within: Duration) -> CallError {
    let peer = member.peer.name().to_owned();
    CallError::Timeout { peer, after: within, phase: Phase::Reply }
}
