//! Copying with OSC 52, the terminal's clipboard sequence, which works over SSH too.

use rpc_console_core::message::MAX_COPIED_BYTES;

/// The sequence that puts `text` on the clipboard; `None` if the text is too long. In tmux twice:
/// plain, for tmux itself to handle (`set-clipboard`), and wrapped, to pass through to the terminal
/// (`allow-passthrough`); tmux ignores what it is not set to do.
pub fn osc52(text: &str, in_tmux: bool) -> Option<String> {
    if text.len() > MAX_COPIED_BYTES {
        return None;
    }
    let mut copy = String::new();
    let command = crossterm::clipboard::CopyToClipboard::to_clipboard_from(text);
    crossterm::Command::write_ansi(&command, &mut copy).ok()?;
    if in_tmux {
        let wrapped = copy.replace('\x1b', "\x1b\x1b");
        copy.push_str(&format!("\x1bPtmux;{wrapped}\x1b\\"));
    }
    Some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_sent_in_base64_and_in_tmux_also_wrapped() {
        let plain = osc52("13", false).unwrap();
        assert!(plain.starts_with("\x1b]52;c;MTM="), "{plain:?}");
        let both = osc52("13", true).unwrap();
        let wrapped = both.strip_prefix(plain.as_str()).unwrap();
        assert!(wrapped.starts_with("\x1bPtmux;\x1b\x1b]52;c;MTM="), "{wrapped:?}");
        assert!(wrapped.ends_with("\x1b\\"), "{wrapped:?}");
        assert_eq!(osc52(&"x".repeat(MAX_COPIED_BYTES + 1), false), None);
    }
}
