//! A client's secret: from a file that nobody else reads; new ones, and their lines in a file of tokens.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
pub use secrecy::{ExposeSecret, SecretString};

use crate::digest::Digest;
use crate::file::{self, FileError};
use crate::role::{Role, Roles};

/// Characters of a secret at least.
pub const MIN_SECRET: usize = 32;
/// Characters of a secret at most; a longer one is nobody's.
pub const MAX_SECRET: usize = 512;
/// How ours begin, so that programs that look for secrets in texts find them.
const PREFIX: &str = "rpcd_";
/// The scheme of a token in HTTP (RFC 6750).
const BEARER: &str = "bearer";

/// A new secret, of 256 random bits.
pub fn generate() -> SecretString {
    let bytes: [u8; 32] = rand::random();
    format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)).into()
}

/// The line of a secret in a file of tokens.
pub fn line(name: &str, roles: &[Role], secret: &SecretString) -> String {
    format!("{name} {} {}", roles.iter().copied().collect::<Roles>(), Digest::of(secret))
}

/// Why a text is no secret. It never quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotASecret {
    /// Too short to be one, or too long.
    #[error("it must have {MIN_SECRET} to {MAX_SECRET} characters; rpcd token new makes one")]
    Length,
    /// It could not be sent in a header.
    #[error("it must be one line of printable ASCII without spaces; rpcd token new makes one")]
    Characters,
}

/// A secret, whoever made it; spaces and line ends around it do not belong to it.
///
/// # Errors
/// It is too short or long, or has characters that cannot be sent.
pub fn parse(text: &str) -> Result<SecretString, NotASecret> {
    let text = text.trim();
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(NotASecret::Characters);
    }
    if !(MIN_SECRET..=MAX_SECRET).contains(&text.len()) {
        return Err(NotASecret::Length);
    }
    Ok(text.into())
}

/// Whether a text is probably a secret of ours, and where something else is expected must not be quoted.
pub fn looks_like_one(text: &str) -> bool {
    text.trim().starts_with(PREFIX) && parse(text).is_ok()
}

/// What a request shows in its headers `Authorization`: the token of the scheme `Bearer`. Of two headers nobody knows
/// which is meant: that is a wrong token, which is nobody's.
pub fn bearer<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> Option<SecretString> {
    let mut headers = headers.into_iter();
    let (first, second) = (headers.next()?, headers.next());
    if second.is_some() {
        return Some(SecretString::default());
    }
    let (scheme, token) = std::str::from_utf8(first).ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim().into())
}

/// The secret in a file that has nothing else. The file is refused if everyone can read it.
///
/// # Errors
/// It cannot be read, others can read it, or it holds no secret.
pub fn read(path: &Path) -> Result<SecretString, FileError> {
    let text = file::read(path, 2 * MAX_SECRET as u64, file::Demand::Private)?;
    parse(&text).map_err(|problem| FileError::Secret {
        path: path.to_owned(),
        problem: problem.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn new_secrets_differ_and_are_secrets() {
        let (one, other) = (generate(), generate());
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert_eq!(parse(one.expose_secret()).unwrap().expose_secret(), one.expose_secret());
        assert!(!format!("{one:?}").contains(one.expose_secret()));
    }

    #[test]
    fn a_token_in_http_is_one_header_of_the_scheme_bearer() {
        let shown = |values: &[&str]| {
            let secret = bearer(values.iter().map(|value| value.as_bytes()))?;
            Some(secret.expose_secret().to_owned())
        };
        assert_eq!(shown(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(shown(&["bEaReR  abc "]).as_deref(), Some("abc"));
        for none in [&[][..], &["Basic abc"], &["abc"], &["Bearer"]] {
            assert_eq!(shown(none), None, "{none:?}");
        }
        for twice in
            [&["Bearer abc", "Bearer abc"], &["Bearer abc", "Basic x"], &["x", "Bearer abc"]]
        {
            assert_eq!(shown(twice).as_deref(), Some(""), "{twice:?}");
        }
    }

    #[test]
    fn a_secret_is_read_without_its_line_end_from_a_file_that_others_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let secret = generate();
        write(&path, format!("{}\n", secret.expose_secret())).unwrap();
        for (mode, is_read) in [(0o400, true), (0o640, true), (0o604, false), (0o666, false)] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            match read(&path) {
                Ok(read) => assert!(is_read && read.expose_secret() == secret.expose_secret()),
                Err(error) => {
                    assert!(!is_read && matches!(error, FileError::Mode { .. }), "{error}")
                }
            }
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for text in [
            "",
            "canary",
            &"canary ".repeat(9),
            &"canary".repeat(99),
            "can\u{e1}ry-canary-canary-canary-canary",
        ] {
            write(&path, text).unwrap();
            set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let error = read(&path).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("can"), "{error}");
        }
    }
}
