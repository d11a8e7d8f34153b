//! Where settings come from: which files are read, and which are ignored and why.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{ENVIRONMENT_PREFIX, Settings, SettingsError, ini, keys};

/// The name of the file, in the working directory and in the user's own.
const FILE_NAME: &str = "config.ini";
/// The user's directory for it, below `$XDG_CONFIG_HOME`.
const USER_DIR: &str = "rpcd";

/// Maximum size of a settings file.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A file that is read by default may be writable by its owner and group, but not by others.
const WRITABLE_BY_OTHERS: u32 = 0o002;

/// The files and variables to read settings from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The user's own file, read if it exists; everything else wins over it.
    pub user: Option<PathBuf>,
    /// The file in the working directory, read if it exists.
    pub local: Option<PathBuf>,
    /// Variables, which win over both.
    pub variables: Vec<(String, String)>,
}

impl Sources {
    /// `$XDG_CONFIG_HOME/rpcd/config.ini` (`~/.config` if that is not set), `./config.ini`, and the
    /// variables of this process with the prefix [`ENVIRONMENT_PREFIX`].
    pub fn of_process() -> Self {
        let absolute = |name: &str| {
            std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
        };
        let user = absolute("XDG_CONFIG_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".config")))
            .map(|base| base.join(USER_DIR).join(FILE_NAME));
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let ours = name.starts_with(ENVIRONMENT_PREFIX);
            ours.then(|| (name, value.to_string_lossy().into_owned()))
        });
        Self { user, local: Some(PathBuf::from(FILE_NAME)), variables: variables.collect() }
    }

    /// Variables only.
    pub fn variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { variables: variables.into_iter().collect(), ..Self::default() }
    }
}

impl Settings {
    /// The settings of `sources`. A `named` file is the only one read, whoever owns it. A default
    /// file is ignored if it has none of our sections, and ignored with a warning if others could
    /// have written it.
    ///
    /// # Errors
    /// A file cannot be read, or a key or value is invalid; the text says where.
    pub fn load(named: Option<&Path>, sources: Sources) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        if let Some(path) = named {
            let bytes = File::open(path).and_then(|file| read(&file));
            let bytes = bytes.map_err(|error| SettingsError::unreadable(path, &error))?;
            settings.read_bytes(bytes, path)?;
        } else {
            for path in [sources.user, sources.local].into_iter().flatten() {
                settings.read_default(&path)?;
            }
        }
        settings.read_variables(sources.variables)?;
        Ok(settings)
    }

    /// Reads a default file, if it exists, is ours, and can be trusted.
    fn read_default(&mut self, path: &Path) -> Result<(), SettingsError> {
        let unreadable = |error: io::Error| SettingsError::unreadable(path, &error);
        let file = match open_default(path).map_err(unreadable)? {
            Opened::Trusted(file) => file,
            Opened::Missing => return Ok(()),
            Opened::Untrusted(reason) => {
                self.ignore(path, &format!("{reason}; name it with --config to use it"));
                return Ok(());
            }
        };
        let bytes = read(&file).map_err(unreadable)?;
        match whose(&String::from_utf8_lossy(&bytes)) {
            Whose::Ours => self.read_bytes(bytes, path),
            Whose::Others => Ok(()),
            Whose::Perhaps(meant) => {
                self.ignore(path, &format!("it has none of our sections; {meant}"));
                Ok(())
            }
        }
    }

    fn ignore(&mut self, path: &Path, why: &str) {
        self.warnings.push(format!("{} is not read: {why}", path.display()));
    }

    fn read_bytes(&mut self, bytes: Vec<u8>, path: &Path) -> Result<(), SettingsError> {
        let unreadable =
            |why: &str| SettingsError::unreadable(path, &io::Error::other(why.to_owned()));
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(unreadable("it is larger than 1 MiB"));
        }
        let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8 text"))?;
        self.read_file(&text, &path.display().to_string())
    }
}

/// An opened default file.
enum Opened {
    Missing,
    Trusted(File),
    /// With the reason.
    Untrusted(String),
}

fn open_default(path: &Path) -> io::Result<Opened> {
    // A pipe without a writer would block the open for ever.
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(Opened::Missing),
        Err(error) => return Err(error),
    };
    // Of the open file: the name may refer to another one by now.
    let metadata = file.metadata()?;
    let own = rustix::process::geteuid().as_raw();
    let distrust = distrust(metadata.is_file(), metadata.uid(), metadata.mode(), own);
    Ok(distrust.map_or(Opened::Trusted(file), Opened::Untrusted))
}

/// Why a default file is not trusted by user `own`; `None` if only that user, root or a group of
/// theirs can have written it.
fn distrust(is_file: bool, owner: u32, mode: u32, own: u32) -> Option<String> {
    if !is_file {
        return Some("it is not a regular file".to_owned());
    }
    if owner != own && owner != 0 {
        return Some(format!("it belongs to user {owner}, neither to you nor to root"));
    }
    (mode & WRITABLE_BY_OTHERS != 0).then(|| "it is writable by others (chmod o-w)".to_owned())
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// At most one byte more than the limit.
fn read(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whose file a `config.ini` is, judged by its sections.
enum Whose {
    Ours,
    Others,
    /// None of ours, but one is similar: what was probably meant.
    Perhaps(String),
}

/// Many programs name their file `config.ini`; one of our sections makes it ours.
fn whose(text: &str) -> Whose {
    let mut perhaps = None;
    for name in ini::section_names(text) {
        match keys::known_section(name) {
            Ok(_) => return Whose::Ours,
            Err(message) if message.contains("did you mean") => perhaps = Some(message),
            Err(_) => {}
        }
    }
    perhaps.map_or(Whose::Others, Whose::Perhaps)
}

#[cfg(test)]
mod tests {
    use super::distrust;

    #[test]
    fn a_file_is_trusted_if_only_its_user_root_and_their_group_can_write_it() {
        for (owner, mode) in [(1000, 0o644), (1000, 0o664), (0, 0o100_600)] {
            assert_eq!(distrust(true, owner, mode, 1000), None);
        }
        let reason = |is_file, owner, mode| distrust(is_file, owner, mode, 1000).unwrap();
        assert_eq!(
            reason(true, 1001, 0o600),
            "it belongs to user 1001, neither to you nor to root"
        );
        assert_eq!(reason(true, 1000, 0o646), "it is writable by others (chmod o-w)");
        assert_eq!(reason(false, 1000, 0o600), "it is not a regular file");
        // Root trusts its own files only.
        assert!(distrust(true, 1000, 0o600, 0).is_some());
    }
}
