//! Where the last list of each registry is kept on disk.

use std::path::PathBuf;

/// The folder for the last list of each registry, by which a client calls that cannot reach it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ListCache {
    /// None: nothing is kept, and nothing is read.
    #[default]
    Off,
    /// `$XDG_CACHE_HOME/rpcd`, else `~/.cache/rpcd`; none if neither variable is an absolute path.
    User,
    /// This one. It is made when it is needed.
    Folder(PathBuf),
}

impl ListCache {
    #[cfg(feature = "registry")]
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        let absolute = |name: &str| {
            std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
        };
        match self {
            Self::Off => None,
            Self::User => absolute("XDG_CACHE_HOME")
                .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
                .map(|base| base.join("rpcd")),
            Self::Folder(folder) => Some(folder.clone()),
        }
    }
}
