//! Who sends a request, and what the guard lets them do with which instances.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use rpc_security::{
    Caller, Decision, Denied, Guard, Identity, NotIdentified, Object, Permission, Role, Shown,
};
use rpc_wire::instance::InstanceKey;
use rpc_wire::report::Whoami;

use crate::error::Refusal;
use crate::table::{Entry, Sight};

/// Who sends a request.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    /// Where it comes from.
    pub(crate) address: IpAddr,
    guard: Guard,
    shown: Option<Shown>,
    identity: Option<Arc<Identity>>,
    /// Why what it has shown identifies nobody.
    unidentified: Option<NotIdentified>,
}

const REGISTER: Permission = Permission::Needs(Role::Register);
const OPERATE: Permission = Permission::Needs(Role::Operate);
const OBSERVE: Permission = Permission::Needs(Role::Observe);

impl Sender {
    /// Who has shown this, or nothing, to `guard`.
    pub(crate) fn new(guard: &Guard, address: IpAddr, shown: Option<Shown>) -> Self {
        let guard = guard.clone();
        let mut sender = Self { address, guard, shown, identity: None, unidentified: None };
        sender.look();
        sender
    }

    /// Somebody at a registry that asks nobody.
    #[cfg(test)]
    pub(crate) fn anyone(address: IpAddr) -> Self {
        Self::new(&Guard::open(), address, None)
    }

    /// Looks again who it is, if that may have changed.
    fn look(&mut self) {
        let Some(shown) = &mut self.shown else { return };
        match shown.identity(&self.guard, SystemTime::now) {
            Ok(identity) => {
                self.identity = Some(Arc::clone(identity));
                self.unidentified = None;
            }
            Err(why) => {
                self.identity = None;
                self.unidentified = Some(why);
            }
        }
    }

    /// Whether anything is refused to anybody.
    pub(crate) fn is_guarded(&self) -> bool {
        !self.guard.is_open()
    }

    /// The name that it registers by.
    pub(crate) fn name(&self) -> Option<&str> {
        self.identity.as_ref().map(|identity| identity.name.as_str())
    }

    /// What it is told of itself.
    ///
    /// # Errors
    /// It is a stranger.
    pub(crate) fn whoami(&self) -> Result<Whoami, Refusal> {
        let known = self.guard.whoami(self.caller());
        known.ok_or_else(|| self.denied(Denied::Unknown(Role::Observe)))
    }

    fn caller(&self) -> Caller<'_> {
        Caller { identity: self.identity.as_deref(), address: self.address }
    }

    /// Refuses what it may not do with `object`.
    ///
    /// # Errors
    /// It may not.
    pub(crate) fn check(&self, permission: Permission, object: Object<'_>) -> Result<(), Refusal> {
        if self.guard.is_open() {
            return Ok(());
        }
        match self.guard.decide(self.caller(), permission, object) {
            Decision::Allowed | Decision::Warned(_) => Ok(()),
            Decision::Refused(denied) => Err(self.denied(denied)),
        }
    }

    fn denied(&self, denied: Denied) -> Refusal {
        match (denied, self.unidentified) {
            (Denied::Unknown(role), Some(why)) => Refusal::NotIdentified { why, role },
            _ => Refusal::Denied(denied),
        }
    }

    /// Refuses to register a new instance.
    ///
    /// # Errors
    /// It lacks the role, or is limited to others.
    pub(crate) fn check_new(
        &self,
        key: &InstanceKey,
        service: Option<&str>,
    ) -> Result<(), Refusal> {
        self.check(REGISTER, instance(key, service))
    }

    /// Refuses to speak for a listed instance: to send its heartbeats, or to replace it.
    ///
    /// # Errors
    /// It lacks the role, is limited to others, or somebody else has registered the instance and it is no
    /// operator.
    pub(crate) fn check_known(&self, entry: &Entry) -> Result<(), Refusal> {
        if self.guard.is_open() {
            return Ok(());
        }
        let object = object(entry);
        self.check(REGISTER, object)?;
        if self.has_registered(entry) || self.may(OPERATE, object) {
            return Ok(());
        }
        self.of_another(object)
    }

    /// Refuses to unregister a listed instance.
    ///
    /// # Errors
    /// The same; an operator needs no other role.
    pub(crate) fn check_farewell(&self, entry: &Entry) -> Result<(), Refusal> {
        if self.guard.is_open() {
            return Ok(());
        }
        let object = object(entry);
        if self.may(OPERATE, object) {
            return Ok(());
        }
        self.check(REGISTER, object)?;
        if self.has_registered(entry) {
            return Ok(());
        }
        self.of_another(object)
    }

    /// Refuses to unregister what is not listed, which is remembered all the same.
    ///
    /// # Errors
    /// It lacks the roles, or is limited to others.
    pub(crate) fn check_farewell_of_nobody(
        &self,
        key: &InstanceKey,
        service: Option<&str>,
    ) -> Result<(), Refusal> {
        self.check(Permission::Either(Role::Register, Role::Operate), instance(key, service))
    }

    /// Refuses to operate on an instance, listed or not.
    ///
    /// # Errors
    /// It lacks the role, or is limited to others.
    pub(crate) fn check_operator(
        &self,
        key: &InstanceKey,
        service: Option<&str>,
    ) -> Result<(), Refusal> {
        self.check(OPERATE, instance(key, service))
    }

    /// Whether it registers an instance that nobody has registered by name, and so takes it.
    pub(crate) fn takes(&self, entry: &Entry) -> bool {
        entry.identity.is_none() && self.identity.is_some()
    }

    /// What it sees of all instances; `None`: all.
    pub(crate) fn sight(&self) -> Option<Arc<Sight>> {
        if self.guard.shows(self.caller(), OBSERVE, Object::AllInstances) {
            return None;
        }
        let bounds = self.identity.as_ref().and_then(|identity| identity.bounds());
        bounds.map(|bounds| Arc::new(Sight::new(bounds)))
    }

    /// Whether what it was allowed, with what it saw, is still so. It is looked up again only when tokens
    /// have changed.
    pub(crate) fn still_sees(
        &mut self,
        permission: Permission,
        object: Object<'_>,
        sight: Option<&Sight>,
    ) -> bool {
        if self.guard.is_open() {
            return true;
        }
        self.look();
        let is_allowed = self.guard.shows(self.caller(), permission, object);
        is_allowed && self.sight().as_deref() == sight
    }

    fn may(&self, permission: Permission, object: Object<'_>) -> bool {
        self.guard.permits(self.caller(), permission, object)
    }

    fn has_registered(&self, entry: &Entry) -> bool {
        entry.identity.as_deref().is_none_or(|name| Some(name) == self.name())
    }

    /// Only an operator may: counted and logged as such.
    fn of_another(&self, object: Object<'_>) -> Result<(), Refusal> {
        self.check(OPERATE, object).map_err(|refusal| match refusal {
            Refusal::Denied(_) => Refusal::OfAnother,
            unidentified => unidentified,
        })
    }
}

fn object(entry: &Entry) -> Object<'_> {
    instance(&entry.key, entry.service.as_deref())
}

/// An instance as the guard sees it.
pub(crate) fn instance<'a>(key: &InstanceKey, service: Option<&'a str>) -> Object<'a> {
    Object::Instance { service, host: key.host.parse().ok() }
}
