//! Where settings come from: which files are read, and which are passed over and why.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{ENVIRONMENT_PREFIX, Settings, SettingsError, ini, keys};

/// The name of the file, in the working directory and in the user's own.
const FILE_NAME: &str = "config.ini";
/// The user's directory for it, below `$XDG_CONFIG_HOME`.
const USER_DIR: &str = "rpcd";

/// A file of settings is not read beyond this size.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Group and owner may write a file that is read unasked; anybody else may not.
const WRITABLE_BY_OTHERS: u32 = 0o002;

/// Files and variables that settings are read from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The user's own file, read when it exists; everything else wins over it.
    pub user: Option<PathBuf>,
    /// The file of the working directory, read when it exists.
    pub local: Option<PathBuf>,
    /// Variables, which win over both.
    pub variables: Vec<(String, String)>,
}

impl Sources {
    /// `$XDG_CONFIG_HOME/rpcd/config.ini` (`~/.config` where that is not set), `./config.ini`, and
    /// the variables of this process that begin with [`ENVIRONMENT_PREFIX`].
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
    /// The settings of `sources`. A file that was `named` is the only one read, whoever owns it;
    /// one that was not is passed over when it has no section of ours, and passed over with a
    /// warning when others could have written it.
    ///
    /// # Errors
    /// A file cannot be read, or a key or value is wrong; the text says where.
    pub fn load(named: Option<&Path>, sources: Sources) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        if let Some(path) = named {
            let bytes = File::open(path).and_then(|file| read(&file));
            let bytes = bytes.map_err(|error| SettingsError::unreadable(path, &error))?;
            settings.read_bytes(bytes, path)?;
        } else {
            for path in [sources.user, sources.local].into_iter().flatten() {
                settings.read_unasked(&path)?;
            }
        }
        settings.read_variables(sources.variables)?;
        Ok(settings)
    }

    /// Reads a file that nobody named, if it is there, is ours, and can be trusted.
    fn read_unasked(&mut self, path: &Path) -> Result<(), SettingsError> {
        let unreadable = |error: io::Error| SettingsError::unreadable(path, &error);
        let file = match open_unasked(path).map_err(unreadable)? {
            Opened::Trusted(file) => file,
            Opened::Missing => return Ok(()),
            Opened::Untrusted(reason) => {
                self.pass_over(path, &format!("{reason}; name it with --config to use it"));
                return Ok(());
            }
        };
        let bytes = read(&file).map_err(unreadable)?;
        match whose(&String::from_utf8_lossy(&bytes)) {
            Whose::Ours => self.read_bytes(bytes, path),
            Whose::Others => Ok(()),
            Whose::Perhaps(meant) => {
                self.pass_over(path, &format!("it has no section of ours; {meant}"));
                Ok(())
            }
        }
    }

    fn pass_over(&mut self, path: &Path, why: &str) {
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

/// A file that nobody named.
enum Opened {
    Missing,
    Trusted(File),
    /// And why not.
    Untrusted(String),
}

fn open_unasked(path: &Path) -> io::Result<Opened> {
    // A pipe without a writer would block the open for ever.
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(Opened::Missing),
        Err(error) => return Err(error),
    };
    // Of the open file: the name may mean another one by now.
    let metadata = file.metadata()?;
    let own = rustix::process::geteuid().as_raw();
    let distrust = distrust(metadata.is_file(), metadata.uid(), metadata.mode(), own);
    Ok(distrust.map_or(Opened::Trusted(file), Opened::Untrusted))
}

/// Why a file that nobody named is not read by user `own`; `None`: nobody but that user, root and
/// a group of theirs can have written it.
fn distrust(is_file: bool, owner: u32, mode: u32, own: u32) -> Option<String> {
    if !is_file {
        return Some("it is not a regular file".to_owned());
    }
    if owner != own && owner != 0 {
        return Some(format!("it belongs to user {owner}, neither to you nor to root"));
    }
    (mode & WRITABLE_BY_OTHERS != 0).then(|| "anybody may write it (chmod o-w)".to_owned())
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// At most one byte more than a file may have.
fn read(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whose file a `config.ini` is, told by its sections.
enum Whose {
    Ours,
    Others,
    /// None of ours, but nearly one: what was probably meant.
    Perhaps(String),
}

/// Many programs call their file `config.ini`; one section that is ours makes it ours.
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
    fn a_file_is_trusted_that_only_its_user_root_and_their_group_can_write() {
        for (owner, mode) in [(1000, 0o644), (1000, 0o664), (0, 0o100_600)] {
            assert_eq!(distrust(true, owner, mode, 1000), None);
        }
        let reason = |is_file, owner, mode| distrust(is_file, owner, mode, 1000).unwrap();
        assert_eq!(
            reason(true, 1001, 0o600),
            "it belongs to user 1001, neither to you nor to root"
        );
        assert_eq!(reason(true, 1000, 0o646), "anybody may write it (chmod o-w)");
        assert_eq!(reason(false, 1000, 0o600), "it is not a regular file");
        // Root trusts its own files only.
        assert!(distrust(true, 1000, 0o600, 0).is_some());
    }
}
