//! Values that are files and folders.

/// A directory.
pub(crate) mod folder {
    use std::path::{Path, PathBuf};

    pub(crate) fn read(text: &str) -> Result<PathBuf, String> {
        if text.is_empty() || text.contains('\0') {
            return Err("expected a directory".to_owned());
        }
        Ok(PathBuf::from(text))
    }

    pub(crate) fn show(value: &Path) -> String {
        value.display().to_string()
    }
}

/// A directory, or none.
pub(crate) mod any_folder {
    use std::path::PathBuf;

    use super::folder;

    pub(crate) fn read(text: &str) -> Result<Option<PathBuf>, String> {
        if text.is_empty() { Ok(None) } else { folder::read(text).map(Some) }
    }

    pub(crate) fn show(value: &Option<PathBuf>) -> String {
        value.as_deref().map(folder::show).unwrap_or_default()
    }
}

/// A file; empty text is none.
pub(crate) mod any_file {
    pub(crate) use super::any_folder::{read, show};
}

/// A file with a secret, never the secret; empty text is none.
pub(crate) mod secret_file {
    use std::path::PathBuf;

    use rpc_security::secret;

    pub(crate) fn read(text: &str) -> Result<Option<PathBuf>, String> {
        if secret::looks_like_one(text) {
            return Err("expected a file with the token, not the token".to_owned());
        }
        super::any_folder::read(text)
    }

    pub(crate) use super::any_folder::show;
}

/// The folder for lists of instances: `auto`, that of the user; empty: none.
pub(crate) mod list_cache {
    use rpc_client::ListCache;

    const USER: &str = "auto";

    pub(crate) fn read(text: &str) -> Result<ListCache, String> {
        Ok(match text {
            "" => ListCache::Off,
            USER => ListCache::User,
            folder => ListCache::Folder(folder.into()),
        })
    }

    pub(crate) fn show(value: &ListCache) -> String {
        match value {
            ListCache::Off => String::new(),
            ListCache::User => USER.to_owned(),
            ListCache::Folder(folder) => folder.display().to_string(),
        }
    }
}
