//! Who this registry is to a cluster that asks for a user and a password: it gives a token for both, which ends
//! after a while, or with a member.

use std::sync::{Mutex, PoisonError};

use rpc_security::secret::ExposeSecret;

use super::files::read_secret;
use super::{EtcdError, EtcdOptions};

/// A longer file has no password.
const MAX_PASSWORD_BYTES: u64 = 4096;

/// The token, and who may ask for another one.
#[derive(Debug, Default)]
pub(super) struct Access {
    token: Mutex<Option<Token>>,
    /// Held while it is asked for: making one costs a member as much as checking a password does.
    asking: tokio::sync::Mutex<()>,
}

/// A token. Its text is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(String);

impl Access {
    /// What requests are sent with.
    pub(super) fn token(&self) -> Option<Token> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has a token made by `ask`, unless another request had it done since `refused` was in use.
    ///
    /// # Errors
    /// Those of `ask`.
    pub(super) async fn renew(
        &self,
        refused: Option<&Token>,
        ask: impl AsyncFnOnce() -> Result<String, EtcdError>,
    ) -> Result<(), EtcdError> {
        let _one_at_a_time = self.asking.lock().await;
        if self.token().as_ref() != refused {
            return Ok(());
        }
        // The request for one is sent without.
        self.set(None);
        let token = ask().await?;
        self.set(Some(Token(token)));
        Ok(())
    }

    fn set(&self, token: Option<Token>) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }
}

impl Token {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The user's password.
///
/// # Errors
/// Its file cannot be used.
pub(super) fn password(options: &EtcdOptions) -> Result<String, EtcdError> {
    if let Some(file) = &options.password_file {
        let content = read_secret(file, MAX_PASSWORD_BYTES).map_err(EtcdError::Password)?;
        let text = String::from_utf8(content);
        let text =
            text.map_err(|_| EtcdError::Password(format!("{}: it is no text", file.display())))?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    Ok(options.password.as_ref().map(|it| it.expose_secret().to_owned()).unwrap_or_default())
}
