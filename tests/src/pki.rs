//! An authority, and certificates of every kind that one can issue, in files.

use std::fs::{Permissions, rename, set_permissions, write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
    date_time_ymd,
};

/// An authority with a folder of its own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

/// The files of a certificate, and what it can be revoked by.
#[derive(Debug, Clone)]
pub struct Issued {
    /// PEM file of the certificate.
    pub cert: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    serial: SerialNumber,
}

/// What a certificate says.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// DNS names and IP addresses.
    pub hosts: &'a [&'a str],
    /// Services, each as `rpcd://service/NAME`.
    pub services: &'a [&'a str],
    /// The common name, which nobody should look at.
    pub common_name: &'a str,
    /// From when it is valid.
    pub from: SystemTime,
    /// Until when.
    pub until: SystemTime,
}

static NEXT: AtomicU64 = AtomicU64::new(1000);

/// A day, of validity before and after now.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl<'a> Subject<'a> {
    /// A certificate of these hosts, valid now.
    pub fn of(hosts: &'a [&'a str]) -> Self {
        let now = SystemTime::now();
        Self { hosts, services: &[], common_name: "", from: now - DAY, until: now + 90 * DAY }
    }

    /// That of a server: 127.0.0.1, localhost, and a service.
    pub fn server(services: &'a [&'a str]) -> Self {
        Self { services, ..Self::of(&["127.0.0.1", "localhost"]) }
    }
}

/// A time, as rcgen wants it: the type is of a crate that is not needed for anything else.
macro_rules! time {
    ($at:expr) => {
        date_time_ymd(1970, 1, 1) + $at.duration_since(SystemTime::UNIX_EPOCH).unwrap()
    };
}

impl Authority {
    /// An authority of that name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        let authority = Self { issuer, folder: tempfile::tempdir().unwrap() };
        replace(&authority.ca(), &authority.issuer.as_ref().pem());
        authority
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file of its own certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder().join("ca.pem")
    }

    /// Issues a certificate into `NAME.pem` and `NAME.key`, in the place of an earlier one.
    pub fn issue(&self, name: &str, subject: &Subject<'_>) -> Issued {
        let hosts: Vec<String> = subject.hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.subject_alt_names.extend(
            subject.services.iter().map(|service| {
                SanType::URI(format!("rpcd://service/{service}").try_into().unwrap())
            }),
        );
        params.distinguished_name.push(DnType::CommonName, subject.common_name);
        let serial = SerialNumber::from(NEXT.fetch_add(1, Ordering::Relaxed));
        params.serial_number = Some(serial.clone());
        (params.not_before, params.not_after) = (time!(subject.from), time!(subject.until));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |suffix: &str| self.folder().join(format!("{name}.{suffix}"));
        let issued = Issued { cert: file("pem"), key: file("key"), serial };
        replace(&issued.key, &key.serialize_pem());
        replace(&issued.cert, &certificate.pem());
        issued
    }

    /// Revokes these, and no others: the file of the list.
    pub fn revoke(&self, issued: &[&Issued]) -> PathBuf {
        let now = SystemTime::now();
        let revoked = |issued: &&Issued| RevokedCertParams {
            serial_number: issued.serial.clone(),
            revocation_time: time!((now - DAY)),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: time!((now - DAY)),
            next_update: time!((now + DAY)),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: issued.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let file = self.folder().join("revoked.pem");
        replace(&file, &list.signed_by(&self.issuer).unwrap().pem().unwrap());
        file
    }
}

/// As a careful program replaces a file: at once.
fn replace(path: &Path, text: &str) {
    let next = path.with_extension("new");
    write(&next, text).unwrap();
    set_permissions(&next, Permissions::from_mode(0o600)).unwrap();
    rename(&next, path).unwrap();
}
