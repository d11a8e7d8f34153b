//! Settings: flag > environment (`RPCD_…`) > `config.ini` > default, and nothing guessed.
//!
//! One table ([`KEYS`]) says which keys there are; the reader, the environment, the defaults and
//! the documented `config.ini` all come from it. Flags are the programs' business: they change
//! the [`Config`] that [`Config::load`] returned.

mod document;
mod error;
mod ini;
mod keys;
mod sections;
mod value;

use std::collections::BTreeMap;
use std::path::Path;

pub use document::{KEYS_HEAD, document};
pub use error::ConfigError;
pub use keys::{KEYS, Key};
pub use sections::{
    ClientSection, Config, ConsoleSection, KeyLine, LogSection, RegistryAddress,
    RegistryServerSection, ServerSection,
};
pub use value::{Advertised, Balance, Glyphs, LogFormat, Theme};

/// Flags are read as the file's values are.
pub mod parse {
    use std::time::Duration;

    use super::value;

    /// An IP literal (IPv6 bare or in brackets) or a name, returned without brackets.
    ///
    /// # Errors
    /// Says what was expected.
    pub fn host(text: &str) -> Result<String, String> {
        value::host::read(text)
    }

    /// A time with its unit, longer than zero and at most a year.
    ///
    /// # Errors
    /// Says what was expected.
    pub fn duration(text: &str) -> Result<Duration, String> {
        value::duration::read(text)
    }
}

/// The file that is read when no other is named, if it exists.
pub const DEFAULT_FILE: &str = "config.ini";

/// What the names of our environment variables begin with.
pub const ENVIRONMENT_PREFIX: &str = "RPCD_";

/// A file of settings is not read beyond this size.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

impl Config {
    /// The settings of `path`, or of `./config.ini` if that exists, or the defaults; then those of
    /// `environment` (see [`environment`]) over them.
    ///
    /// # Errors
    /// The file cannot be read, or a key or value in file or environment is wrong; the text says
    /// where.
    pub fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let (path, named) = path.map_or((Path::new(DEFAULT_FILE), false), |path| (path, true));
        let text = match read(path) {
            Ok(text) => text,
            Err(error) if !named && error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(ConfigError::unreadable(path, &error)),
        };
        Self::parse(&text, &path.display().to_string(), environment)
    }

    /// The settings in `text`, then those of `environment` over them. `name` is what errors call
    /// the text.
    ///
    /// # Errors
    /// A key or value is wrong.
    pub fn parse(
        text: &str,
        name: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        config.read_file(text, name)?;
        config.read_environment(environment)?;
        Ok(config)
    }

    fn read_file(&mut self, text: &str, name: &str) -> Result<(), ConfigError> {
        let at = |line: usize, message: String| ConfigError::Line {
            file: name.to_owned(),
            line,
            message,
        };
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
            let read = match section {
                keys::Section::ConsoleKeys => {
                    self.keys.push(KeyLine {
                        action: pair.key.to_owned(),
                        keys: pair.value.to_owned(),
                        file: name.to_owned(),
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
                let message = format!(
                    "bad value {:?} for {} in [{}]: {wrong}",
                    pair.value, pair.key, entry.section.text
                );
                at(pair.line, message)
            })?;
        }
        Ok(())
    }

    fn read_environment(
        &mut self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (name, value) in environment {
            if !name.starts_with(ENVIRONMENT_PREFIX) {
                continue;
            }
            let Some(key) = KEYS.iter().find(|key| key.variable() == name) else {
                let names: Vec<String> = KEYS.iter().map(Key::variable).collect();
                let near = rpc_wire::nearest(&name, names.iter().map(String::as_str));
                let meant = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                self.warnings.push(format!("ignored the environment variable {name}{meant}"));
                continue;
            };
            (key.read)(self, value.trim()).map_err(|wrong| ConfigError::Variable {
                message: format!("bad value {value:?}: {wrong}"),
                name,
            })?;
        }
        Ok(())
    }
}

/// The variables of this process that [`Config::load`] looks at.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with(ENVIRONMENT_PREFIX))?;
        Some((name, value.to_string_lossy().into_owned()))
    })
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(std::io::Error::other("larger than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
