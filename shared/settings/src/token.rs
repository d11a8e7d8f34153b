//! A program's own token: of the environment, or of a file.

use std::path::Path;

use rpc_client::Token;
use rpc_security::secret;

use super::{RegistryAddress, Settings, SettingsError};

/// The variable of a program's own token. It is no key of the file: a secret is not a setting.
pub const TOKEN_VARIABLE: &str = "RPCD_TOKEN";
/// No key either: others can read a command line, and a file of settings is no place for a password.
pub(super) const ETCD_PASSWORD: &str = "RPCD_ETCD_PASSWORD";
/// The variables that hold secrets, all that are no keys: no other program that is started gets them.
pub const SECRET_VARIABLES: [&str; 2] = [TOKEN_VARIABLE, ETCD_PASSWORD];

impl Settings {
    /// The token of a client, read again for later connections if it is in a file: that of [`TOKEN_VARIABLE`], else of
    /// `[client] token_file`. There is none if it could be shown to one of `registries` that a folder's file names.
    ///
    /// # Errors
    /// The file cannot be read, others can read it, or it holds no token.
    pub fn client_token<'a>(
        &self,
        registries: impl IntoIterator<Item = &'a RegistryAddress>,
    ) -> Result<Option<Token>, SettingsError> {
        let token = self.own_token(self.client_token_file.as_deref(), "[client] token_file")?;
        let is_withheld = registries.into_iter().any(|registry| !registry.of_folder.is_empty());
        Ok(token.filter(|_| !is_withheld))
    }

    /// Why no token is shown to a registry, if a folder's file names it and there is one. `typed`: the URL of another one
    /// that was typed, to which the file adds further addresses.
    pub fn withheld(&self, registry: &RegistryAddress, typed: Option<&str>) -> Option<String> {
        let files = [&self.client_token_file, &registry.token_file];
        let has_one = self.token.is_some() || files.into_iter().any(Option::is_some);
        if !has_one || registry.of_folder.is_empty() {
            return None;
        }
        let is_only_also = typed.is_some() || registry.of_folder == ["also"];
        let url = typed.map_or_else(|| registry.url(), str::to_owned);
        let why = match is_only_also {
            true => format!(
                "./config.ini adds addresses to it (also = {}), and is read because it is there; take them out there, \
                 set RPCD_REGISTRY_ALSO",
                registry.also.join(", ")
            ),
            false => "./config.ini says where it is, and is read because it is there; set RPCD_REGISTRY_HOST and \
                      RPCD_REGISTRY_PORT, write --registry URL"
                .to_owned(),
        };
        Some(format!("no token is shown to {url}: {why}, or name the file with --config"))
    }

    /// The token for a registry, that of `section`: that of [`TOKEN_VARIABLE`], else of its `token_file`; none if a
    /// folder's file names it.
    ///
    /// # Errors
    /// The same.
    pub fn registry_token(
        &self,
        registry: &RegistryAddress,
        section: &str,
    ) -> Result<Option<Token>, SettingsError> {
        let key = format!("[{section}] token_file");
        let token = self.own_token(registry.token_file.as_deref(), &key)?;
        Ok(token.filter(|_| registry.of_folder.is_empty()))
    }

    fn own_token(&self, file: Option<&Path>, key: &str) -> Result<Option<Token>, SettingsError> {
        match (&self.token, file) {
            (Some(secret), _) => Ok(Some(Token::new(secret.clone()))),
            (None, None) => Ok(None),
            (None, Some(path)) => {
                let security = |error| SettingsError::Security {
                    key: key.to_owned(),
                    message: format!("{error}"),
                };
                let secret = secret::read(path).map_err(security)?;
                let path = path.to_owned();
                // A file that cannot be used for a moment, as while it is replaced, changes nothing.
                Ok(Some(Token::with_later(secret, move || secret::read(&path).ok())))
            }
        }
    }
}
