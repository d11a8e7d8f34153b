//! Who the peer of a connection has shown to be, and what it may do here.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use rpc_security::secret::SecretString;
use rpc_security::{
    Caller, Decision, Denied, Guard, Identity, NotIdentified, Object, PeerCertificate, Permission,
    Role, Roles, Shown,
};
use rpc_wire::fault::{Code, Fault};
use rpc_wire::report::Whoami;

/// Where a connection comes from.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The certificate that it has shown, if it did, which was verified.
    pub(crate) certificate: Option<Arc<PeerCertificate>>,
}

impl From<SocketAddr> for Peer {
    /// One without a certificate.
    fn from(address: SocketAddr) -> Self {
        Self { address, certificate: None }
    }
}

/// The peer of one connection, where not everyone may do everything.
#[derive(Debug)]
pub(crate) struct Visitor {
    guard: Guard,
    address: IpAddr,
    /// Its token, or before it has shown one its certificate.
    shown: Option<Shown>,
}

/// Why a request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    denied: Denied,
    /// Why nobody is known by the token that was shown.
    token: Option<NotIdentified>,
}

impl Refusal {
    /// What to do about it. Nothing about other objects, nor whether this one exists.
    pub(crate) fn text(self) -> String {
        match (self.token, self.denied) {
            (Some(why), Denied::Unknown(_)) => why.to_string(),
            (_, denied) => denied.to_string(),
        }
    }

    /// Whether nobody is known to ask.
    #[cfg(feature = "http")]
    pub(crate) fn is_unknown(self) -> bool {
        matches!(self.denied, Denied::Unknown(_))
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::new(Code::Unauthorised, refusal.text())
    }
}

impl Visitor {
    /// `None` where everyone may do everything: nobody has to be known.
    pub(crate) fn new(guard: &Guard, peer: &Peer) -> Option<Self> {
        let address = peer.address.ip().to_canonical();
        (!guard.is_open()).then(|| {
            let certificate = peer.certificate.as_ref();
            let show = |certificate| Shown::certificate(guard, certificate, SystemTime::now());
            Self { guard: guard.clone(), address, shown: certificate.map(show) }
        })
    }

    /// Notes the secret of a message: the first that is somebody's counts for the whole connection, and takes the
    /// place of a certificate.
    ///
    /// # Errors
    /// The connection is somebody's, and this is another secret: its calls must not run as the first's.
    pub(crate) fn show(&mut self, secret: SecretString) -> Result<(), Fault> {
        if let Some(shown) = &mut self.shown
            && !shown.is_certificate()
        {
            if shown.is(&secret) {
                return Ok(());
            }
            if shown.identity(&self.guard, SystemTime::now).is_ok() {
                let text = "this connection has shown another token; open one for each token";
                return Err(Fault::new(Code::Unauthorised, text));
            }
        }
        self.shown = Some(Shown::new(&self.guard, &secret, SystemTime::now()));
        Ok(())
    }

    /// Who it is, as far as it has said.
    pub(crate) fn identity(&mut self) -> Result<Option<&Arc<Identity>>, NotIdentified> {
        let Some(shown) = &mut self.shown else { return Ok(None) };
        shown.identity(&self.guard, SystemTime::now).map(Some)
    }

    /// Whether it may do what needs `permission`, with `object`; counted and logged.
    ///
    /// # Errors
    /// It may not.
    pub(crate) fn may(
        &mut self,
        permission: Permission,
        object: Object<'_>,
    ) -> Result<(), Refusal> {
        let (guard, caller, token) = self.ask();
        match guard.decide(caller, permission, object) {
            Decision::Allowed | Decision::Warned(_) => Ok(()),
            Decision::Refused(denied) => Err(Refusal { denied, token }),
        }
    }

    /// Whether it may do nothing at all: as long as that is so, everything about it is small.
    pub(crate) fn is_stranger(&mut self) -> bool {
        let (guard, caller, _) = self.ask();
        guard.roles(caller) == Roles::NONE
    }

    /// Whether it may read what is about `object`, neither counted nor logged.
    #[cfg(feature = "http")]
    pub(crate) fn may_observe(&mut self, object: Object<'_>) -> bool {
        let (guard, caller, _) = self.ask();
        guard.shows(caller, Permission::Needs(Role::Observe), object)
    }

    /// What it is told of itself.
    ///
    /// # Errors
    /// It is a stranger.
    pub(crate) fn whoami(&mut self) -> Result<Whoami, Refusal> {
        let (guard, caller, token) = self.ask();
        guard.whoami(caller).ok_or(Refusal { denied: Denied::Unknown(Role::Call), token })
    }

    /// Whom to ask, for whom, and why the token that was shown is nobody's.
    fn ask(&mut self) -> (&Guard, Caller<'_>, Option<NotIdentified>) {
        let Self { guard, address, shown } = self;
        let shown = shown.as_mut().map(|shown| shown.identity(guard, SystemTime::now));
        let (identity, token) = match shown {
            Some(Ok(identity)) => (Some(&**identity), None),
            Some(Err(why)) => (None, Some(why)),
            None => (None, None),
        };
        (guard, Caller { identity, address: *address }, token)
    }
}
