//! Editing keys of one-line text fields.

use tui_input::{Input, InputRequest};

use crate::key::{Code, Key};

/// Maximum length of a field; more input is ignored.
pub(crate) const MAX_FIELD_BYTES: usize = 64 * 1024;

/// Maximum length of a filter or a search: a JSONPath or a regex is compiled while it is typed, and one
/// of tens of kilobytes takes longer than a frame.
pub(crate) const MAX_FILTER_BYTES: usize = 2_048;

/// The edit that a key makes in a text field, if it makes one.
pub(crate) fn edit_request(key: Key) -> Option<InputRequest> {
    if let Some(c) = key.types() {
        return Some(InputRequest::InsertChar(c));
    }
    Some(match (key.ctrl, key.code) {
        (false, Code::Backspace) => InputRequest::DeletePrevChar,
        (false, Code::Delete) => InputRequest::DeleteNextChar,
        (false, Code::Left) => InputRequest::GoToPrevChar,
        (false, Code::Right) => InputRequest::GoToNextChar,
        (true, Code::Left) => InputRequest::GoToPrevWord,
        (true, Code::Right) => InputRequest::GoToNextWord,
        (false, Code::Home) | (true, Code::Char('a')) => InputRequest::GoToStart,
        (false, Code::End) | (true, Code::Char('e')) => InputRequest::GoToEnd,
        (true, Code::Char('u')) => InputRequest::DeleteLine,
        (true, Code::Char('w')) => InputRequest::DeletePrevWord,
        (true, Code::Char('k')) => InputRequest::DeleteTillEnd,
        _ => return None,
    })
}

/// Whether a key edits text.
pub(crate) fn edits(key: Key) -> bool {
    edit_request(key).is_some()
}

/// Applies edits to a field.
pub(crate) fn apply(input: &mut Input, requests: &[InputRequest]) {
    apply_within(MAX_FIELD_BYTES, input, requests);
}

/// Applies edits to a field of at most `limit` bytes.
pub(crate) fn apply_within(limit: usize, input: &mut Input, requests: &[InputRequest]) {
    for request in requests {
        let fits = match request {
            InputRequest::InsertChar(c) => input.value().len() + c.len_utf8() <= limit,
            _ => true,
        };
        if fits {
            input.handle(*request);
        }
    }
}
