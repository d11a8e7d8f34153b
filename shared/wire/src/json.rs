//! One JSON value as text: known to be valid, borrowed, and split into parts without parsing again.

mod read;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The memory that a text takes as a [`serde_json::Value`], rounded up: most for many small objects, with
/// ninety times their text. A bound on the text bounds nothing where a stranger wrote it.
pub fn memory_of_value(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut memory, mut at) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        let end = if byte == b'"' { end_of_string(bytes, at) } else { at + 1 };
        memory += match byte {
            // A node of a map.
            b'{' => 700,
            b'[' | b',' | b':' => 40,
            _ => end - at,
        };
        at = end;
    }
    memory
}

/// The text of one valid JSON value, without white space around it.
///
/// It comes from a parser of this crate, so splitting it needs no second validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// `null`.
    pub const NULL: Self = Self("null");

    /// `0`.
    pub const ZERO: Self = Self("0");

    /// A part of a text that a parser of this crate has validated.
    pub(crate) const fn validated(text: &'a str) -> Self {
        Self(text)
    }

    /// The text.
    pub const fn text(self) -> &'a str {
        self.0
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// The text without white space between its parts; borrowed where there is none.
    pub fn compact(self) -> Cow<'a, str> {
        let bytes = self.0.as_bytes();
        let mut compact = String::new();
        let (mut kept, mut at) = (0, 0);
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'"' => at = end_of_string(bytes, at),
                b' ' | b'\t' | b'\r' | b'\n' => {
                    compact.push_str(&self.0[kept..at]);
                    at += 1;
                    kept = at;
                }
                _ => at += 1,
            }
        }
        if kept == 0 {
            return Cow::Borrowed(self.0);
        }
        compact.push_str(&self.0[kept..]);
        Cow::Owned(compact)
    }

    /// Reads it as any type.
    ///
    /// # Errors
    /// It does not fit the type.
    pub fn read<T: Deserialize<'a>>(self) -> serde_json::Result<T> {
        T::deserialize(read::Reader(self.0))
    }

    /// The string, borrowed if it has no escapes; `None` if it is not a string, or one that no Rust
    /// string can represent (half of a surrogate pair).
    pub fn as_string(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('\\') {
            serde_json::from_str(self.0).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(inner))
        }
    }

    /// The elements, if it is an array.
    pub fn elements(self) -> Option<Elements<'a>> {
        self.0.starts_with('[').then_some(Elements(Parts { text: self.0, at: 1 }))
    }

    /// The keys and values in order, if it is an object. A key may occur twice.
    pub fn entries(self) -> Option<Entries<'a>> {
        self.0.starts_with('{').then_some(Entries(Parts { text: self.0, at: 1 }))
    }
}

impl<'a> From<&'a RawValue> for Json<'a> {
    fn from(raw: &'a RawValue) -> Self {
        Self(raw.get())
    }
}

impl<'a> From<&'a Box<RawValue>> for Json<'a> {
    fn from(raw: &'a Box<RawValue>) -> Self {
        Self(raw.get())
    }
}

/// The elements of an array.
#[derive(Debug, Clone)]
pub struct Elements<'a>(Parts<'a>);

impl<'a> Elements<'a> {
    /// The elements of the array `text` from a [`position`](Self::position) on; 0 is its start.
    pub(crate) fn resume(text: &'a str, at: usize) -> Self {
        Self(Parts { text, at: at.max(1) })
    }

    /// Where the next element is looked for.
    pub(crate) fn position(&self) -> usize {
        self.0.at
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Json<'a>;

    #[inline]
    fn next(&mut self) -> Option<Json<'a>> {
        self.0.next()
    }
}

/// The entries of an object, keys as written (in quotes).
#[derive(Debug, Clone)]
pub struct Entries<'a>(Parts<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = (Json<'a>, Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.0.next()?))
    }
}

/// The values directly inside a container: commas and colons only separate.
#[derive(Debug, Clone)]
struct Parts<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parts<'a> {
    #[inline]
    fn next(&mut self) -> Option<Json<'a>> {
        let bytes = self.text.as_bytes();
        let mut start = self.at;
        while BETWEEN[usize::from(*bytes.get(start)?)] {
            start += 1;
        }
        let mut end = start;
        match bytes.get(start)? {
            b'"' => end = end_of_string(bytes, start),
            b'[' | b'{' => end = end_of_container(bytes, start).unwrap_or(bytes.len()),
            b']' | b'}' => return None,
            _ => {
                while bytes.get(end).is_some_and(|byte| !AFTER_SCALAR[usize::from(*byte)]) {
                    end += 1;
                }
            }
        }
        self.at = end;
        self.text.get(start..end).map(Json)
    }
}

/// The position after the list or object that starts at `start`; `None` if it does not end.
fn end_of_container(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    let mut depth = 0_u32;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = end_of_string(bytes, at - 1),
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth == 1 => return Some(at),
            b']' | b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The keys and values of an object whose values may be anything that has strings and brackets as JSON has them, such as
/// `NaN`; `None` if it is not whole.
pub(crate) fn lenient_entries(text: &str) -> Option<Entries<'_>> {
    let is_whole =
        text.starts_with('{') && end_of_container(text.as_bytes(), 0) == Some(text.len());
    is_whole.then_some(Entries(Parts { text, at: 1 }))
}

/// The same of the beginning of an object. The last value may be cut off.
pub(crate) fn entries_of_beginning(text: &str) -> Option<Entries<'_>> {
    text.starts_with('{').then_some(Entries(Parts { text, at: 1 }))
}

/// Bytes between values: commas, colons and white space.
const BETWEEN: [bool; 256] = table(b",: \t\r\n");
/// Bytes that end a number or a literal.
const AFTER_SCALAR: [bool; 256] = table(b",: \t\r\n]}");

const fn table(bytes: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut index = 0;
    while index < bytes.len() {
        table[bytes[index] as usize] = true;
        index += 1;
    }
    table
}

/// The position after the string whose opening quote is at `start`.
pub(crate) fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(offset) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        if bytes[at + offset] == b'"' {
            return at + offset + 1;
        }
        at += offset + 2;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            r#"[a-z"\\{}\[\],: é\n]{0,8}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(r#"[a-z"\\:,]{0,4}"#, inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_read_in_parts_is_the_same(value in any_value(), pretty: bool) {
            let text = if pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                value.to_string()
            };
            let json = Json::from(serde_json::from_str::<&RawValue>(&text).unwrap());
            let whole: Value = json.read().unwrap();
            let pieces = match (json.elements(), json.entries()) {
                (Some(elements), None) => elements.map(|e| e.read::<Value>().unwrap()).collect(),
                (None, Some(entries)) => Value::Object(
                    entries
                        .map(|(key, value)| {
                            (key.as_string().unwrap().into_owned(), value.read().unwrap())
                        })
                        .collect(),
                ),
                _ => json.read().unwrap(),
            };
            prop_assert_eq!(pieces, whole.clone());
            prop_assert_eq!(json.compact(), whole.to_string());
        }
    }
}
