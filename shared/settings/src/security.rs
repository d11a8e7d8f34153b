//! `[security]`: the guard of a daemon.

use std::path::{Path, PathBuf};

use rpc_security::{
    Access, AuditLog, Auth, Credential, Guard, IpNet, Roles, TlsOptions, TokenFile,
};

use super::SettingsError;

/// The key of the file of tokens, in errors.
const TOKENS: &str = "[security] tokens";

/// `[security]`: who may do what, for `rpcd serve`, `rpcd registry` and `rpcd mcp --listen`.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// The file of tokens; `None`, the default: there are none.
    pub tokens: Option<PathBuf>,
    /// How strictly is decided; `None`, the default: [`Auth::Required`] with a file of tokens, else
    /// [`Auth::Off`].
    pub auth: Option<Auth>,
    /// What may be done without a token. Default nothing.
    pub anonymous: Roles,
    /// From where; empty, the default: from anywhere.
    pub anonymous_networks: Vec<IpNet>,
    /// The audit log; `None`, the default: there is none.
    pub audit: Option<PathBuf>,
}

impl Security {
    /// How strictly is decided.
    pub fn auth(&self) -> Auth {
        let by_tokens = if self.tokens.is_some() { Auth::Required } else { Auth::Off };
        self.auth.unwrap_or(by_tokens)
    }

    /// The audit log of a registry, or of tools for agents.
    ///
    /// # Errors
    /// It cannot be written: the daemon must not start.
    pub fn audit_log(&self) -> Result<Option<AuditLog>, SettingsError> {
        let Some(path) = &self.audit else { return Ok(None) };
        AuditLog::open(path).map(Some).map_err(|error| SettingsError::Security {
            key: "[security] audit".to_owned(),
            message: format!("cannot write {}: {error}; check its folder", path.display()),
        })
    }

    /// The guard of a daemon. The file of tokens is read, also where nothing is decided by it.
    ///
    /// # Errors
    /// The file cannot be used, or is missing: the daemon must not start.
    pub fn guard(&self) -> Result<Guard, SettingsError> {
        let file = self.tokens.as_deref().map(TokenFile::load).transpose();
        let file = file.map_err(|error| SettingsError::Security {
            key: TOKENS.to_owned(),
            message: error.to_string(),
        })?;
        let auth = self.auth();
        if file.is_none() && auth != Auth::Off {
            let message =
                format!("missing, and auth = {auth} needs it; name a file, or set auth = off");
            return Err(SettingsError::Security { key: TOKENS.to_owned(), message });
        }
        let Self { anonymous, anonymous_networks, .. } = self;
        let limits_strangers = *anonymous != Roles::NONE || !anonymous_networks.is_empty();
        if file.is_none() && self.auth.is_none() && limits_strangers {
            let message = "missing, and without it anonymous limits nobody: everyone may do everything; name a file, or set auth = off";
            return Err(SettingsError::Security {
                key: TOKENS.to_owned(),
                message: message.to_owned(),
            });
        }
        let access =
            Access { auth, anonymous: *anonymous, anonymous_networks: anonymous_networks.clone() };
        Ok(Guard::new(access, file))
    }

    /// What to say of a file of tokens with lines that name certificates, if no client is asked for one.
    pub fn unasked_certificates(tokens: &Path, tls: &TlsOptions) -> Option<String> {
        if tls.client_ca.is_some() {
            return None;
        }
        // A file that cannot be used is an error elsewhere.
        let file = TokenFile::load(tokens).ok()?.tokens();
        let mut names = file.entries().filter_map(|(credential, _)| match credential {
            Credential::Certificate(name) => Some(name),
            Credential::Token(_) => None,
        });
        let first = names.next()?;
        let further = if names.next().is_some() { ", …" } else { "" };
        Some(format!(
            "{}: lines with certificate: ({first}{further}) never count, since no client is asked for a certificate: \
             [tls] client_ca is not set; set it to the PEM file of their authority, or give these callers tokens",
            tokens.display()
        ))
    }
}
