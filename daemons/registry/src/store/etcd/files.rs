//! Reads the files that `[etcd]` names.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The content of a file.
///
/// # Errors
/// It cannot be read, is none, or has more than so many bytes.
#[cfg(feature = "etcd-tls")]
pub(super) fn read(file: &Path, max_bytes: u64) -> Result<Vec<u8>, String> {
    read_if(file, max_bytes, |_mode| true)
}

/// The same of a file that its owner alone may read.
///
/// # Errors
/// Others may, too.
pub(super) fn read_secret(file: &Path, max_bytes: u64) -> Result<Vec<u8>, String> {
    read_if(file, max_bytes, |mode| mode & 0o077 == 0)
}

fn read_if(
    file: &Path,
    max_bytes: u64,
    is_allowed: impl Fn(u32) -> bool,
) -> Result<Vec<u8>, String> {
    let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", file.display());
    let metadata = fs::metadata(file).map_err(|error| wrong(&error))?;
    if !metadata.is_file() || metadata.len() > max_bytes {
        return Err(wrong(&format_args!("it is not a file of at most {max_bytes} bytes")));
    }
    if !is_allowed(metadata.permissions().mode()) {
        return Err(wrong(&"others can read it; chmod 600"));
    }
    fs::read(file).map_err(|error| wrong(&error))
}
