//! What a call sent and received, message by message.

use std::collections::VecDeque;

/// Bytes kept of each message.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// Bytes kept of all messages; the oldest but the request are dropped.
pub(super) const MAX_WIRE_BYTES: usize = 256 * 1024;
/// Maximum number of messages kept.
const MAX_MESSAGES: usize = 1_000;

/// The messages of a call, oldest first.
#[derive(Debug, Default)]
pub struct Wire {
    messages: VecDeque<WireMessage>,
    bytes: usize,
    /// Number of messages dropped after the first.
    pub dropped: usize,
    /// The first visible row.
    pub top: usize,
}

/// A message: a request, a reply, an item of a stream, or a cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireMessage {
    /// Whether the console sent it.
    pub is_sent: bool,
    /// The address of the instance.
    pub peer: String,
    /// The message, or its start if it is larger than [`MAX_MESSAGE_BYTES`].
    pub text: String,
    /// Size in bytes of the whole message as it was sent or received.
    pub size: usize,
    /// How many of them are not kept.
    pub not_kept: usize,
}

impl Wire {
    /// Adds a message.
    pub fn push(&mut self, message: WireMessage) {
        self.bytes += message.text.len();
        self.messages.push_back(message);
        // The first is the request: without it the rest is hard to read.
        while (self.bytes > MAX_WIRE_BYTES || self.messages.len() > MAX_MESSAGES)
            && self.messages.len() > 2
        {
            let dropped = self.messages.remove(1);
            self.bytes -= dropped.map_or(0, |message| message.text.len());
            self.dropped += 1;
        }
    }

    /// The messages kept.
    pub fn iter(&self) -> impl Iterator<Item = &WireMessage> {
        self.messages.iter()
    }

    /// The messages kept, one per line.
    pub fn to_text(&self) -> String {
        let lines = self.iter().map(|message| message.text.trim_end());
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    /// Whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Bytes kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_and_the_newest_messages_are_kept() {
        let mut wire = Wire::default();
        for n in 0..MAX_MESSAGES + 5 {
            let text = format!("message {n}");
            let message = WireMessage {
                is_sent: n == 0,
                peer: String::new(),
                size: text.len(),
                not_kept: 0,
                text,
            };
            wire.push(message);
        }
        let texts: Vec<_> = wire.iter().map(|message| message.text.as_str()).collect();
        assert_eq!((texts.len(), texts[0], texts[1]), (MAX_MESSAGES, "message 0", "message 6"));
        assert_eq!(wire.dropped, 5);
        let large = "x".repeat(MAX_WIRE_BYTES);
        wire.push(WireMessage {
            is_sent: false,
            peer: String::new(),
            size: large.len(),
            not_kept: 0,
            text: large,
        });
        assert_eq!(wire.iter().count(), 2);
        assert_eq!(wire.bytes(), MAX_WIRE_BYTES + "message 0".len());
    }
}
