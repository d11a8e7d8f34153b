//! Whose fault a failed call is: what it says about the health of the instance that was called.

use rpc_wire::fault::Code;

use crate::CallError;

/// Whose fault a failed call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// Nobody is there, or it said that it takes no calls: it gets none from now on.
    Gone,
    /// The instance failed: it was lost, late, overloaded, or sent no valid reply.
    Instance,
    /// An error of the method. The instance's fault only where others do not return it.
    Method,
    /// The call was wrong, and the instance said so: a sign of health.
    Caller,
    /// No instance was called.
    Nobody,
}

impl Blame {
    /// By the error of one attempt. A full server refuses new connections and serves those it has.
    pub(crate) fn of(error: &CallError, is_connected: bool) -> Self {
        match error {
            CallError::Unreachable { .. } | CallError::Insecure { .. } => Self::Gone,
            CallError::Refused { .. } if !is_connected => Self::Gone,
            CallError::Remote { fault, .. } => match fault.code {
                Code::Draining | Code::Abandoned => Self::Gone,
                Code::Overloaded | Code::DeadlineExceeded => Self::Instance,
                Code::NotJson
                | Code::Malformed
                | Code::MethodNotFound
                | Code::BadArguments
                | Code::Cancelled
                | Code::TooLarge => Self::Caller,
                Code::MethodFailed | Code::Unauthorised | Code::Other(_) => Self::Method,
            },
            CallError::Refused { .. }
            | CallError::Timeout { .. }
            | CallError::ConnectionLost { .. }
            | CallError::QueueFull { .. }
            | CallError::BadReply { .. } => Self::Instance,
            CallError::ReplyTooLarge { .. }
            | CallError::NotExact { .. }
            | CallError::WrongType { .. }
            | CallError::TooLarge { .. }
            | CallError::TokenWithheld { .. }
            | CallError::Unsupported { .. }
            | CallError::NotInJsonRpc { .. } => Self::Caller,
            CallError::NoInstance { .. }
            | CallError::NoSuchMethod(_)
            | CallError::BadArguments(_)
            | CallError::Closed => Self::Nobody,
            #[cfg(feature = "registry")]
            CallError::Registry(_) => Self::Nobody,
            #[cfg(feature = "tower")]
            CallError::Layer(_) => Self::Nobody,
        }
    }
}
