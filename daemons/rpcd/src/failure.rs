//! Why a command failed, and its exit code.

use rpc_client::registry::RegistryClientError;
use rpc_client::{AddressError, ArgsError, CallError, ClientError, ErrorKind};
use rpc_host::logging::LogError;
use rpc_settings::SettingsError;

/// A command's failure: one line for people, an exit code for scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened, to what, what to do next. Empty: print nothing.
    pub message: String,
    /// The message is a help text, printed as it is; for [`Exit::Done`] to standard output.
    pub is_help: bool,
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
}

impl Failure {
    /// A failure of that kind.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), is_help: false }
    }

    /// Help or version instead of a command.
    pub fn help(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, message: text.into(), is_help: true }
    }

    /// The command line, a setting or an address is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
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
            ErrorKind::Remote => Exit::Failed,
            ErrorKind::Usage => Exit::Usage,
            ErrorKind::Unreachable => Exit::Unreachable,
            ErrorKind::Timeout => Exit::Timeout,
        };
        Self::new(exit, error.to_string())
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
