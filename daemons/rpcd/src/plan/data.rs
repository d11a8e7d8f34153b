//! What is read from files: arguments (also from words and standard input), and what methods there are.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rpc_client::{ClientOptions, Rounded, Target};
use rpc_wire::shell_word;
use rpc_wire::signature::Signature;

use crate::arguments::Arguments;
use crate::cli::{self, Given};
use crate::failure::Failure;

/// Maximum size of a document of arguments, more than any server takes by default.
const MAX_BYTES: u64 = 64 << 20;

/// The arguments as given; a source of them must end within `timeout`.
pub(super) fn arguments(given: &Given, timeout: Duration) -> Result<Arguments, Failure> {
    let Some(data) = &given.data else { return Arguments::of_words(&given.args) };
    let unreadable =
        |source: &str, error: io::Error| Failure::usage(format!("cannot read {source}: {error}"));
    match data.strip_prefix('@') {
        _ if data == "-" || data == "@-" => {
            // Who types sees what is waited for.
            let timeout = if io::stdin().is_terminal() { Duration::MAX } else { timeout };
            let text = within(timeout, || read(io::stdin().lock()));
            let text = text.map_err(|error| unreadable("standard input", error))?;
            Arguments::of_document(&text, "standard input")
        }
        Some("") => Err(Failure::usage("-d @ names no file; write @FILE, or - for standard input")),
        Some(path) => {
            let file = path.to_owned();
            let text = within(timeout, || File::open(file).and_then(read));
            let text = text.map_err(|error| unreadable(path, error))?;
            Arguments::of_document(&text, path)
        }
        None => Arguments::of_document(data, "-d"),
    }
}

/// The methods of one server as a document says them.
#[derive(Debug)]
pub struct Described {
    /// By name.
    pub methods: Vec<Signature>,
    file: PathBuf,
}

impl Described {
    /// Reads them from an OpenRPC document, within the limits that hold for one of a server.
    pub(super) fn read(
        typed: &cli::Described,
        target: &Target,
        options: &ClientOptions,
    ) -> Result<Option<Self>, Failure> {
        let Some(path) = &typed.openrpc else { return Ok(None) };
        if matches!(target, Target::Registry { .. }) {
            let why = "--openrpc is for one server; add -i and -p, or -i with a URL";
            return Err(Failure::usage(why));
        }
        let (file, shown) = (path.clone(), path.display());
        let text = within(options.timeout, || File::open(file).and_then(read));
        let text = text.map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
        match rpc_client::methods_of_document(&text, options) {
            Ok(methods) => Ok(Some(Self { methods, file: path.clone() })),
            Err(why) => Err(Failure::usage(format!(
                "cannot use {shown}: {why}; --openrpc takes an OpenRPC document"
            ))),
        }
    }

    /// The flag that names the document, after a blank, for a command that is advised.
    pub fn flag(&self) -> String {
        format!(" --openrpc {}", shell_word(&self.file.to_string_lossy()))
    }
}

/// All of a source, which may have no end.
fn read(source: impl Read) -> io::Result<String> {
    let mut text = String::new();
    source.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    match text.len() as u64 > MAX_BYTES {
        true => Err(io::Error::other("larger than 64 MiB")),
        false => Ok(text),
    }
}

/// What `read` returns, in time. It has a thread, since neither opening a FIFO nor reading has a timeout;
/// a late one ends with the process.
fn within(
    timeout: Duration,
    read: impl FnOnce() -> io::Result<String> + Send + 'static,
) -> io::Result<String> {
    let (sender, text) = mpsc::sync_channel(1);
    thread::Builder::new().spawn(move || sender.send(read()))?;
    text.recv_timeout(timeout).unwrap_or_else(|_| {
        let time = Rounded(timeout);
        let why = format!("it did not end within {time}; close it, or raise --timeout");
        Err(io::Error::new(io::ErrorKind::TimedOut, why))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_without_an_end_is_refused() {
        let error = read(io::repeat(b' ')).unwrap_err();
        assert_eq!(error.to_string(), "larger than 64 MiB");
        assert_eq!(read(&b"[1]"[..]).unwrap(), "[1]");
    }

    #[test]
    fn a_source_that_says_nothing_is_waited_for_in_time_only() {
        let (_open, text) = mpsc::channel::<io::Result<String>>();
        let error = within(Duration::from_millis(20), move || text.recv().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "it did not end within 20ms; close it, or raise --timeout");
        assert_eq!(within(Duration::MAX, || Ok("[1]".to_owned())).unwrap(), "[1]");
    }
}
