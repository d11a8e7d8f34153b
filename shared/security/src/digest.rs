//! The SHA-256 of a secret.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

/// How a digest begins in a file.
const SHA256: &str = "sha256:";

/// The SHA-256 of a secret: what is kept of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub(crate) [u8; 32]);

impl Digest {
    /// That of the secret's text as it is sent.
    pub fn of(secret: &SecretString) -> Self {
        Self(Sha256::digest(secret.expose_secret()).into())
    }

    /// As it is displayed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix(SHA256)?;
        let mut bytes = [0; 32];
        if hex.len() != 2 * bytes.len() || !hex.is_ascii() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        Some(Self(bytes))
    }
}

/// Twelve hex digits that tell one from the other whose texts differ, for the name of a file. They are too few of a
/// SHA-256 to find a secret by, and none of those that a file of tokens has.
pub fn mark<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    hash.update("rpcd mark");
    for text in texts {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// As in a file of tokens.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHA256)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_tells_texts_apart_and_is_no_part_of_their_digests() {
        let marks = [mark(["ab", "c"]), mark(["a", "bc"]), mark(["abc"]), mark(["abc", ""])];
        for (at, one) in marks.iter().enumerate() {
            assert!(one.len() == 12 && marks[..at].iter().all(|other| other != one), "{marks:?}");
        }
        let digest = Digest::of(&"abc".into()).to_string();
        assert!(marks.iter().all(|mark| !digest.contains(mark.as_str())));
    }
}
