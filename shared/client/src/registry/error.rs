//! Why a request to a registry failed.

use rpc_wire::target::parse_address;

use crate::kind::ErrorKind;

/// Why a request to a registry failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryClientError {
    /// The URL is not valid.
    #[error("`{url}` is not a registry's URL: {why}; write {}", url_hint(.url))]
    BadUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The files for TLS cannot be used.
    #[cfg(feature = "tls")]
    #[error("cannot speak TLS to the registry: {0}")]
    Tls(rpc_security::tls::TlsError),
    /// It cannot be reached.
    #[error("cannot reach the registry at {url}: {reason}; check that it is running")]
    Unreachable {
        /// Its URL.
        url: String,
        /// What happened.
        reason: String,
    },
    /// TLS to it failed: who is there is not whom this client trusts, or it does not trust this client.
    #[error("there is no TLS with the registry at {url}: {reason}")]
    Insecure {
        /// Its URL.
        url: String,
        /// What happened, and what to do where that is known.
        reason: String,
    },
    /// It did not reply in time.
    #[error("the registry at {url} did not reply in time; check that it is healthy")]
    Timeout {
        /// Its URL.
        url: String,
    },
    /// It refused the request.
    #[error("the registry at {url} replied {status}: {message}{}", refused_hint(*.status))]
    Refused {
        /// Its URL.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Its `error` text.
        message: String,
    },
    /// It does not know who this is, or does not let them do it.
    #[error(
        "the registry at {url} does not allow this: {message}{}",
        if *.kept_back { "; the token was not sent, since others could read it on the way: use TLS, or set allow_plaintext_token" } else { "" }
    )]
    NotAllowed {
        /// Its URL.
        url: String,
        /// The HTTP status: 401 or 403.
        status: u16,
        /// Its `error` text.
        message: String,
        /// There is a token, which was not sent in plain text.
        kept_back: bool,
    },
    /// The token cannot be sent.
    #[error("the token cannot be sent: it must be one line of printable ASCII without spaces")]
    BadToken,
    /// A later start of a server is registered as the same address, or has unregistered it.
    #[error(
        "the registry at {url} knows a later start at this address ({}, incarnation {incarnation}); give each server an address of its own",
        if *.listed { "it is listed" } else { "it has unregistered" }
    )]
    Superseded {
        /// Its URL.
        url: String,
        /// The later start. One more takes the address back.
        incarnation: u64,
        /// Whether it is listed.
        listed: bool,
    },
    /// It has none of a registry's routes.
    #[error(
        "the program at {url} is not a registry (it replied 404 Not Found); check the URL, or call it directly if it is a server"
    )]
    NotARegistry {
        /// Its URL.
        url: String,
    },
    /// It is an older registry without this route.
    #[error("the registry at {url} is an older one without {path}; upgrade it to use this")]
    Unsupported {
        /// Its URL.
        url: String,
        /// The route.
        path: String,
    },
    /// The response is not valid for that route.
    #[error("the registry at {url} sent an invalid reply: {reason}; check the address")]
    BadReply {
        /// Its URL.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The response is over a limit.
    #[error("a reply of the registry at {url} is larger than {limit} bytes; raise {option}")]
    TooLarge {
        /// Its URL.
        url: String,
        /// The limit.
        limit: usize,
        /// The option that sets it.
        option: &'static str,
    },
}

impl RegistryClientError {
    /// Of a request to the registry at `url`.
    pub(super) fn of(error: &reqwest::Error, url: String) -> Self {
        if error.is_timeout() {
            return Self::Timeout { url };
        }
        let HttpFailure { reason, is_of_tls } = HttpFailure::of(error, &url);
        match is_of_tls {
            true => Self::Insecure { url, reason },
            false => Self::Unreachable { url, reason },
        }
    }

    /// The error of the first of several addresses, when all failed.
    pub(super) fn of_all(self, url: &str) -> Self {
        let url = url.to_owned();
        match self {
            Self::Unreachable { reason, .. } => Self::Unreachable { url, reason },
            Self::Insecure { reason, .. } => Self::Insecure { url, reason },
            Self::Timeout { .. } => Self::Timeout { url },
            other => other,
        }
    }

    /// Whether it is a refusal, of this side or of the registry: it does not let this client do it (401, 403), or one of
    /// the two does not trust the other. That is an answer, and not the want of one.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::NotAllowed { .. } | Self::Insecure { .. })
    }

    /// Whether the same request may succeed soon: there is no reply, or the registry says that it fails.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Insecure { .. } | Self::Timeout { .. } => true,
            Self::Refused { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// Who must act; a program's exit code follows from it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::BadUrl { .. } | Self::BadToken => ErrorKind::Usage,
            #[cfg(feature = "tls")]
            Self::Tls(_) => ErrorKind::Usage,
            Self::Unreachable { .. } | Self::Insecure { .. } => ErrorKind::Unreachable,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Refused { .. }
            | Self::NotAllowed { .. }
            | Self::Superseded { .. }
            | Self::NotARegistry { .. }
            | Self::Unsupported { .. }
            | Self::BadReply { .. }
            | Self::TooLarge { .. } => ErrorKind::Remote,
        }
    }
}

/// Why an HTTP request has no response, for people.
pub(crate) struct HttpFailure {
    pub(crate) reason: String,
    /// No secure connection could be made.
    pub(crate) is_of_tls: bool,
}

impl HttpFailure {
    /// Of a request to `url`.
    pub(crate) fn of(error: &reqwest::Error, url: &str) -> Self {
        // The innermost cause says what happened; the layers above only repeat the URL.
        let mut cause: &(dyn std::error::Error + 'static) = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        if error.is_body() || error.is_decode() {
            // The HTTP library's words for it are those of its parser.
            let reason = "it ended the connection in the middle of a reply".to_owned();
            return Self { reason, is_of_tls: false };
        }
        match words_of_tls(cause, url) {
            Some(reason) => Self { reason, is_of_tls: true },
            None => Self { reason: cause.to_string(), is_of_tls: false },
        }
    }
}

/// What happened in a handshake, for people.
#[cfg(feature = "tls")]
fn words_of_tls(cause: &(dyn std::error::Error + 'static), url: &str) -> Option<String> {
    if let Some(error) = error_of_tls(cause) {
        let explained = rpc_security::tls::explain(error);
        let about = if explained.is_certificate { "the certificate is refused: " } else { "" };
        return Some(format!("{about}{}", explained.text));
    }
    // In TLS 1.3 a side that wants a certificate says so after the handshake of the other, which may be
    // writing its request then and not hear it.
    let is_unheard = url.starts_with("https:") && cause.to_string().contains(NOT_READY);
    is_unheard.then(|| {
        "it ended the connection after the handshake; it may ask for a certificate of this side (tls_cert, \
         tls_key)"
            .to_owned()
    })
}

/// The error of TLS in one of a connection. What an `io::Error` carries is not its source, and may be another one.
#[cfg(feature = "tls")]
fn error_of_tls<'a>(
    cause: &'a (dyn std::error::Error + 'static),
) -> Option<&'a rpc_security::tls::rustls::Error> {
    let mut carried = cause;
    loop {
        if let Some(error) = carried.downcast_ref() {
            return Some(error);
        }
        carried = carried.downcast_ref::<std::io::Error>()?.get_ref()?;
    }
}

/// hyper's words for a connection that ended before its first request. It has no other sign.
#[cfg(feature = "tls")]
const NOT_READY: &str = "connection was not ready";

#[cfg(not(feature = "tls"))]
fn words_of_tls(_: &(dyn std::error::Error + 'static), _: &str) -> Option<String> {
    None
}

/// A registry never redirects; other web servers do.
fn refused_hint(status: u16) -> &'static str {
    if matches!(status, 300..=399) { "; check that this is a registry" } else { "" }
}

/// What was probably meant.
fn url_hint(url: &str) -> String {
    match parse_address(url) {
        Ok(_) => format!("http://{url}"),
        Err(_) => "http://host:port".to_owned(),
    }
}
