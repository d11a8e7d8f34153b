//! Why a command failed, and its exit code.

use rpc_client::registry::RegistryClientError;
use rpc_client::{AddressError, ArgsError, CallError, ClientError, Code, ErrorKind, Fault};
use rpc_host::logging::LogError;
use rpc_settings::SettingsError;
use serde_json::{Value, json};

/// A command's failure: one line for people, an exit code for scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened, to what, what to do next. Empty: print nothing.
    pub message: String,
    /// The message is a help text, printed as it is; for [`Exit::Done`] to standard output.
    pub is_help: bool,
    /// What the peer sent, where it sent an error.
    pub peer: Option<Box<PeerError>>,
    /// Standard output says it already, in JSON.
    pub is_printed: bool,
}

/// An error as a peer sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerError {
    /// Its code.
    pub code: i64,
    /// Its text.
    pub message: String,
    /// What it says beside.
    pub data: Option<Value>,
}

/// Exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: success; also help, and a closed output pipe.
    Done,
    /// 1: the call returned an error; a daemon failed.
    Failed,
    /// 2: the command line, a setting or an address is wrong.
    Usage,
    /// 3: unreachable; a daemon cannot listen.
    Unreachable,
    /// 4: timed out.
    Timeout,
}

impl Exit {
    /// Its number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Timeout => 4,
        }
    }

    /// Its name in JSON.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "remote",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
        }
    }
}

impl Failure {
    /// A failure of that kind.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), is_help: false, peer: None, is_printed: false }
    }

    /// Help or version instead of a command.
    pub fn help(exit: Exit, text: impl Into<String>) -> Self {
        Self { is_help: true, ..Self::new(exit, text) }
    }

    /// The command line, a setting or an address is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The same, which standard output says already.
    #[must_use]
    pub fn printed(self) -> Self {
        Self { is_printed: true, ..self }
    }

    /// One line of JSON: `{"error":{"code":…,"data":…,"kind":…,"message":…}}`.
    pub fn to_json(&self) -> String {
        let mut error = json!({"kind": self.exit.kind(), "message": self.message});
        if let Some(peer) = &self.peer {
            error["code"] = peer.code.into();
            error["message"] = peer.message.as_str().into();
            if let Some(data) = &peer.data {
                error["data"] = data.clone();
            }
        }
        json!({ "error": error }).to_string()
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::BadAddress(_) | ClientError::Registry(_) => Self::usage(error.to_string()),
            other => Self::new(Exit::Failed, other.to_string()),
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let exit = match error.kind() {
            ErrorKind::Usage => Exit::Usage,
            ErrorKind::Unreachable => Exit::Unreachable,
            ErrorKind::Timeout => Exit::Timeout,
            _ => Exit::Failed,
        };
        let mut failure = Self::new(exit, error.to_string());
        failure.peer = match error {
            CallError::Remote { fault, .. } => Some(Box::new((*fault).into())),
            CallError::NoSuchMethod { .. } => {
                let code = Code::MethodNotFound.number();
                let message = failure.message.clone();
                Some(Box::new(PeerError { code, message, data: None }))
            }
            _ => None,
        };
        failure
    }
}

impl From<Fault> for PeerError {
    fn from(fault: Fault) -> Self {
        let message = match fault.code {
            // The message is only the name of the method.
            Code::MethodNotFound => fault.classic_text(),
            _ => fault.message,
        };
        Self { code: fault.code.number(), message, data: fault.data }
    }
}

impl From<ArgsError> for Failure {
    fn from(error: ArgsError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<RegistryClientError> for Failure {
    fn from(error: RegistryClientError) -> Self {
        let exit = match &error {
            RegistryClientError::BadUrl { .. } => Exit::Usage,
            RegistryClientError::Unreachable { .. } => Exit::Unreachable,
            RegistryClientError::Timeout { .. } => Exit::Timeout,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(fault: Fault) -> CallError {
        CallError::Remote { peer: "127.0.0.1:8089".to_owned(), fault: fault.into() }
    }

    #[test]
    fn in_json_a_peers_error_keeps_code_and_data_and_the_kind_is_that_of_the_exit_code() {
        let fault = Fault::new(Code::Other(-5), "it broke").with_data(json!({"why": ["a"]}));
        let failure = Failure::from(remote(fault));
        assert_eq!(failure.message, "Error calling method: it broke");
        let said =
            r#"{"error":{"code":-5,"data":{"why":["a"]},"kind":"remote","message":"it broke"}}"#;
        assert_eq!(failure.to_json(), said);
        let failure = Failure::from(remote(Fault::method_not_found("nope")));
        let said =
            r#"{"error":{"code":-32601,"kind":"remote","message":"No service found for: nope"}}"#;
        assert_eq!(failure.to_json(), said);
        let late = remote(Fault::new(Code::DeadlineExceeded, "late"));
        assert!(Failure::from(late).to_json().contains(r#""kind":"timeout""#));
        let failure = Failure::usage("wrong");
        assert_eq!(failure.to_json(), r#"{"error":{"kind":"usage","message":"wrong"}}"#);
    }
}
