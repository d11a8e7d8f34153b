//! Recorded bytes of an earlier build of rpcd (`python/record_rpcd.py`): its commands, and the
//! connections they had to a server and a registry of the same build.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The ports that the recordings have instead of the real ones: the server's, the registry's, and that
/// of an instance which registers while `watch` runs.
pub const SERVER: u16 = 55501;
/// See [`SERVER`].
pub const REGISTRY: u16 = 55502;
/// See [`SERVER`].
pub const VISITOR: u16 = 55503;

/// Who sent bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who connected.
    Client,
    /// Who accepted.
    Server,
}

/// One connection: who sent what, in order.
pub type Conversation = Vec<(Side, Vec<u8>)>;

/// One command with its connections.
#[derive(Debug)]
pub struct Recording {
    /// The file's name without its ending.
    pub name: String,
    /// How rpcd was started; empty if no command was.
    pub arguments: Vec<String>,
    /// Its exit code; `None` if it was stopped by the recorder.
    pub code: Option<i32>,
    /// Its standard output.
    pub output: String,
    /// Connections to the server.
    pub server: Vec<Conversation>,
    /// Connections to the registry.
    pub registry: Vec<Conversation>,
}

fn transcripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Every recorded build, by its folder `rpcd-COMMIT`.
///
/// # Panics
/// There is none, as in every function here when a file is not as expected.
pub fn builds() -> Vec<Vec<Recording>> {
    let is_build = |path: &PathBuf| {
        path.is_dir() && path.file_name().unwrap().to_string_lossy().starts_with("rpcd-")
    };
    let builds: Vec<_> = entries(&transcripts())
        .into_iter()
        .filter(is_build)
        .map(|folder| entries(&folder).iter().map(|path| recording(path)).collect())
        .collect();
    assert!(!builds.is_empty(), "no recorded build");
    builds
}

fn recording(path: &Path) -> Recording {
    let text = std::fs::read_to_string(path).unwrap();
    let value: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let strings = |value: &Value| {
        let texts = value.as_array().into_iter().flatten();
        texts.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    Recording {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        arguments: strings(&value["arguments"]),
        code: value["code"].as_i64().and_then(|code| i32::try_from(code).ok()).filter(|c| *c >= 0),
        output: value["output"].as_str().unwrap_or_default().to_owned(),
        server: conversations(&value["server"]),
        registry: conversations(&value["registry"]),
    }
}

fn conversations(value: &Value) -> Vec<Conversation> {
    let entry = |entry: &Value| {
        let side = if entry[0] == "client" { Side::Client } else { Side::Server };
        // Bytes are written as latin-1 text: one character, one byte.
        let bytes = entry[1].as_str().unwrap().chars().map(|c| u8::try_from(c).unwrap());
        (side, bytes.collect())
    };
    let connections = value.as_array().into_iter().flatten();
    connections.map(|entries| entries.as_array().unwrap().iter().map(entry).collect()).collect()
}

/// Puts real ports into recorded text. They have five digits too, so lengths in it stay true.
pub fn with_ports(recorded: &str, ports: &[(u16, SocketAddr)]) -> String {
    ports.iter().fold(recorded.to_owned(), |text, (written, real)| {
        assert!(real.port() >= 10_000, "{real}");
        text.replace(&written.to_string(), &real.port().to_string())
    })
}

/// The same with bytes.
pub fn bytes_with_ports(recorded: &[u8], ports: &[(u16, SocketAddr)]) -> Vec<u8> {
    let text: String = recorded.iter().map(|byte| char::from(*byte)).collect();
    with_ports(&text, ports).chars().map(|c| u8::try_from(c).unwrap()).collect()
}
