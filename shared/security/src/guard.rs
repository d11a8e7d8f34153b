//! The guard at a daemon's doors: who is there, whether they may, and when to ask again.

mod whoami;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::access::{Access, Auth, Caller, Decision, Denied, Permission};
use crate::certificate::PeerCertificate;
use crate::digest::Digest;
use crate::identity::Identity;
use crate::object::Object;
use crate::role::{Role, Roles};
use crate::secret::SecretString;
use crate::token_file::TokenFile;
use crate::tokens::{NotIdentified, Tokens};

/// What a daemon asks at each of its doors. Cheap to clone; clones are one guard.
///
/// The default is [`Guard::open`].
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// `None`: everyone may do everything.
    post: Option<Arc<Post>>,
}

/// A guard who looks.
#[derive(Debug)]
struct Post {
    access: Access,
    tokens: Option<TokenFile>,
    /// See [`Guard::generation`].
    generation: AtomicU64,
    /// Until when expired tokens were looked for.
    looked_at: Mutex<SystemTime>,
    /// The file of tokens as it is now is not used.
    is_outdated: AtomicBool,
    reload_failures: AtomicU64,
    tally: Tally,
    said: Mutex<Said>,
}

/// How often a guard must look whether tokens have changed, for [`Guard::reload`].
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(1);

impl Guard {
    /// Lets everyone do everything.
    pub fn open() -> Self {
        Self::default()
    }

    /// Decides by `access`, and knows those of `tokens`. With [`Auth::Off`] it is open.
    pub fn new(access: Access, tokens: Option<TokenFile>) -> Self {
        if access.auth == Auth::Off {
            return Self::open();
        }
        Self {
            post: Some(Arc::new(Post {
                access,
                tokens,
                generation: AtomicU64::new(1),
                looked_at: Mutex::new(SystemTime::now()),
                is_outdated: AtomicBool::new(false),
                reload_failures: AtomicU64::new(0),
                tally: Tally::default(),
                said: Mutex::new(Said::new(Instant::now())),
            })),
        }
    }

    /// Whether everyone may do everything, so that nobody has to be identified.
    pub fn is_open(&self) -> bool {
        self.post.is_none()
    }

    /// How strictly it decides.
    pub fn auth(&self) -> Auth {
        self.post.as_ref().map_or(Auth::Off, |post| post.access.auth)
    }

    /// Whose secret it is; counted if it is nobody's.
    ///
    /// # Errors
    /// Nobody's, or no longer good. An open guard knows nobody.
    pub fn identify(
        &self,
        secret: &SecretString,
        now: SystemTime,
    ) -> Result<Arc<Identity>, NotIdentified> {
        self.look(|tokens| tokens.identify(secret, now))
    }

    /// The same for a secret that was shown before, of which the digest is kept.
    ///
    /// # Errors
    /// The same.
    pub fn recheck(&self, shown: Digest, now: SystemTime) -> Result<Arc<Identity>, NotIdentified> {
        self.look(|tokens| tokens.recheck(shown, now))
    }

    /// Whose certificate it is, which was verified; counted if no line names it.
    ///
    /// # Errors
    /// Nobody's here. An open guard knows nobody.
    pub fn identify_certificate(
        &self,
        certificate: &PeerCertificate,
        now: SystemTime,
    ) -> Result<Arc<Identity>, NotIdentified> {
        self.look(|tokens| tokens.identify_certificate(certificate, now))
    }

    fn look(
        &self,
        find: impl FnOnce(&Tokens) -> Result<Arc<Identity>, NotIdentified>,
    ) -> Result<Arc<Identity>, NotIdentified> {
        let Some(post) = &self.post else { return Err(NotIdentified::Unknown) };
        let file = post.tokens.as_ref().ok_or(NotIdentified::Unknown);
        let found = file.and_then(|file| find(&file.tokens()));
        found.inspect_err(|why| post.tally.count_token(*why))
    }

    /// Another number whenever those who were identified before may no longer be who they were: the file
    /// of tokens was read again, or one of them has expired. 0 for an open guard, always.
    pub fn generation(&self) -> u64 {
        self.post.as_ref().map_or(0, |post| post.generation.load(Ordering::Acquire))
    }

    /// Whether `caller` may do what needs `permission`, with `object`. What is refused is counted, and
    /// logged once in a while for each caller, also what would be refused if `auth` were `required`.
    pub fn decide(
        &self,
        caller: Caller<'_>,
        permission: Permission,
        object: Object<'_>,
    ) -> Decision {
        let Some(post) = &self.post else { return Decision::Allowed };
        let decision = post.access.decide(caller, permission, object);
        if let Decision::Warned(denied) | Decision::Refused(denied) = decision {
            post.tally.count(decision, denied);
            post.say(caller, decision, denied);
        }
        decision
    }

    /// The same for one of many items, such as the entries of a list, or another time: neither counted nor
    /// logged.
    pub fn shows(&self, caller: Caller<'_>, permission: Permission, object: Object<'_>) -> bool {
        let Some(post) = &self.post else { return true };
        post.access.decide(caller, permission, object).is_allowed()
    }

    /// Whether `caller` may, also where `auth` is `warn`; neither counted nor logged: to choose between two
    /// ways of being allowed.
    pub fn permits(&self, caller: Caller<'_>, permission: Permission, object: Object<'_>) -> bool {
        let Some(post) = &self.post else { return true };
        post.access.decide(caller, permission, object) == Decision::Allowed
    }

    /// What `caller` may do at all, with or without limits.
    pub fn roles(&self, caller: Caller<'_>) -> Roles {
        let may = |role: &Role| self.shows(caller, Permission::Needs(*role), Object::Everything);
        Role::ALL.into_iter().filter(may).collect()
    }

    /// Whether who comes from `address` may do nothing before it has shown who it is.
    pub fn is_stranger(&self, address: IpAddr) -> bool {
        self.roles(Caller { identity: None, address: address.to_canonical() }) == Roles::NONE
    }

    /// Reads the file of tokens again if it has changed, and looks whether tokens have expired. A file
    /// that cannot be used leaves the former tokens, and is logged once. Blocks for the file; a daemon
    /// calls it every [`RELOAD_INTERVAL`].
    pub fn reload(&self) {
        self.reload_at(SystemTime::now());
    }

    fn reload_at(&self, now: SystemTime) {
        let Some(post) = &self.post else { return };
        let Some(file) = &post.tokens else { return };
        let mut looked_at = post.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_changed = match file.reload() {
            Ok(is_changed) => is_changed,
            Err(error) => {
                post.is_outdated.store(true, Ordering::Relaxed);
                post.reload_failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "the file of tokens is not used as it is now; those read before hold on");
                false
            }
        };
        if is_changed {
            post.is_outdated.store(false, Ordering::Relaxed);
            let tokens = file.tokens().identities().len();
            tracing::info!(path = %file.path().display(), tokens, "tokens read again");
        }
        // A clock that was set back makes nobody unknown.
        let last = std::mem::replace(&mut *looked_at, now);
        let has_expired =
            |identity: &Identity| identity.expires.is_some_and(|end| last < end && end <= now);
        if is_changed || file.tokens().identities().any(has_expired) {
            post.generation.fetch_add(1, Ordering::Release);
        }
    }

    /// What it has done, for metrics.
    pub fn figures(&self) -> Figures {
        let Some(post) = &self.post else { return Figures::default() };
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Figures {
            tokens: post.tokens.as_ref().map_or(0, |file| file.tokens().identities().len()),
            is_outdated: post.is_outdated.load(Ordering::Relaxed),
            reload_failures: load(&post.reload_failures),
            refused: post.tally.refused.each_ref().map(load),
            warned: post.tally.warned.each_ref().map(load),
            unidentified: post.tally.unidentified.each_ref().map(load),
        }
    }
}

/// What a caller has shown on a connection, not the secret itself, and who it was when last looked.
#[derive(Debug, Clone)]
pub struct Shown {
    what: What,
    generation: u64,
    found: Result<Arc<Identity>, NotIdentified>,
}

#[derive(Debug, Clone)]
enum What {
    Token(Digest),
    Certificate(Arc<PeerCertificate>),
}

impl What {
    fn find(&self, guard: &Guard, now: SystemTime) -> Result<Arc<Identity>, NotIdentified> {
        match self {
            Self::Token(digest) => guard.recheck(*digest, now),
            Self::Certificate(certificate) => guard.identify_certificate(certificate, now),
        }
    }
}

impl Shown {
    /// What `secret` shows to `guard`.
    pub fn new(guard: &Guard, secret: &SecretString, now: SystemTime) -> Self {
        // Before the look: what changes meanwhile is looked at again.
        let generation = guard.generation();
        let found = guard.identify(secret, now);
        Self { what: What::Token(Digest::of(secret)), generation, found }
    }

    /// What the certificate of a connection shows to `guard`.
    pub fn certificate(guard: &Guard, shown: &Arc<PeerCertificate>, now: SystemTime) -> Self {
        let generation = guard.generation();
        let found = guard.identify_certificate(shown, now);
        Self { what: What::Certificate(Arc::clone(shown)), generation, found }
    }

    /// Whether it is what `secret` shows.
    pub fn is(&self, secret: &SecretString) -> bool {
        matches!(self.what, What::Token(digest) if digest == Digest::of(secret))
    }

    /// Whether it is what a certificate shows.
    pub fn is_certificate(&self) -> bool {
        matches!(self.what, What::Certificate(_))
    }

    /// Who it is, looked up again only if that may have changed.
    ///
    /// # Errors
    /// Nobody, or no longer.
    pub fn identity(
        &mut self,
        guard: &Guard,
        now: impl FnOnce() -> SystemTime,
    ) -> Result<&Arc<Identity>, NotIdentified> {
        let generation = guard.generation();
        if self.generation != generation {
            self.found = self.what.find(guard, now());
            self.generation = generation;
        }
        self.found.as_ref().map_err(|why| *why)
    }
}

/// What a guard has done since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Figures {
    /// Tokens that are known, and certificates that have roles.
    pub tokens: usize,
    /// The file of tokens has changed and cannot be used: former ones hold on.
    pub is_outdated: bool,
    /// How often that was found.
    pub reload_failures: u64,
    /// Requests refused, by [`REASONS`].
    pub refused: [u64; REASONS.len()],
    /// Requests served that would be refused if `auth` were `required`; the same.
    pub warned: [u64; REASONS.len()],
    /// Secrets and certificates that were shown and are nobody's, by [`TOKEN_REASONS`].
    pub unidentified: [u64; TOKEN_REASONS.len()],
}

/// Why requests are refused: names for metrics.
pub const REASONS: [&str; 3] = ["unknown", "role", "limit"];
/// Why secrets and certificates are nobody's.
pub const TOKEN_REASONS: [&str; 3] = ["unknown", "expired", "certificate"];

#[derive(Debug, Default)]
struct Tally {
    refused: [AtomicU64; REASONS.len()],
    warned: [AtomicU64; REASONS.len()],
    unidentified: [AtomicU64; TOKEN_REASONS.len()],
}

impl Tally {
    fn count(&self, decision: Decision, denied: Denied) {
        let at = match denied {
            Denied::Unknown(_) => 0,
            Denied::MissingRole(_) => 1,
            Denied::OutOfBounds(_) => 2,
        };
        let counts = if decision.is_allowed() { &self.warned } else { &self.refused };
        counts[at].fetch_add(1, Ordering::Relaxed);
    }

    fn count_token(&self, why: NotIdentified) {
        let at = match why {
            NotIdentified::Unknown => 0,
            NotIdentified::Expired => 1,
            NotIdentified::Certificate => 2,
        };
        self.unidentified[at].fetch_add(1, Ordering::Relaxed);
    }
}

/// Which refusals the log has: one line for each caller and role in a while.
#[derive(Debug)]
struct Said {
    since: Instant,
    lines: HashSet<(String, Role)>,
}

impl Said {
    /// After which a refusal is logged again.
    const WINDOW: Duration = Duration::from_secs(600);
    /// Lines in that time; further refusals are only counted.
    const MAX_LINES: usize = 1000;

    fn new(now: Instant) -> Self {
        Self { since: now, lines: HashSet::new() }
    }

    /// Whether it is to be logged now.
    fn is_new(&mut self, who: String, role: Role, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Self::WINDOW {
            *self = Self::new(now);
        }
        self.lines.len() < Self::MAX_LINES && self.lines.insert((who, role))
    }
}

impl Post {
    fn say(&self, caller: Caller<'_>, decision: Decision, denied: Denied) {
        let (name, address) = (caller.identity.map(|identity| &identity.name), caller.address);
        let who = name.cloned().unwrap_or_else(|| address.to_string());
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.is_new(who, denied.role(), Instant::now()) {
            return;
        }
        drop(said);
        log(name.map(String::as_str), address, decision, denied);
    }
}

fn log(name: Option<&str>, address: IpAddr, decision: Decision, denied: Denied) {
    let role = denied.role();
    if decision.is_allowed() {
        tracing::warn!(name, %address, %role, why = %denied, "served, since auth = warn; auth = required would refuse it");
    } else {
        tracing::info!(name, %address, %role, why = %denied, "refused");
    }
}

#[cfg(test)]
mod tests;
