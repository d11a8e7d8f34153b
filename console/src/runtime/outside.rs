//! Files, and programs that get the terminal for a while: the pager and the editor.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rand::RngExt;
use tokio::process::{Child, Command};

use rpc_console_core::message::Msg;
use rpc_console_core::model::content::{Content, Program, SaveError};
use rpc_console_core::text;

/// How much of an edited file is read back; more is refused.
const MAX_EDITED_BYTES: u64 = 1024 * 1024;

/// A program to be run on the terminal, with a file of its own.
pub(super) struct Errand {
    program: Program,
    command: String,
    path: PathBuf,
    /// The method whose arguments are edited; nothing comes back from a mere view.
    method: Option<String>,
}

impl Errand {
    /// Something to be looked at. Writes the file; large ones take a while.
    pub(super) fn view(program: Program, name: &str, content: &Content) -> io::Result<Self> {
        let (mut file, path) = temporary(name)?;
        let errand = Self { program, command: command(program), path, method: None };
        write(&mut file, content)?;
        Ok(errand)
    }

    /// Arguments of `method` to be edited.
    pub(super) fn edit(method: String, text: &str) -> io::Result<Self> {
        let (mut file, path) = temporary("arguments.json")?;
        writeln!(file, "{text}")?;
        let program = Program::Editor;
        Ok(Self { program, command: command(program), path, method: Some(method) })
    }

    /// Starts the program. A shell takes the command apart, so that it may have options.
    pub(super) fn start(&self) -> io::Result<Child> {
        let script = format!("{} \"$1\"", self.command);
        let mut child = Command::new("sh");
        child.arg("-c").arg(script).arg(&self.command).arg(&self.path).kill_on_drop(true);
        child.spawn()
    }

    /// What the person is told when it ended like this.
    pub(super) fn ended(self, status: io::Result<std::process::ExitStatus>) -> Option<Msg> {
        let (what, variable) = match self.program {
            Program::Pager => ("pager", "$PAGER"),
            Program::Editor => ("editor", "$EDITOR"),
        };
        let command = text::printable(&self.command).into_owned();
        let failed = match status {
            Ok(status) if status.success() => None,
            Ok(status) if status.code() == Some(127) => {
                Some(format!("{what} `{command}` not found; set {variable}"))
            }
            Ok(status) => Some(format!("{what} `{command}` failed: {status}")),
            Err(error) => Some(format!("cannot start {what} `{command}`: {error}")),
        };
        match (self.method.clone(), failed) {
            (Some(method), None) => Some(Msg::Edited(method, read(&self.path))),
            (_, Some(failed)) => Some(Msg::Error(failed)),
            (None, None) => None,
        }
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        // At worst a file stays among the temporary ones.
        let _ = fs::remove_file(&self.path);
    }
}

/// `$PAGER`, `$VISUAL`, `$EDITOR`, or what every system has.
fn command(program: Program) -> String {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    match program {
        Program::Pager => set("PAGER").unwrap_or_else(|| "less".to_owned()),
        Program::Editor => {
            set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".to_owned())
        }
    }
}

/// A new file that nobody else may read, whose name ends in `name`.
fn temporary(name: &str) -> io::Result<(File, PathBuf)> {
    let number: u64 = rand::rng().random();
    let path = std::env::temp_dir().join(format!("rpc-console-{number:016x}-{name}"));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    Ok((file, path))
}

fn read(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path).map_err(|error| format!("edited file is gone: {error}"))?;
    if size.len() > MAX_EDITED_BYTES {
        return Err("edited file is larger than 1 MiB".to_owned());
    }
    fs::read_to_string(path).map_err(|error| format!("cannot read the edited file: {error}"))
}

/// Writes a file where the person said; an existing one only with `overwrite`.
pub(super) fn save(path: &str, content: &Content, overwrite: bool) -> Result<u64, SaveError> {
    let other = |error: io::Error| SaveError::Other(error.to_string());
    let mut options = OpenOptions::new();
    options.write(true);
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

/// `~/` is the home directory, as in a shell.
fn expand(path: &str) -> PathBuf {
    let home = || std::env::var_os("HOME").filter(|home: &OsString| !home.is_empty());
    match path.strip_prefix("~/").and_then(|rest| Some(PathBuf::from(home()?).join(rest))) {
        Some(path) => path,
        None => PathBuf::from(path),
    }
}

fn write(file: &mut File, content: &Content) -> io::Result<()> {
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
                // What steers a terminal must not do so from a file either.
                let message = text::printable(&line.text);
                writeln!(out, "{time}.{ms:03} {level:<5} {source} {}: {message}", line.target)?;
            }
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_exists_is_only_overwritten_when_told_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let path = path.to_str().unwrap();
        let content = |text: &str| Content::Text(text.into());
        assert_eq!(save(path, &content("long"), false), Ok(4));
        assert_eq!(save(path, &content("2"), false), Err(SaveError::Exists));
        assert_eq!(fs::read_to_string(path).unwrap(), "long");
        assert_eq!(save(path, &content("2"), true), Ok(1));
        assert_eq!(fs::read_to_string(path).unwrap(), "2");
        let nowhere = folder.path().join("no/such/folder");
        let error = save(nowhere.to_str().unwrap(), &content(""), false).unwrap_err();
        assert!(matches!(error, SaveError::Other(reason) if reason.contains("No such file")));
    }

    #[test]
    fn a_temporary_file_is_for_its_owner_only_and_goes() {
        use std::os::unix::fs::PermissionsExt;
        let errand = Errand::edit("add".to_owned(), "{}").unwrap();
        let path = errand.path.clone();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(errand);
        assert!(!path.exists());
    }
}
