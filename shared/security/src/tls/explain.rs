//! Why a handshake failed, in words for people.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, OtherError};

use super::error::WrongService;

/// Why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Whether it is about a certificate: the peer's, or the own one.
    pub is_certificate: bool,
    /// What happened, and what to do where that is known.
    pub text: String,
}

/// Why a handshake failed, or a connection of TLS.
pub fn explain(error: &Error) -> Explained {
    match error {
        Error::InvalidCertificate(error) => about(certificate(error)),
        Error::NoCertificatesPresented => about("it showed no certificate".to_owned()),
        Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            other("the peer speaks no version of TLS that is allowed here (tls_min_version)".to_owned())
        }
        Error::AlertReceived(alert) => match of_alert(*alert) {
            Some(why) => about(why.to_owned()),
            None => other(format!("the peer ended the handshake ({alert:?})")),
        },
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            other("the peer does not speak TLS; start it with a certificate ([tls] cert), or call it without TLS".to_owned())
        }
        error => other(error.to_string()),
    }
}

fn about(text: String) -> Explained {
    Explained { is_certificate: true, text }
}

fn other(text: String) -> Explained {
    Explained { is_certificate: false, text }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet".to_owned()
        }
        CertificateError::Revoked => "it was revoked".to_owned(),
        CertificateError::UnknownRevocationStatus => {
            "no list of revoked certificates is from its authority".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "no authority that is trusted here has issued it".to_owned()
        }
        CertificateError::NotValidForName => "it is for another host".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let given = match presented.is_empty() {
                true => "no host".to_owned(),
                false => {
                    presented.iter().take(8).map(|name| plain(name)).collect::<Vec<_>>().join(", ")
                }
            };
            format!("it is for {given}, not for {}", expected.to_str())
        }
        CertificateError::Other(OtherError(error)) => match error.downcast_ref::<WrongService>() {
            Some(wrong) => wrong.to_string(),
            None => error.to_string(),
        },
        error => error.to_string(),
    }
}

/// A name without its type: rustls writes `DnsName("host")`.
fn plain(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// What a peer says of the certificate that it was shown.
fn of_alert(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::CertificateRequired => {
            "the peer asks for one of this side; give it and its key (tls_cert, tls_key)"
        }
        AlertDescription::UnknownCA => "the peer does not know the authority of this side's",
        AlertDescription::CertificateExpired => "the peer finds that this side's has expired",
        AlertDescription::CertificateRevoked => "the peer finds that this side's was revoked",
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate => "the peer refuses this side's",
        _ => return None,
    })
}
