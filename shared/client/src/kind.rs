//! Kinds of errors, by who must act.

/// Who must act on a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server returned an error, or something that is not a reply.
    Remote,
    /// No instance offers the method.
    NoSuchMethod,
    /// The call cannot be made as requested.
    Usage,
    /// No server could be reached, or the connection was lost.
    Unreachable,
    /// The deadline passed.
    Timeout,
}
