//! Applies one source over another: files over the defaults, a nearer file over the user's,
//! variables over both.

use std::collections::BTreeMap;

use rpc_security::secret;

use super::keys::{self, KEYS, Key};
use super::token::ETCD_PASSWORD;
use super::{
    ENVIRONMENT_PREFIX, KeyLine, RegistryAddress, Settings, SettingsError, TOKEN_VARIABLE, ini,
};

/// The variables that keys of `[keys]` would have. They have none: names of actions contain dots.
const KEYS_VARIABLES: &str = "RPCD_KEYS_";

/// Which file settings are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The one that was named.
    Named,
    /// The user's own.
    User,
    /// That of the working directory, which is read because it is there.
    Folder,
}

impl Settings {
    /// The settings in `text`, overridden by the variables. `file` is the name of `text` in errors.
    ///
    /// # Errors
    /// A key or value is invalid.
    pub fn parse(
        text: &str,
        file: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        settings.read_file(text, file, Origin::Named)?;
        settings.read_variables(variables)?;
        Ok(settings)
    }

    /// Sets what `text` sets; everything else is unchanged.
    pub(super) fn read_file(
        &mut self,
        text: &str,
        file: &str,
        origin: Origin,
    ) -> Result<(), SettingsError> {
        let at = |line: usize, message: String| SettingsError::Line {
            file: file.to_owned(),
            line,
            message,
        };
        let before = (self.registry.clone(), self.registries.clone(), self.etcd.endpoints.clone());
        let mut given: BTreeMap<(String, String), usize> = BTreeMap::new();
        for entry in ini::entries(text) {
            let entry = entry.map_err(|(line, message)| at(line, message))?;
            let section = keys::known_section(entry.section.text)
                .map_err(|message| at(entry.section.line, message))?;
            let Some(pair) = entry.pair else {
                if let keys::Section::Registry(name) = section {
                    self.registries.entry(name.to_owned()).or_default();
                }
                continue;
            };
            let identity = (entry.section.text.to_owned(), pair.key.to_owned());
            if let Some(first) = given.insert(identity, pair.line) {
                let message = format!(
                    "{} in [{}] was set in line {first} already; keep one of the two",
                    pair.key, entry.section.text
                );
                return Err(at(pair.line, message));
            }
            let known =
                || keys::known_key(section, pair.key).map_err(|message| at(pair.line, message));
            if origin == Origin::Folder
                && let Ok(key) = keys::known_key(section, pair.key)
                && key.is_of_secrets()
            {
                if pair.value != key.default_value() {
                    self.warnings.push(format!(
                        "{file}:{}: {} is not used: where secrets are, and go, the settings of a folder do not say; set it in your own config.ini, or name this file with --config",
                        pair.line, pair.key
                    ));
                }
                continue;
            }
            let read = match section {
                keys::Section::ConsoleKeys => {
                    self.keys.retain(|line| line.action != pair.key);
                    self.keys.push(KeyLine {
                        action: pair.key.to_owned(),
                        keys: pair.value.to_owned(),
                        file: file.to_owned(),
                        line: pair.line,
                    });
                    Ok(())
                }
                keys::Section::Registry(registry) => {
                    let key = known()?;
                    let address = self.registries.entry(registry.to_owned()).or_default();
                    keys::read_address(address, key, pair.value)
                }
                keys::Section::Plain(_) => (known()?.read)(self, pair.value),
            };
            read.map_err(|wrong| {
                let bad = keys::known_key(section, pair.key)
                    .map_or_else(|_| "bad value".to_owned(), |key| key.bad_value(pair.value));
                let message =
                    format!("{bad} for {} in [{}]: {wrong}", pair.key, entry.section.text);
                at(pair.line, message)
            })?;
        }
        if origin == Origin::Folder {
            self.note_folder(before);
        }
        Ok(())
    }

    /// Notes where a file of a folder sends what.
    fn note_folder(
        &mut self,
        (registry, registries, endpoints): (
            RegistryAddress,
            BTreeMap<String, RegistryAddress>,
            Vec<String>,
        ),
    ) {
        self.registry.note_folder(&registry);
        for (name, address) in &mut self.registries {
            address.note_folder(registries.get(name).unwrap_or(&RegistryAddress::default()));
        }
        self.etcd_of_folder = self.etcd.endpoints != endpoints;
    }

    /// Applies the variables; an unknown one with our prefix is ignored with a warning.
    pub(super) fn read_variables(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), SettingsError> {
        for (name, value) in variables {
            if !name.starts_with(ENVIRONMENT_PREFIX) {
                continue;
            }
            if name == ETCD_PASSWORD {
                self.etcd.password = (!value.is_empty()).then(|| value.into());
                continue;
            }
            if name == TOKEN_VARIABLE {
                let token = (!value.trim().is_empty()).then(|| secret::parse(&value)).transpose();
                let no_token = |why: secret::NotASecret| SettingsError::Variable {
                    message: format!("it holds no token: {why}"),
                    name,
                };
                self.token = token.map_err(no_token)?;
                continue;
            }
            let Some(key) = KEYS.iter().find(|key| key.variable() == name) else {
                let names: Vec<String> = KEYS.iter().map(Key::variable).collect();
                let near = rpc_wire::nearest(&name, names.iter().map(String::as_str));
                let why = match near {
                    _ if name.starts_with(KEYS_VARIABLES) => {
                        "; [keys] has no variables, set it in config.ini".to_owned()
                    }
                    Some(near) => format!("; did you mean {near}?"),
                    None => "; there is no such key".to_owned(),
                };
                self.warnings.push(format!("ignored the environment variable {name}{why}"));
                continue;
            };
            match (key.section, key.name) {
                ("registry", place) => self.registry.of_folder.retain(|key| *key != place),
                ("etcd", "endpoints") => self.etcd_of_folder = false,
                _ => {}
            }
            (key.read)(self, value.trim()).map_err(|wrong| SettingsError::Variable {
                message: format!("{}: {wrong}", key.bad_value(&value)),
                name,
            })?;
        }
        if self.etcd_of_folder && self.etcd.password.take().is_some() {
            self.warnings.push(format!(
                "{ETCD_PASSWORD} is not used: ./config.ini says where etcd is, and is read because it is there; set \
                 RPCD_ETCD_ENDPOINTS, or name the file with --config"
            ));
        }
        Ok(())
    }
}
