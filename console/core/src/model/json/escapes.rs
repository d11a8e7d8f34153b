//! `\uXXXX` escapes as the characters they stand for: some servers escape everything beyond ASCII.

use std::borrow::Cow;

/// JSON text with the escapes of visible characters decoded. All others stay, so it is still JSON.
pub fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, _)) = rest.split_once('\\') {
        let from = rest.get(before.len()..).unwrap_or_default();
        out.push_str(before);
        let length = match unicode_escape(from) {
            Some((c, length)) if !c.is_control() && !matches!(c, '"' | '\\') => {
                out.push(c);
                length
            }
            _ => {
                // The backslash and what it escapes, which may be another backslash.
                let length = from.char_indices().nth(2).map_or(from.len(), |(at, _)| at);
                out.push_str(from.get(..length).unwrap_or_default());
                length
            }
        };
        rest = from.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character of the escape at the start of the text, and the escape's length.
fn unicode_escape(text: &str) -> Option<(char, usize)> {
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(text)?;
    if let Some(c) = char::from_u32(first.into()) {
        return Some((c, 6));
    }
    let second = unit(text.get(6..)?)?;
    let c = char::decode_utf16([first, second]).next()?.ok()?;
    Some((c, 12))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn visible_characters_are_decoded_and_the_rest_stays() {
        for (text, expected) in [
            (r#""\u65e5\u672c\n""#, r#""日本\n""#),
            (r#""\ud83d\ude00 \ud83d""#, r#""😀 \ud83d""#),
            (r#""\\u65e5 \u0022 \u0007""#, r#""\\u65e5 \u0022 \u0007""#),
            (r"\u12", r"\u12"),
            ("plain", "plain"),
        ] {
            assert_eq!(decoded(text), expected);
        }
    }

    proptest! {
        #[test]
        fn decoded_json_is_the_same_value(text in any::<String>()) {
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let json = format!("\"{escaped}\"");
            let read: String = serde_json::from_str(&decoded(&json)).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}
