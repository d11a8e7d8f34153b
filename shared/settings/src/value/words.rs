//! Values that are names: of services, users, keys, levels and roles.

/// The name of a service.
pub(crate) mod service {
    use rpc_wire::instance::is_service_name;

    pub(crate) fn read(text: &str) -> Result<String, String> {
        if is_service_name(text) {
            Ok(text.to_owned())
        } else {
            Err("expected 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'".to_owned())
        }
    }

    pub(crate) fn show(value: &str) -> String {
        value.to_owned()
    }
}

/// The name of a service, or nothing: any service.
pub(crate) mod any_service {
    use super::service;

    pub(crate) fn read(text: &str) -> Result<Option<String>, String> {
        if text.is_empty() { Ok(None) } else { service::read(text).map(Some) }
    }

    pub(crate) fn show(value: &Option<String>) -> String {
        value.clone().unwrap_or_default()
    }
}

/// The name of a user; empty text is none.
pub(crate) mod user {
    pub(crate) fn read(text: &str) -> Result<Option<String>, String> {
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    pub(crate) fn show(value: &Option<String>) -> String {
        value.clone().unwrap_or_default()
    }
}

/// What keys begin with.
pub(crate) mod prefix {
    pub(crate) fn read(text: &str) -> Result<String, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        match (1..=64).contains(&text.len()) && text.chars().all(allowed) {
            true => Ok(text.to_owned()),
            false => Err("expected 1 to 64 of a-z A-Z 0-9 / . _ -".to_owned()),
        }
    }

    pub(crate) fn show(value: &str) -> String {
        value.to_owned()
    }
}

/// A log level, or levels by target.
pub(crate) mod level {
    pub(crate) fn read(text: &str) -> Result<String, String> {
        rpc_host::logging::check_level(text).map_err(|error| error.reason().to_owned())?;
        Ok(text.to_owned())
    }

    pub(crate) fn show(value: &str) -> String {
        value.to_owned()
    }
}

/// How strictly is decided; empty text: as the tokens say.
pub(crate) mod auth {
    use rpc_security::Auth;

    pub(crate) fn read(text: &str) -> Result<Option<Auth>, String> {
        let auth = (!text.is_empty()).then(|| text.parse());
        auth.transpose().map_err(|_| "expected off, warn or required, or nothing".to_owned())
    }

    pub(crate) fn show(value: &Option<Auth>) -> String {
        value.map(|auth| auth.to_string()).unwrap_or_default()
    }
}

/// Roles, comma-separated; `none`.
pub(crate) mod roles {
    use rpc_security::Roles;

    pub(crate) fn read(text: &str) -> Result<Roles, String> {
        let wrong = "expected none, or call, observe, register and operate, comma-separated";
        text.parse().map_err(|_| wrong.to_owned())
    }

    pub(crate) fn show(value: &Roles) -> String {
        value.to_string()
    }
}
