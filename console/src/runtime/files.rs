//! Results and logs are saved to files.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rpc_console_core::model::content::{Content, SaveError};
use rpc_console_core::text;

/// Saves `content` at `path` and returns the size in bytes; replaces a file only with `overwrite`.
pub(super) fn save(path: &str, content: &Content, overwrite: bool) -> Result<u64, SaveError> {
    let other = |error: io::Error| SaveError::Other(error.to_string());
    let mut options = OpenOptions::new();
    // A result may hold what only its caller may see.
    options.write(true).mode(0o600);
    if overwrite {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = options.open(expand(path)).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => SaveError::Exists,
        _ => other(error),
    })?;
    write(&mut file, content).map_err(other)?;
    file.metadata().map(|size| size.len()).map_err(other)
}

/// Opens a file for reading, if it is a regular one: another program may have put a pipe in its
/// place, and opening that would block.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().read(true), path)
}

/// Opens a file with `options`, if it is a regular one.
pub(super) fn regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let non_blocking = rustix::fs::OFlags::NONBLOCK.bits();
    let file = options.custom_flags(non_blocking.cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("not a regular file")),
    }
}

/// Expands `~/` to the home directory, as a shell does.
fn expand(path: &str) -> PathBuf {
    let home = || std::env::var_os("HOME").filter(|home: &OsString| !home.is_empty());
    match path.strip_prefix("~/").and_then(|rest| Some(PathBuf::from(home()?).join(rest))) {
        Some(path) => path,
        None => PathBuf::from(path),
    }
}

/// Writes `content` as text: documents pretty-printed, log lines one a row.
pub(super) fn write(file: &mut File, content: &Content) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    match content {
        Content::Text(text) => out.write_all(text.as_bytes())?,
        Content::Document(document) => document.write_pretty(&mut out)?,
        Content::Lines(lines) => {
            for line in lines {
                if line.mark {
                    writeln!(out, "---- {}", text::hour_minute_second(line.wall_ms))?;
                    continue;
                }
                if line.dropped > 0 {
                    writeln!(out, "---- {} lines dropped", line.dropped)?;
                }
                let time = text::hour_minute_second(line.wall_ms);
                let (ms, level) = (line.wall_ms % 1000, line.level.as_str().to_uppercase());
                let source = line.source.name();
                // Escape sequences would act on the terminal of whoever prints the file.
                let (source, target) = (text::printable(&source), text::printable(&line.target));
                let message = text::printable(&line.text);
                writeln!(out, "{time}.{ms:03} {level:<5} {source} {target}: {message}")?;
            }
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_existing_file_is_replaced_only_with_overwrite() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let path = path.to_str().unwrap();
        let content = |text: &str| Content::Text(text.into());
        assert_eq!(save(path, &content("long"), false), Ok(4));
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(save(path, &content("2"), false), Err(SaveError::Exists));
        assert_eq!(fs::read_to_string(path).unwrap(), "long");
        assert_eq!(save(path, &content("2"), true), Ok(1));
        assert_eq!(fs::read_to_string(path).unwrap(), "2");
        let nowhere = folder.path().join("no/such/folder");
        let error = save(nowhere.to_str().unwrap(), &content(""), false).unwrap_err();
        assert!(matches!(error, SaveError::Other(reason) if reason.contains("No such file")));
    }
}
