//! TLS towards etcd: both sides show certificates, and each that is wrong is a clear state.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rpc_tests::binaries::binary;
use rpc_tests::daemon::Daemon;
use rpc_tests::etcd::{Cluster, Tls};
use rpc_tests::eventually::eventually;
use rpc_tests::queries::lists;

use tokio::process::Command;

use super::shared_registries::{is_ready, readiness, registry_with, server};

/// Who signs certificates.
struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Its own certificate, in a file.
    fn in_file(&self, folder: &Path, name: &str) -> PathBuf {
        written(folder, &format!("{name}.pem"), &self.certificate.pem())
    }

    /// A certificate of `host`, and its key, in files.
    fn signs(&self, folder: &Path, name: &str, host: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let cert = written(folder, &format!("{name}.pem"), &certificate.pem());
        (cert, written(folder, &format!("{name}.key"), &key.serialize_pem()))
    }
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

#[tokio::test]
async fn etcd_is_reached_by_tls_and_each_wrong_certificate_is_a_clear_state() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (right, wrong) = (Authority::new("right"), Authority::new("wrong"));
    let ca = right.in_file(folder, "ca");
    let (cert, key) = right.signs(folder, "member", "127.0.0.1");
    let tls = Tls { ca: ca.clone(), cert, key };
    let Some(cluster) = Cluster::start_with(Some(tls)).await else { return };

    let (cert, key) = right.signs(folder, "registry", "registry.example");
    let text = |file: &Path| file.display().to_string();
    let (ca_text, cert_text, key_text) = (text(&ca), text(&cert), text(&key));
    let good = [
        ("ETCD_CA", ca_text.as_str()),
        ("ETCD_CERT", cert_text.as_str()),
        ("ETCD_KEY", key_text.as_str()),
    ];
    let (_a, a_at) = registry_with(&cluster, 0, &good).await;
    let (_b, b_at) = registry_with(&cluster, 0, &good).await;
    is_ready(a_at).await;
    let (_server, server_at) = server(&[a_at]).await;
    lists(b_at, &[server_at]).await;

    let says = async |at, what: &str| {
        eventually(what, async || {
            let said = readiness(at).await;
            said.contains("degraded")
                && said.contains("check ca, cert and key")
                && said.contains(what)
        })
        .await;
    };
    let other_ca = text(&wrong.in_file(folder, "other-ca"));
    let unknown = [("ETCD_CA", other_ca.as_str()), good[1], good[2]];
    let (_c, c_at) = registry_with(&cluster, 0, &unknown).await;
    says(c_at, "UnknownIssuer").await;
    let (_server, alone) = server(&[c_at]).await;
    lists(c_at, &[alone]).await;

    let (_d, d_at) = registry_with(&cluster, 0, &good[..1]).await;
    says(d_at, "alert").await;

    // Without `ca` those that the machine trusts sign.
    let mut command = Command::new(binary("rpcd"));
    command.args(["registry", "-p", "0", "-l", "127.0.0.1", "--store", "etcd"]);
    command.env("RPCD_ETCD_ENDPOINTS", cluster.endpoints()).env("SSL_CERT_FILE", &ca);
    command.env("RPCD_ETCD_CERT", &cert_text).env("RPCD_ETCD_KEY", &key_text);
    let f = Daemon::start("rpcd registry", command);
    let f_at = f.announced_address().await;
    is_ready(f_at).await;
    lists(f_at, &[server_at]).await;

    // One that etcd does not believe is replaced while the registry runs.
    let (mine, mine_key) = wrong.signs(folder, "mine", "registry.example");
    let (mine_text, mine_key_text) = (text(&mine), text(&mine_key));
    let replaced =
        [good[0], ("ETCD_CERT", mine_text.as_str()), ("ETCD_KEY", mine_key_text.as_str())];
    let (_e, e_at) = registry_with(&cluster, 0, &replaced).await;
    says(e_at, "alert").await;
    fs::copy(&cert, &mine).unwrap();
    fs::copy(&key, &mine_key).unwrap();
    is_ready(e_at).await;
    lists(e_at, &[server_at]).await;
}
