//! Paths: the programs beside this one, and the directory for the JSON.

use std::path::PathBuf;

use anyhow::{Context, bail};

/// The `rpcd` to measure: `RPCD`, else the one beside this program.
///
/// # Errors
/// It is missing; the message has the command that builds it.
pub fn rpcd() -> anyhow::Result<PathBuf> {
    let given = std::env::var_os("RPCD").filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = match given {
        Some(path) => std::path::absolute(path)?,
        None => profile()?.join("rpcd"),
    };
    if !path.is_file() {
        let profile = profile()?;
        let profile = match profile.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => String::new(),
            Some(name) => format!(" --profile {name}"),
        };
        bail!(
            "{} is missing: run `cargo build{profile} -p rpcd`, or set RPCD to its path",
            path.display()
        );
    }
    Ok(path)
}

/// `target/bench`, created if it is missing.
///
/// # Errors
/// It cannot be created.
pub fn results() -> anyhow::Result<PathBuf> {
    let profile = profile()?;
    let folder = profile.parent().context("no directory for results")?.join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}

/// `target/PROFILE`, also for a benchmark in `target/PROFILE/deps`.
fn profile() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("asking for this program's path")?;
    let folder = own.parent().context("this program has no directory")?;
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.to_owned())
}
