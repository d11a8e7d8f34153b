//! What somebody shows to be known: a token, or a certificate.

use std::fmt;
use std::str::FromStr;

use crate::certificate::same_name;
use crate::digest::Digest;

/// How a certificate begins in a file of tokens.
const CERTIFICATE: &str = "certificate:";
/// Bytes of a name of a certificate.
const MAX_NAME: usize = 255;

/// What a line of a file of tokens knows somebody by.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A secret, by its digest.
    Token(Digest),
    /// A name among the subject alternative names of a certificate: a URI, or a DNS name.
    Certificate(String),
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Token(one), Self::Token(other)) => one == other,
            (Self::Certificate(one), Self::Certificate(other)) => same_name(one, other),
            _ => false,
        }
    }
}

impl Eq for Credential {}

/// As in a file of tokens. The error quotes nothing: what stands there may be a secret.
impl FromStr for Credential {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, &'static str> {
        if let Some(name) = word.strip_prefix(CERTIFICATE) {
            let is_name = (1..=MAX_NAME).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_graphic());
            return match is_name {
                true => Ok(Self::Certificate(name.to_owned())),
                false => Err(
                    "certificate: must be followed by a URI such as rpcd://service/orders, or a DNS name",
                ),
            };
        }
        Digest::parse(word).map(Self::Token).ok_or(
            "the third word must be sha256: and 64 hexadecimal digits, never the secret itself (see rpcd token new), or certificate: and a name",
        )
    }
}

/// As in a file of tokens.
impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(digest) => digest.fmt(f),
            Self::Certificate(name) => write!(f, "{CERTIFICATE}{name}"),
        }
    }
}
