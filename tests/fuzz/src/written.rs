//! An input as one line of text.

use std::fmt::Write;

/// The line of an input.
pub(crate) fn write(input: &[u8]) -> String {
    let mut line = String::new();
    let mut rest = input;
    while !rest.is_empty() {
        let valid = match std::str::from_utf8(rest) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default(),
        };
        for c in valid.chars() {
            match c {
                '\\' => line.push_str("\\\\"),
                '\n' => line.push_str("\\n"),
                '\r' => line.push_str("\\r"),
                '\t' => line.push_str("\\t"),
                // Also what is invisible or reorders a line.
                c if c.is_control() || !(c.is_ascii() || c.is_alphanumeric()) => {
                    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                        let _ = write!(line, "\\x{byte:02x}");
                    }
                }
                c => line.push(c),
            }
        }
        rest = &rest[valid.len()..];
        if let Some((byte, after)) = rest.split_first() {
            let _ = write!(line, "\\x{byte:02x}");
            rest = after;
        }
    }
    line
}

/// The input of a line.
pub(crate) fn read(line: &str) -> Vec<u8> {
    let mut input = Vec::new();
    let mut parts = line.split('\\');
    input.extend(parts.next().unwrap_or_default().bytes());
    while let Some(part) = parts.next() {
        let hex = part.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (byte, rest) = match (part.chars().next(), hex) {
            // Two backslashes: the text after them is literal.
            (None, _) => (b'\\', parts.next().unwrap_or_default()),
            (Some('n'), _) => (b'\n', &part[1..]),
            (Some('r'), _) => (b'\r', &part[1..]),
            (Some('t'), _) => (b'\t', &part[1..]),
            (Some('x'), Some(byte)) => (byte, &part[3..]),
            _ => panic!("\\{part}: a corpus knows \\n, \\r, \\t, \\\\ and \\xNN"),
        };
        input.push(byte);
        input.extend(rest.bytes());
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_can_be_read_by_a_person() {
        let input = b"{\"a\":\"\\n\xc3\xa9\xe2\x80\xae\"}\r\n\x00\xff";
        assert_eq!(write(input), r#"{"a":"\\né\xe2\x80\xae"}\r\n\x00\xff"#);
    }

    proptest! {
        #[test]
        fn any_bytes_round_trip(input: Vec<u8>) {
            let line = write(&input);
            prop_assert!(!line.contains(['\n', '\r']));
            prop_assert_eq!(read(&line), input);
        }
    }
}
