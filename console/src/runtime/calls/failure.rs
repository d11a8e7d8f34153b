//! Why a call failed, in the words of the screen.

use rpc_client::{CallError, Code, ErrorKind};
use rpc_console_core::model::calls::Failure;

use crate::runtime::secrets::Secrets;

/// `last` is the last message received.
pub(super) fn failure(error: &CallError, last: Option<&str>, secrets: &Secrets) -> Failure {
    let CallError::Remote { fault, .. } = error else {
        let kind = match error.kind() {
            ErrorKind::NoSuchMethod => "unknown method",
            ErrorKind::Usage => "not sent",
            ErrorKind::Unreachable => "unreachable",
            ErrorKind::Timeout => "timeout",
            _ => "invalid reply",
        };
        return Failure::new(kind, secrets.hide(error.to_string()));
    };
    let has_code = last.is_none_or(has_code);
    Failure {
        kind: match fault.code.meaning() {
            Some(meaning) if has_code => format!("{meaning} ({})", fault.code),
            None if has_code => format!("error {}", fault.code),
            // Concluded from its text.
            Some(meaning) => format!("{meaning}, no code (older dialect)"),
            None => "error, no code (older dialect)".to_owned(),
        },
        // Without the classic prefix, which is not part of the message.
        text: secrets.hide(match fault.code {
            Code::MethodNotFound => error.to_string(),
            _ => fault.message.clone(),
        }),
        retryable: last.and_then(is_retryable),
        data: fault.data.as_ref().map(|data| secrets.hide(data.to_string())),
    }
}

/// Whether a reply says a code; one that is not kept whole is taken to.
fn has_code(reply: &str) -> bool {
    let reply = serde_json::from_str::<serde_json::Value>(reply);
    reply.map_or(true, |reply| reply.pointer("/error/code").is_some())
}

/// What the error of a reply says about a retry.
fn is_retryable(reply: &str) -> Option<bool> {
    let reply: serde_json::Value = serde_json::from_str(reply).ok()?;
    reply.get("error")?.get("retryable")?.as_bool()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_never_came_is_not_shown() {
        let fault = rpc_client::Fault::from_classic_text("Argument error: f() takes 1").unwrap();
        let error = CallError::Remote { peer: "h:1".to_owned(), fault: Box::new(fault) };
        let kind = |reply: &str| failure(&error, Some(reply), &Secrets::default()).kind;
        assert!(!kind(r#"{"res":"Argument error: f() takes 1"}"#).contains("-32602"));
        let extended = r#"{"id":1,"res":"x","error":{"code":-32602,"message":"x"}}"#;
        assert!(kind(extended).contains("-32602"));
    }
}
