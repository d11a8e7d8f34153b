//! A registry, two servers and a caller, each with a certificate of one authority, which this program makes: TLS
//! everywhere, and nobody is served without a certificate.
//!
//! `cargo run --example secure` makes the certificates in a temporary folder, makes calls, and stops. To do it with
//! `rpcd`, give each program its files (docs/tls.md).
#![expect(clippy::print_stdout, reason = "the output is what this program is for")]

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rpc_client::{Client, ClientOptions};
use rpc_registry::security::{ClientTlsOptions, Require, TlsOptions};
use rpc_registry::{Registry, RegistryOptions};
use rpc_server::{Announce, Server, rpc_method};

/// Adds two numbers.
#[rpc_method(read_only)]
fn plus(a: i64, b: i64) -> i64 {
    a + b
}

/// Who signs certificates.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "example authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let authority = Self { issuer, folder: folder.to_owned() };
        write(&authority.ca(), &authority.issuer.as_ref().pem())?;
        Ok(authority)
    }

    fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A certificate for these hosts and of a service, and its key, in two files.
    fn issue(
        &self,
        name: &str,
        hosts: &[&str],
        service: Option<&str>,
    ) -> anyhow::Result<[PathBuf; 2]> {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts)?;
        if let Some(service) = service {
            let uri = format!("rpcd://service/{service}").try_into()?;
            params.subject_alt_names.push(SanType::URI(uri));
        }
        let key = KeyPair::generate()?;
        let files = ["pem", "key"].map(|suffix| self.folder.join(format!("{name}.{suffix}")));
        write(&files[0], &params.signed_by(&key, &self.issuer)?.pem())?;
        write(&files[1], &key.serialize_pem())?;
        Ok(files)
    }

    /// What a daemon shows and demands: of everybody a certificate of this authority.
    fn daemon(&self, [cert, key]: [PathBuf; 2]) -> TlsOptions {
        TlsOptions {
            cert: Some(cert),
            key: Some(key),
            client_ca: Some(self.ca()),
            require: Require::Certificate,
            ..TlsOptions::default()
        }
    }

    /// Whom a client trusts, and what it shows.
    fn client(&self, [cert, key]: [PathBuf; 2]) -> ClientTlsOptions {
        ClientTlsOptions {
            ca: Some(self.ca()),
            cert: Some(cert),
            key: Some(key),
            ..ClientTlsOptions::default()
        }
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text)?;
    // A key that others can read is refused.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;

    let files = authority.issue("registry", &["127.0.0.1"], None)?;
    let options = RegistryOptions { tls: authority.daemon(files), ..RegistryOptions::default() };
    let registry = Registry::bind((Ipv4Addr::LOCALHOST, 0).into(), options).await?;
    let url = format!("https://{}", registry.local_addr());
    tokio::spawn(registry.serve(std::future::pending()));

    // Neither has the name of a host in its certificate: callers look for the service.
    let mut handles = Vec::new();
    for name in ["first", "second"] {
        let files = authority.issue(name, &[], Some("sums"))?;
        // Tokens, which say what a caller may do, go here: `.guard(…)` and `options.token`.
        let server = Server::builder()
            .name("sums")
            .method(plus::method())
            .tls(authority.daemon(files.clone()))
            .announce(Announce::to_secure(&url, authority.client(files))?)
            .bind((Ipv4Addr::LOCALHOST, 0))
            .await?;
        handles.push(server.handle());
        tokio::spawn(server.serve(std::future::pending()));
    }

    let files = authority.issue("caller", &["caller.example"], None)?;
    let options =
        ClientOptions { tls: true, tls_files: authority.client(files), ..ClientOptions::default() };
    let client = Client::through_registry(&url, options)?;
    while client.instances().len() < handles.len() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    println!("1 + 2 = {}", client.call("plus", (1, 2)).await?);
    client.close().await;

    // Without a certificate of its own a caller is told so.
    let tls_files = ClientTlsOptions { ca: Some(authority.ca()), ..ClientTlsOptions::default() };
    let options = ClientOptions { tls: true, tls_files, ..ClientOptions::default() };
    let stranger = Client::through_registry(&url, options)?;
    let refused = stranger.call("plus", (1, 2)).await.err().context("it was served")?;
    println!("refused: {}", refused.to_string().contains("of this side"));
    Ok(())
}
