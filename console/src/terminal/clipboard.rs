//! Copying with OSC 52, the terminal's clipboard sequence, which works over SSH too.

use std::fmt::Write;

use rpc_console_core::message::MAX_COPIED_BYTES;

/// The sequence that puts `text` on the clipboard, wrapped for tmux if `in_tmux`; `None` if the text
/// is too long.
pub fn osc52(text: &str, in_tmux: bool) -> Option<String> {
    if text.len() > MAX_COPIED_BYTES {
        return None;
    }
    let mut copy = String::new();
    let command = crossterm::clipboard::CopyToClipboard::to_clipboard_from(text);
    crossterm::Command::write_ansi(&command, &mut copy).ok()?;
    if !in_tmux {
        return Some(copy);
    }
    let mut wrapped = String::from("\x1bPtmux;");
    wrapped.write_str(&copy.replace('\x1b', "\x1b\x1b")).ok()?;
    wrapped.push_str("\x1b\\");
    Some(wrapped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_sent_in_base64_and_wrapped_for_tmux() {
        let plain = osc52("13", false).unwrap();
        assert!(plain.starts_with("\x1b]52;c;MTM="), "{plain:?}");
        let wrapped = osc52("13", true).unwrap();
        assert!(wrapped.starts_with("\x1bPtmux;\x1b\x1b]52;"), "{wrapped:?}");
        assert_eq!(osc52(&"x".repeat(MAX_COPIED_BYTES + 1), false), None);
    }
}
