//! Who signs the certificates of an example, and the files that they are in.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

/// Who signs certificates: everybody who is to be believed has one of it.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

/// The files of a certificate.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// A new one, whose files are in this folder.
    ///
    /// # Errors
    /// Its file cannot be written.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "example authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let authority = Self { issuer, folder: folder.to_owned() };
        write_private(&authority.ca(), &authority.issuer.as_ref().pem())?;
        Ok(authority)
    }

    /// The file of its own certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Issues a certificate for these hosts and of a service.
    ///
    /// # Errors
    /// A host or the service has no such name, or a file cannot be written.
    pub fn issue(
        &self,
        name: &str,
        hosts: &[&str],
        service: Option<&str>,
    ) -> anyhow::Result<Issued> {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts)?;
        if let Some(service) = service {
            let uri = format!("rpcd://service/{service}").try_into()?;
            params.subject_alt_names.push(SanType::URI(uri));
        }
        let key = KeyPair::generate()?;
        let file = |suffix: &str| self.folder.join(format!("{name}.{suffix}"));
        let issued = Issued { cert: file("pem"), key: file("key") };
        write_private(&issued.cert, &params.signed_by(&key, &self.issuer)?.pem())?;
        write_private(&issued.key, &key.serialize_pem())?;
        Ok(issued)
    }
}

/// Writes a file that nobody else can read: a key or a token that others can read is refused.
///
/// # Errors
/// It cannot be written.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}
