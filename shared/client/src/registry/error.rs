//! Why a registry could not be asked.

/// Why a registry could not be asked, or what it answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The URL is none.
    #[error("`{url}` is not a registry's URL: {why}; write http://host:port")]
    BadUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answered.
    #[error("cannot reach the registry at {url}: {reason}; check that it is running")]
    Unreachable {
        /// Where it should be.
        url: String,
        /// What happened.
        reason: String,
    },
    /// It answered too late.
    #[error("the registry at {url} did not answer in time; check that it is healthy")]
    Timeout {
        /// Where it is.
        url: String,
    },
    /// It refused.
    #[error("the registry at {url} answered {status}: {message}")]
    Refused {
        /// Where it is.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Its `error` text.
        message: String,
    },
    /// It is an older registry without this route.
    #[error("the registry at {url} is an older one without {path}; upgrade it to see this")]
    Unsupported {
        /// Where it is.
        url: String,
        /// The route.
        path: String,
    },
    /// The answer is not what that route answers.
    #[error("the registry at {url} answered with something else: {reason}; check the address")]
    BadAnswer {
        /// Where it is.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The answer is over a limit.
    #[error("an answer of the registry at {url} is larger than {limit} bytes; allow more")]
    TooLarge {
        /// Where it is.
        url: String,
        /// The limit.
        limit: usize,
    },
}
