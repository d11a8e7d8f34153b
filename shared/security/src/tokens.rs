//! The identities that a daemon knows, by the SHA-256 of their secrets or the names of their certificates.
//!
//! One line each: `NAME ROLES sha256:HEX [expires=DATE] [services=A,B] [hosts=CIDR,…]`, or in the third place
//! `certificate:SAN`; empty lines and those that begin with `#` say nothing.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::certificate::{PeerCertificate, same_name};
use crate::credential::Credential;
use crate::digest::Digest;
use crate::identity::Identity;
use crate::secret::{MAX_SECRET, MIN_SECRET};

/// Lines in a file of tokens. Each is compared with what a caller shows, so that the time tells nothing;
/// a file with more is refused.
pub const MAX_TOKENS: usize = 1_000;
/// Bytes of a file of tokens; a larger one is refused.
pub const MAX_BYTES: usize = 1 << 20;
/// Bytes of an identity's name; with a longer one the file is refused.
const MAX_NAME: usize = 64;

/// The tokens of a file, and the certificates that have roles.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    entries: Vec<(Credential, Arc<Identity>)>,
}

/// Why nobody is identified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotIdentified {
    /// No such token.
    #[error("this token is not known here; ask for a new one")]
    Unknown,
    /// It was good until its date.
    #[error("this token has expired; ask for a new one")]
    Expired,
    /// No line names this certificate that is still good.
    #[error("this certificate has no role here, or not any more; ask for one, or for a token")]
    Certificate,
}

/// What is wrong with a file of tokens. It never quotes what may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokensError {
    /// A line cannot be read.
    #[error("line {line}: {problem}")]
    Line {
        /// Counted from one.
        line: usize,
        /// What is wrong, and what to write.
        problem: &'static str,
    },
    /// More tokens than are compared.
    #[error("more than {MAX_TOKENS} tokens; remove those that have expired")]
    TooMany,
    /// More bytes than are read.
    #[error("more than {MAX_BYTES} bytes; a file of tokens has one line for each")]
    TooLarge,
    /// The file's last line has no end, so that the limits of its token may be missing.
    #[error("the last line is cut off: it has no line end; write the whole file, or add one")]
    CutOff,
    /// The file is empty, as one is that is about to be written.
    #[error("it is empty; write a token, or a line that begins with # if nobody is to be known")]
    Empty,
}

impl Tokens {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// A line is wrong, or there are too many. None is skipped: a daemon that knows fewer tokens than its
    /// file would refuse who should be served.
    pub fn parse(text: &str) -> Result<Self, TokensError> {
        if text.len() > MAX_BYTES {
            return Err(TokensError::TooLarge);
        }
        let mut entries: Vec<(Credential, Arc<Identity>)> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |problem| TokensError::Line { line: at + 1, problem };
            let (credential, identity) = entry(line).map_err(wrong)?;
            if entries.iter().any(|(other, _)| *other == credential) {
                return Err(wrong(
                    "this token or certificate is in a line above; remove one of them",
                ));
            }
            if entries.len() == MAX_TOKENS {
                return Err(TokensError::TooMany);
            }
            entries.push((credential, Arc::new(identity)));
        }
        Ok(Self { entries })
    }

    /// Reads the text of a file that may be read while it is written: a part of it is not taken for the
    /// whole, since what is missing may be the limits of a token.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), or it is empty or its last line has no end.
    pub fn parse_file(text: &str) -> Result<Self, TokensError> {
        if text.trim().is_empty() {
            return Err(TokensError::Empty);
        }
        if !text.ends_with('\n') {
            return Err(TokensError::CutOff);
        }
        Self::parse(text)
    }

    /// Whose secret it is.
    ///
    /// # Errors
    /// Nobody's, or no longer good.
    pub fn identify(
        &self,
        secret: &SecretString,
        now: SystemTime,
    ) -> Result<Arc<Identity>, NotIdentified> {
        let length = secret.expose_secret().len();
        if !(MIN_SECRET..=MAX_SECRET).contains(&length) {
            return Err(NotIdentified::Unknown);
        }
        self.recheck(Digest::of(secret), now)
    }

    /// Whether a secret that was shown before, of which the digest is kept, is still good: in a file that
    /// was read anew, at a later time.
    ///
    /// # Errors
    /// It is not.
    pub fn recheck(&self, shown: Digest, now: SystemTime) -> Result<Arc<Identity>, NotIdentified> {
        // All are compared, and all of their bytes: the time says nothing about which was nearly right.
        let mut found = u32::MAX;
        for (at, (credential, _)) in (0u32..).zip(&self.entries) {
            let Credential::Token(digest) = credential else { continue };
            let is_equal: Choice = digest.0.ct_eq(&shown.0);
            found = u32::conditional_select(&found, &at, is_equal);
        }
        let found = usize::try_from(found).ok().and_then(|at| self.entries.get(at));
        let (_, identity) = found.ok_or(NotIdentified::Unknown)?;
        match identity.is_expired(now) {
            true => Err(NotIdentified::Expired),
            false => Ok(Arc::clone(identity)),
        }
    }

    /// Whose certificate it is, see [`identify_names`](Self::identify_names).
    ///
    /// # Errors
    /// Nobody's here.
    pub fn identify_certificate(
        &self,
        certificate: &PeerCertificate,
        now: SystemTime,
    ) -> Result<Arc<Identity>, NotIdentified> {
        self.identify_names(certificate.names(), now)
    }

    /// Whose certificate has these names: of the lines that name it and are still good, the first counts.
    ///
    /// # Errors
    /// There is none.
    pub fn identify_names(
        &self,
        names: &[String],
        now: SystemTime,
    ) -> Result<Arc<Identity>, NotIdentified> {
        let names_it = |(credential, identity): &&(Credential, Arc<Identity>)| match credential {
            Credential::Certificate(name) => {
                names.iter().any(|own| same_name(own, name)) && !identity.is_expired(now)
            }
            Credential::Token(_) => false,
        };
        let found = self.entries.iter().find(names_it);
        found.map(|(_, identity)| Arc::clone(identity)).ok_or(NotIdentified::Certificate)
    }

    /// Who there is, in the order of the file.
    pub fn identities(&self) -> impl ExactSizeIterator<Item = &Identity> {
        self.entries().map(|(_, identity)| identity)
    }

    /// The same, with what each shows.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&Credential, &Identity)> {
        self.entries.iter().map(|(credential, identity)| (credential, &**identity))
    }
}

/// One line. Its problems are fixed texts: whatever stands in the wrong place may be a secret.
fn entry(line: &str) -> Result<(Credential, Identity), &'static str> {
    let mut words = line.split_whitespace();
    let mut next = || words.next().ok_or("too short; write NAME ROLES sha256:HEX");
    let (name, roles, credential) = (next()?, next()?, next()?);
    if !is_name(name) {
        return Err("the name must be at most 64 letters, digits, '-', '_', '.' or '@'");
    }
    let roles = roles.parse();
    let roles = roles
        .map_err(|_| "the roles must be call, observe, register or operate, separated by commas")?;
    let credential = credential.parse()?;
    let mut identity =
        Identity { name: name.to_owned(), roles, services: None, hosts: Vec::new(), expires: None };
    for option in words {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        let is_again = match key {
            "expires" => identity.expires.replace(date(value)?).is_some(),
            "services" => identity.services.replace(services(value)?).is_some(),
            "hosts" => !std::mem::replace(&mut identity.hosts, hosts(value)?).is_empty(),
            _ => return Err("unknown option; there are expires=, services= and hosts="),
        };
        if is_again {
            return Err("an option is there twice; write it once, with commas");
        }
    }
    Ok((credential, identity))
}

/// Whether it can be the name of an identity.
pub(crate) fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_allowed)
}

/// `2027-01-31`, when that day begins in UTC, or `2027-01-31T12:00:00Z`.
pub(crate) fn date(text: &str) -> Result<SystemTime, &'static str> {
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    humantime::parse_rfc3339(&full)
        .map_err(|_| "expires must be a date such as 2027-01-31, or 2027-01-31T12:00:00Z")
}

fn services(text: &str) -> Result<BTreeSet<String>, &'static str> {
    const WRONG: &str = "services must be names separated by commas";
    let names: BTreeSet<String> = text.split(',').map(str::to_owned).collect();
    let is_name = |name: &String| !name.is_empty() && !name.contains(char::is_control);
    if names.iter().all(is_name) { Ok(names) } else { Err(WRONG) }
}

fn hosts(text: &str) -> Result<Vec<IpNet>, &'static str> {
    const WRONG: &str =
        "hosts must be networks such as 10.1.0.0/16, or addresses, separated by commas";
    const BEYOND: &str = "a network of hosts has bits beyond its prefix; write 10.1.0.0/16, or one address without a prefix";
    let network = |text: &str| {
        let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
        let network: IpNet = text.parse().ok().or_else(address).ok_or(WRONG)?;
        if network.addr() == network.network() { Ok(network) } else { Err(BEYOND) }
    };
    text.split(',').map(network).collect()
}

#[cfg(test)]
mod tests;
