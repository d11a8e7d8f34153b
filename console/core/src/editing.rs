//! Editing keys of one-line text fields.

use tui_input::{Input, InputRequest};

use crate::key::{Code, Key};

/// Maximum length of a field; more input is ignored.
pub(crate) const MAX_FIELD_BYTES: usize = 64 * 1024;

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
    for request in requests {
        let grows = matches!(request, InputRequest::InsertChar(_));
        if !grows || input.value().len() < MAX_FIELD_BYTES {
            input.handle(*request);
        }
    }
}
