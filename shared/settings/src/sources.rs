//! Where settings come from: which files are read, and which are ignored and why.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::layers::Origin;
use super::{ENVIRONMENT_PREFIX, Settings, SettingsError, ini, keys};

/// The name of the file, in the working directory and in the user's own.
const FILE_NAME: &str = "config.ini";
/// The directory for it below `$XDG_CONFIG_HOME`, and for state below `$XDG_STATE_HOME`.
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
    /// The folder for what the program keeps, which belongs to no setting.
    pub state: Option<PathBuf>,
}

impl Sources {
    /// `$XDG_CONFIG_HOME/rpcd/config.ini` (`~/.config` if that is not set), `./config.ini`, and the
    /// variables of this process with the prefix [`ENVIRONMENT_PREFIX`]. State is kept in
    /// `$STATE_DIRECTORY` (of systemd), else in `$XDG_STATE_HOME/rpcd` (`~/.local/state`).
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
        let state = absolute("STATE_DIRECTORY").or_else(|| {
            let base = absolute("XDG_STATE_HOME");
            let base = base.or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
            base.map(|base| base.join(USER_DIR))
        });
        let local = Some(PathBuf::from(FILE_NAME));
        Self { user, local, variables: variables.collect(), state }
    }

    /// Variables only.
    pub fn variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { variables: variables.into_iter().collect(), ..Self::default() }
    }
}

impl Settings {
    /// The settings of `sources`. A `named` file is the only one read, whoever owns it. A default
    /// file is ignored with a warning if others could have written it, or if it has no known section
    /// but was probably meant to. Only `./config.ini` may be another program's: then it is ignored
    /// without a warning.
    ///
    /// # Errors
    /// A file cannot be read, or a key or value is invalid; the text says where.
    pub fn load(named: Option<&Path>, sources: Sources) -> Result<Self, SettingsError> {
        let mut settings = Self { state: sources.state, ..Self::default() };
        if let Some(path) = named {
            let bytes = open(path).and_then(|file| read_named(&file));
            let bytes = bytes.map_err(|error| SettingsError::unreadable(path, &error))?;
            settings.read_bytes(bytes, path, Origin::Named)?;
        } else {
            let user = sources.user.into_iter().map(|path| (path, Origin::User));
            let local = sources.local.into_iter().map(|path| (path, Origin::Folder));
            for (path, origin) in user.chain(local) {
                settings.read_default(&path, origin)?;
            }
        }
        settings.read_variables(sources.variables)?;
        settings.settle_tls();
        Ok(settings)
    }

    /// Reads a default file, if it exists, is ours, and can be trusted.
    fn read_default(&mut self, path: &Path, origin: Origin) -> Result<(), SettingsError> {
        let unreadable = |error: io::Error| SettingsError::unreadable(path, &error);
        let file = match open_default(path).map_err(unreadable)? {
            Opened::Trusted(file) => file,
            Opened::Missing => return Ok(()),
            Opened::Untrusted(reason) => {
                self.ignore(path, &format!("{reason}; name it with --config to use it"));
                return Ok(());
            }
            Opened::LinkToNothing(target) => {
                let target = target.display();
                self.ignore(path, &format!("it is a link to {target}, which does not exist"));
                return Ok(());
            }
        };
        let bytes = read(&file).map_err(unreadable)?;
        match whose(&String::from_utf8_lossy(&bytes)) {
            Whose::Ours => return self.read_bytes(bytes, path, origin),
            Whose::Perhaps(meant) => self.ignore(path, &format!("no known section; {meant}")),
            // Nobody else keeps a file there: its user wants to know. Elsewhere another program may.
            Whose::Others if origin == Origin::User => {
                if let Some(why) = why_without_section(&bytes) {
                    self.ignore(path, &why);
                }
            }
            Whose::Others => {}
        }
        Ok(())
    }

    fn ignore(&mut self, path: &Path, why: &str) {
        self.warnings.push(format!("{} is not read: {why}", path.display()));
    }

    fn read_bytes(
        &mut self,
        bytes: Vec<u8>,
        path: &Path,
        origin: Origin,
    ) -> Result<(), SettingsError> {
        let unreadable =
            |why: &str| SettingsError::unreadable(path, &io::Error::other(why.to_owned()));
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(unreadable("it is larger than 1 MiB"));
        }
        let text = String::from_utf8(bytes).map_err(|_| unreadable(NOT_UTF_8))?;
        self.read_file(&text, &path.display().to_string(), origin)
    }
}

const NOT_UTF_8: &str = "it is not UTF-8 text";
const CR_ONLY: &str = "its lines end with CR only; save it with LF";

/// Opens without waiting: a pipe without a writer would block the open for ever.
fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    File::options().read(true).custom_flags(flags).open(path)
}

/// Reads a file, or a pipe that has data or a writer.
fn read_named(file: &File) -> io::Result<Vec<u8>> {
    let mut first = [0];
    let mut bytes = match (&*file).read(&mut first) {
        Ok(0) if !file.metadata()?.is_file() => {
            return Err(io::Error::other("it is not a regular file, and it is empty"));
        }
        Ok(count) => first.get(..count).unwrap_or_default().to_vec(),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Vec::new(),
        Err(error) => return Err(error),
    };
    let flags = rustix::fs::fcntl_getfl(file)?;
    rustix::fs::fcntl_setfl(file, flags - rustix::fs::OFlags::NONBLOCK)?;
    bytes.extend(read(file)?);
    Ok(bytes)
}

/// An opened default file.
enum Opened {
    Missing,
    LinkToNothing(PathBuf),
    Trusted(File),
    /// With the reason.
    Untrusted(String),
}

fn open_default(path: &Path) -> io::Result<Opened> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => {
            return Ok(match std::fs::read_link(path) {
                Ok(target) => Opened::LinkToNothing(target),
                Err(_) => Opened::Missing,
            });
        }
        Err(error) => return Err(error),
    };
    // Of the open file: the name may refer to another one by now.
    let metadata = file.metadata()?;
    let own = rustix::process::geteuid().as_raw();
    let distrust = distrust(path, metadata.is_file(), metadata.uid(), metadata.mode(), own);
    Ok(distrust.map_or(Opened::Trusted(file), Opened::Untrusted))
}

/// Why a default file is not trusted by user `own`; `None` if only that user, root or a group of
/// theirs can have written it.
fn distrust(path: &Path, is_file: bool, owner: u32, mode: u32, own: u32) -> Option<String> {
    if !is_file {
        return Some("it is not a regular file".to_owned());
    }
    if owner != own && owner != 0 {
        return Some(format!("it belongs to user {owner}, neither to you nor to root"));
    }
    (mode & WRITABLE_BY_OTHERS != 0)
        .then(|| format!("others can write to it; run chmod o-w {}", path.display()))
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
    for (line, name) in ini::section_heads(text) {
        match (keys::known_section(name.text()), name) {
            (Ok(_), ini::Name::Whole(_)) => return Whose::Ours,
            // Only ours has such names: its line is an error.
            (Err(_), ini::Name::Whole(name)) if name.starts_with(keys::REGISTRY_PREFIX) => {
                return Whose::Ours;
            }
            (Ok(_), ini::Name::Unterminated(name)) => {
                let head = text.lines().nth(line - 1).unwrap_or(name).trim();
                perhaps = Some(match has_cr_only(text) {
                    true => CR_ONLY.to_owned(),
                    false => format!("line {line}: {}", ini::bad_head(head)),
                });
            }
            (Err(_), ini::Name::Whole(name)) => {
                let near = keys::nearest_section(name);
                perhaps = near.map(|near| format!("[{name}]: did you mean [{near}]?")).or(perhaps);
            }
            (Err(_), ini::Name::Unterminated(_)) => {}
        }
    }
    perhaps.map_or(Whose::Others, Whose::Perhaps)
}

fn has_cr_only(text: &str) -> bool {
    text.contains('\r') && !text.contains('\n')
}

/// Why a file without a section of ours has none; `None` if it sets nothing.
fn why_without_section(bytes: &[u8]) -> Option<String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Some("it is UTF-16 text; save it as UTF-8".to_owned());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Some(NOT_UTF_8.to_owned()) };
    if text.contains('\0') {
        return Some("it is not a text file".to_owned());
    }
    if has_cr_only(text) {
        return Some(CR_ONLY.to_owned());
    }
    match ini::entries(text).next()? {
        Err((line, message)) => Some(format!("line {line}: {message}")),
        Ok(_) => Some("no known section".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Path, distrust};

    #[test]
    fn a_file_is_trusted_if_only_its_user_root_and_their_group_can_write_it() {
        let path = Path::new("config.ini");
        for (owner, mode) in [(1000, 0o644), (1000, 0o664), (0, 0o100_600)] {
            assert_eq!(distrust(path, true, owner, mode, 1000), None);
        }
        let reason = |is_file, owner, mode| distrust(path, is_file, owner, mode, 1000).unwrap();
        assert_eq!(
            reason(true, 1001, 0o600),
            "it belongs to user 1001, neither to you nor to root"
        );
        assert_eq!(reason(true, 1000, 0o646), "others can write to it; run chmod o-w config.ini");
        assert_eq!(reason(false, 1000, 0o600), "it is not a regular file");
        // Root trusts its own files only.
        assert!(distrust(path, true, 1000, 0o600, 0).is_some());
    }
}
