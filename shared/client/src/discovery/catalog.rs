//! What all instances offer, collected for people.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Discovery;
use super::member::Member;
use super::view::View;
use crate::catalog::{Catalog, Offered};
use crate::deadline::after;
use crate::{CallError, Phase};

impl Discovery {
    /// What the instances offer, as soon as each has replied or failed to, at most for that time.
    pub(crate) async fn catalog(
        &self,
        service: Option<&str>,
        within: Duration,
    ) -> Result<Catalog, CallError> {
        let deadline = after(Instant::now(), within);
        let late = |_| {
            let (peer, phase) = self.waiting_for();
            CallError::Timeout { peer, after: within, phase }
        };
        let view =
            tokio::time::timeout_at(deadline, self.known_view(service)).await.map_err(late)??;
        self.doubt(&view);
        let learned = tokio::time::timeout_at(deadline, self.learn_all(service)).await;
        let view = learned.unwrap_or_else(|_| Ok(self.view(&self.shared.list.load(), service)))?;
        Ok(self.collect(&view, within))
    }

    /// The instances, after a refresh if there are none.
    async fn known_view(&self, service: Option<&str>) -> Result<Arc<View>, CallError> {
        let view = self.view(&self.shared.list.load(), service);
        if !view.members.is_empty() {
            return Ok(view);
        }
        self.refresh_now().await?;
        let list = self.shared.list.load_full();
        let view = self.view(&list, service);
        if view.members.is_empty() { Err(self.no_instance(&list, service)) } else { Ok(view) }
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
        let groups = self.shared.contracts().groups(&view.identities());
        let mut offered = Vec::new();
        let mut unknown = Vec::new();
        for group in groups {
            let members = group.instances.iter().filter_map(|&index| view.members.get(index));
            match group.methods {
                Ok(methods) => offered.extend(members.map(|member| Offered {
                    service: member.instance.service().map(str::to_owned),
                    instance: member.instance.key(),
                    methods: Arc::clone(&methods),
                })),
                Err(reason) => unknown.extend(members.map(|member| {
                    let reason = reason.clone().unwrap_or_else(|| no_reply(member, within));
                    let service = member.instance.service().map(str::to_owned);
                    (member.instance.key(), service, reason)
                })),
            }
        }
        Catalog::new(offered, unknown)
    }
}

fn no_reply(member: &Member, within: Duration) -> CallError {
    let peer = member.peer.name().to_owned();
    CallError::Timeout { peer, after: within, phase: Phase::Reply }
}
