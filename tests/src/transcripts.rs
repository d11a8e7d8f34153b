//! Recorded bytes of the older client and server (`python/record.py`).

use std::path::PathBuf;

use serde_json::Value;

/// A request and its reply, each one `recv` long.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The client's bytes.
    pub sent: Vec<u8>,
    /// The server's bytes.
    pub received: Vec<u8>,
}

impl Exchange {
    /// The reply as JSON.
    ///
    /// # Panics
    /// It is not JSON.
    pub fn reply(&self) -> Value {
        serde_json::from_slice(&self.received).unwrap()
    }
}

/// The connections of one recording, each a list of exchanges.
///
/// # Panics
/// There is no such recording.
pub fn transcript(name: &str) -> Vec<Vec<Exchange>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("transcripts").join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let connections: Vec<Vec<(String, String)>> = serde_json::from_str(&text).unwrap();
    // Bytes are written as latin-1 text: one character, one byte.
    let bytes = |text: &str| text.chars().map(|c| u8::try_from(c).unwrap()).collect();
    let exchange = |pair: &[(String, String)]| {
        assert_eq!((pair[0].0.as_str(), pair[1].0.as_str()), ("client", "server"), "{name}");
        Exchange { sent: bytes(&pair[0].1), received: bytes(&pair[1].1) }
    };
    connections.iter().map(|entries| entries.chunks_exact(2).map(exchange).collect()).collect()
}
