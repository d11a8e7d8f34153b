//! References of a schema to parts of itself: JSON pointers as fragments of URIs.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

/// What a fragment has not as it is.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The part of `root` that a `$ref` refers to: `#`, or `#/…`.
///
/// ```
/// # use rpc_wire::signature::referred;
/// let schema = serde_json::json!({"$defs": {"a/b c": {"type": "string"}}});
/// assert_eq!(referred(&schema, "#/$defs/a~1b%20c"), Some(&schema["$defs"]["a/b c"]));
/// assert_eq!(referred(&schema, "https://example.com/schema"), None);
/// ```
pub fn referred<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(&unescaped(reference.strip_prefix('#')?)?)
}

/// The name that one step of a reference stands for.
///
/// ```
/// assert_eq!(rpc_wire::signature::referred_name("a~1b%20c").as_deref(), Some("a/b c"));
/// ```
pub fn referred_name(step: &str) -> Option<String> {
    Some(unescaped(step)?.replace("~1", "/").replace("~0", "~"))
}

/// The step of a reference that stands for a name.
pub(super) fn step(name: &str) -> String {
    utf8_percent_encode(&name.replace('~', "~0").replace('/', "~1"), ESCAPED).to_string()
}

/// Without `%20` and the like; `None` if it is no text then.
fn unescaped(fragment: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(fragment).decode_utf8().ok()
}
