//! Why the files of TLS are not used; each message says what to do.

use std::path::PathBuf;

use crate::SERVICE_URI;
use crate::file::FileError;

/// Why the files of TLS are not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or others could change it.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not what it should be.
    #[error("{} {what}; {advice}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// What to do.
        advice: &'static str,
    },
    /// The own certificate is not valid now.
    #[error("the certificate in {} {when}; {advice}", .path.display())]
    NotValid {
        /// The file.
        path: PathBuf,
        /// Since or until when.
        when: String,
        /// What to do.
        advice: &'static str,
    },
    /// The key is another certificate's.
    #[error(
        "the key in {} does not belong to the certificate in {}; give the key that it was made with",
        .key.display(),
        .cert.display()
    )]
    KeyMismatch {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificate.
        cert: PathBuf,
    },
    /// One option needs another.
    #[error("{given} is set and {missing} is not; set both or neither")]
    Incomplete {
        /// The option that is set.
        given: &'static str,
        /// The option that is missing.
        missing: &'static str,
    },
    /// The system trusts nobody.
    #[error(
        "this system has no certificates of authorities{why}; give the file of one (tls_ca, --tls-ca FILE)"
    )]
    NoSystemRoots {
        /// Why, with a colon before it; empty: there is none.
        why: String,
    },
    /// The TLS library accepts neither.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// The certificate is not that of the service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is for {}, not for the service {expected} ({SERVICE_URI}{expected})", listed(.names))]
pub struct WrongService {
    /// The service that was expected.
    pub expected: String,
    /// The names and addresses in the certificate.
    pub names: Vec<String>,
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "nobody by name".to_owned(),
        names => names.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", "),
    }
}
