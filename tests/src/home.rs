//! The folder a program is started in, so that it reads no settings of whoever runs the tests.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What the names of our environment variables begin with.
const PREFIX: &str = "RPCD_";

/// A working directory with nothing in it, and the folders of a user without settings. Removed when
/// dropped.
pub struct Home(tempfile::TempDir);

impl Home {
    /// An empty one.
    ///
    /// # Panics
    /// There is no room for temporary files, as in every method here.
    #[expect(clippy::new_without_default, reason = "every one is another")]
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The working directory.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes `./config.ini`; where it is.
    pub fn local(&self, text: &str) -> PathBuf {
        write(self.path().join("config.ini"), text)
    }

    /// Writes the user's own `config.ini`; where it is.
    pub fn user(&self, text: &str) -> PathBuf {
        write(self.path().join("user/rpcd/config.ini"), text)
    }

    /// The variables that name the user's folders.
    pub fn variables(&self) -> [(&'static str, PathBuf); 2] {
        [
            ("XDG_CONFIG_HOME", self.path().join("user")),
            // Histories.
            ("XDG_STATE_HOME", self.path().join("state")),
        ]
    }

    /// Has `command` run here. Its own variables are to be set afterwards.
    pub fn enter(&self, command: &mut std::process::Command) {
        for name in variables_of_runner() {
            command.env_remove(name);
        }
        command.current_dir(self.path()).envs(self.variables()).env_remove("RUST_LOG");
    }
}

/// Variables of whoever runs the tests that our programs would read.
pub fn variables_of_runner() -> impl Iterator<Item = OsString> {
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(|name| name.to_string_lossy().starts_with(PREFIX))
}

fn write(path: PathBuf, text: &str) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}
