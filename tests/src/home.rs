//! The directory a program is started in, so that it does not read the developer's settings.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The prefix of our environment variables.
const PREFIX: &str = "RPCD_";

/// An empty working directory, and a user's directories without settings. Removed when dropped.
pub struct Home(tempfile::TempDir);

impl Home {
    /// An empty home.
    ///
    /// # Panics
    /// Temporary files cannot be created, as in every method here.
    #[expect(clippy::new_without_default, reason = "each call creates a directory")]
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The working directory.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes `./config.ini`; returns its path.
    pub fn local(&self, text: &str) -> PathBuf {
        write(self.path().join("config.ini"), text)
    }

    /// Writes the user's own `config.ini`; returns its path.
    pub fn user(&self, text: &str) -> PathBuf {
        write(self.path().join("user/rpcd/config.ini"), text)
    }

    /// The variables that point to the user's directories.
    pub fn variables(&self) -> [(&'static str, PathBuf); 3] {
        [
            ("XDG_CONFIG_HOME", self.path().join("user")),
            // For lists of instances.
            ("XDG_CACHE_HOME", self.path().join("cache")),
            // For the console's history.
            ("XDG_STATE_HOME", self.path().join("state")),
        ]
    }

    /// Has `command` run here. Set its own variables afterwards.
    pub fn enter(&self, command: &mut std::process::Command) {
        for name in variables_of_runner() {
            command.env_remove(name);
        }
        command.current_dir(self.path()).envs(self.variables()).env_remove("RUST_LOG");
    }
}

/// Variables of the test runner that our programs would read.
pub fn variables_of_runner() -> impl Iterator<Item = OsString> {
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(|name| name.to_string_lossy().starts_with(PREFIX))
}

fn write(path: PathBuf, text: &str) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}
