//! External programs that take over the terminal: the pager and the editor.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rand::RngExt;
use rpc_settings::SECRET_VARIABLES;
use tokio::process::{Child, Command};

use super::files;
use rpc_console_core::message::Msg;
use rpc_console_core::model::content::{Content, Program};
use rpc_console_core::text;

/// How much of an edited file is read back; more is refused.
const MAX_EDITED_BYTES: u64 = 1024 * 1024;

/// A program to run in the terminal, with a temporary file that is deleted on drop.
pub(super) struct ExternalProgram {
    kind: Program,
    command: String,
    path: PathBuf,
    /// The method whose arguments are edited; `None` when a document is only viewed.
    method: Option<String>,
}

impl ExternalProgram {
    /// Prepares `content` to be viewed. Blocks while the file is written.
    pub(super) fn view(program: Program, name: &str, content: &Content) -> io::Result<Self> {
        let (mut file, path) = temporary(name)?;
        let program = Self { kind: program, command: command(program), path, method: None };
        files::write(&mut file, content)?;
        Ok(program)
    }

    /// Prepares arguments of `method` to be edited.
    pub(super) fn edit(method: String, text: &str) -> io::Result<Self> {
        let (mut file, path) = temporary("arguments.json")?;
        writeln!(file, "{text}")?;
        let kind = Program::Editor;
        Ok(Self { kind, command: command(kind), path, method: Some(method) })
    }

    /// Starts the program. A shell splits the command, because `$PAGER` may hold options.
    pub(super) fn start(&self) -> io::Result<Child> {
        let script = format!("{} \"$1\"", self.command);
        let mut child = Command::new("sh");
        child.arg("-c").arg(script).arg(&self.command).arg(&self.path);
        for secret in SECRET_VARIABLES {
            child.env_remove(secret);
        }
        child.kill_on_drop(true).spawn()
    }

    /// The message that follows from the program's exit: the edited text, a failure, or nothing.
    pub(super) fn ended(self, status: io::Result<std::process::ExitStatus>) -> Option<Msg> {
        let (what, variable) = match self.kind {
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

impl Drop for ExternalProgram {
    fn drop(&mut self) {
        // A failure leaves a file in the temporary folder, which the system cleans up.
        let _ = fs::remove_file(&self.path);
    }
}

/// The command from `$PAGER`, or `$VISUAL` and `$EDITOR`; else `less` or `vi`.
fn command(program: Program) -> String {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    match program {
        Program::Pager => set("PAGER").unwrap_or_else(|| "less".to_owned()),
        Program::Editor => {
            set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".to_owned())
        }
    }
}

/// Creates a file that only its owner can read, whose name ends in `name`.
fn temporary(name: &str) -> io::Result<(File, PathBuf)> {
    let number: u64 = rand::rng().random();
    let path = std::env::temp_dir().join(format!("rpc-console-{number:016x}-{name}"));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    Ok((file, path))
}

fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: io::Error| format!("cannot read the edited file: {error}");
    let file = files::open_regular(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(MAX_EDITED_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_EDITED_BYTES {
        return Err("edited file is larger than 1 MiB".to_owned());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_editor_left_is_read_only_from_a_regular_file() {
        let program = ExternalProgram::edit("add".to_owned(), "{}").unwrap();
        assert_eq!(read(&program.path), Ok("{}\n".to_owned()));
        fs::remove_file(&program.path).unwrap();
        assert!(read(&program.path).unwrap_err().contains("No such file"));
        // Opening a pipe that nobody writes to would block for ever.
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &program.path, rustix::fs::FileType::Fifo, mode, 0)
            .unwrap();
        assert!(read(&program.path).unwrap_err().contains("not a regular file"));
    }

    #[test]
    fn a_temporary_file_is_readable_by_its_owner_only_and_is_deleted() {
        use std::os::unix::fs::PermissionsExt;
        let program = ExternalProgram::edit("add".to_owned(), "{}").unwrap();
        let path = program.path.clone();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(program);
        assert!(!path.exists());
    }
}
