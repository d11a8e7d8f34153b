//! What keys do to a text that is being typed.

use tui_input::{Input, InputRequest};

use crate::key::{Code, Key};

/// How much text a field holds; more is not taken.
pub(crate) const MAX_TYPED: usize = 64 * 1024;

/// What a key does to a text, if it does something only to texts.
pub(crate) fn editing(key: Key) -> Option<InputRequest> {
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

/// Whether a key does something to a text being typed.
pub(crate) fn edits(key: Key) -> bool {
    editing(key).is_some()
}

/// Does to a text what keys asked for.
pub(crate) fn apply(input: &mut Input, requests: &[InputRequest]) {
    for request in requests {
        let grows = matches!(request, InputRequest::InsertChar(_));
        if !grows || input.value().len() < MAX_TYPED {
            input.handle(*request);
        }
    }
}
