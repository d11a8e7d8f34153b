//! What would control a terminal, escaped so that JSON stays JSON.

use std::borrow::Cow;
use std::fmt::Write as _;

use rpc_host::logging::escape_controls;

/// Valid JSON without white space outside its strings, with `\u009b` instead of a character that would
/// control a terminal. In strings JSON itself allows only such escapes.
pub(super) fn in_json(json: &str) -> Cow<'_, str> {
    if let Cow::Borrowed(_) = escape_controls(json) {
        return json.into();
    }
    let mut out = String::with_capacity(json.len() + 16);
    let (mut bytes, mut units) = ([0; 4], [0; 2]);
    for c in json.chars() {
        match escape_controls(c.encode_utf8(&mut bytes)) {
            Cow::Borrowed(same) => out.push_str(same),
            // Above U+FFFF a pair of them.
            Cow::Owned(_) => {
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_a_terminal_is_escaped_as_json_has_it() {
        let json = "{\"\u{9b}\":\"a\u{202e}b\u{7f}\u{85}\u{1f600} \\u001b\"}";
        let escaped = r#"{"\u009b":"a\u202eb\u007f\u0085😀 \u001b"}"#;
        assert_eq!(in_json(json), escaped);
        let [before, after] =
            [json, escaped].map(|it| serde_json::from_str::<serde_json::Value>(it).unwrap());
        assert_eq!(before, after);
        assert!(matches!(in_json("\"ä😀\""), Cow::Borrowed(_)));
    }

    #[test]
    fn no_character_is_left_that_controls_a_terminal_and_the_value_is_the_same() {
        for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let json = serde_json::to_string(&c).unwrap();
            let escaped = in_json(&json);
            assert_eq!(escape_controls(&escaped), escaped, "{c:?}");
            assert_eq!(serde_json::from_str::<char>(&escaped).unwrap(), c);
        }
    }
}
