//! A program's own token: of the environment, or of a file.

use std::path::Path;

use rpc_client::Token;
use rpc_security::secret;

use super::{RegistryAddress, Settings, SettingsError};

/// The variable of a program's own token. It is no key of the file: a secret is not a setting.
pub const TOKEN_VARIABLE: &str = "RPCD_TOKEN";

impl Settings {
    /// The token of a client, read again for later connections if it is in a file: that of [`TOKEN_VARIABLE`], else of `[client] token_file`.
    ///
    /// # Errors
    /// The file cannot be read, others can read it, or it holds no token.
    pub fn client_token(&self) -> Result<Option<Token>, SettingsError> {
        self.own_token(self.client_token_file.as_deref(), "[client] token_file")
    }

    /// The token for a registry: that of [`TOKEN_VARIABLE`], else of its `token_file`.
    ///
    /// # Errors
    /// The same.
    pub fn registry_token(
        &self,
        registry: &RegistryAddress,
    ) -> Result<Option<Token>, SettingsError> {
        self.own_token(registry.token_file.as_deref(), "[registry] token_file")
    }

    fn own_token(
        &self,
        file: Option<&Path>,
        key: &'static str,
    ) -> Result<Option<Token>, SettingsError> {
        match (&self.token, file) {
            (Some(secret), _) => Ok(Some(Token::new(secret.clone()))),
            (None, None) => Ok(None),
            (None, Some(path)) => {
                let security = |error| SettingsError::Security { key, message: format!("{error}") };
                let secret = secret::read(path).map_err(security)?;
                let path = path.to_owned();
                // A file that cannot be used for a moment, as while it is replaced, changes nothing.
                Ok(Some(Token::with_later(secret, move || secret::read(&path).ok())))
            }
        }
    }
}
