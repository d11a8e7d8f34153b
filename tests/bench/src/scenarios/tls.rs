//! Calls inside TLS 1.3, and handshakes: rpcd beside a tokio-rustls server that echoes the same bytes.

use std::fs::{Permissions, set_permissions, write};
use std::os::unix::fs::PermissionsExt;
use std::rc::Rc;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};

use super::calls::MANY;
use crate::clients::Shape;
use crate::clients::bare::{self, Peer};
use crate::exchange::Exchange;
use crate::measure::Figures;
use crate::process::Server;
use crate::round::{Bench, Scenario};

/// All of them, with the same certificate.
///
/// # Errors
/// It cannot be made.
pub fn all() -> anyhow::Result<Vec<Scenario>> {
    let (classic, extended) = (Exchange::add_classic()?, Exchange::add_extended()?);
    let identity = Rc::new(Identity::new()?);
    let scenario = |key: &str, title: &str, exchange: &Exchange, shape| {
        let (identity, exchange) = (Rc::clone(&identity), exchange.clone());
        Scenario {
            key: key.to_owned(),
            title: format!("inside TLS: {title}"),
            measure: Box::new(move |round| {
                round.baseline("tokio-rustls, echo", |bench| {
                    let echo = Exchange::echo(exchange.request.clone());
                    let server =
                        bench.echo_in_tls(&identity.file("cert.pem"), &identity.file("key.pem"))?;
                    identity.load(bench, &server, &echo, shape)
                })?;
                round.row("rpcd, bare socket", |bench| {
                    let server = bench.rpcd(&[
                        "serve",
                        "--no-registry",
                        "--config",
                        &identity.file("config.ini"),
                    ])?;
                    identity.load(bench, &server, &exchange, shape)
                })
            }),
        }
    };
    Ok(vec![
        scenario("A", "1 connection, one call at a time", &classic, Shape::connections(1)),
        scenario("B", "1 connection, 64 calls in flight", &extended, Shape::in_flight(MANY)),
        scenario(
            "C",
            "64 connections, one call at a time each",
            &classic,
            Shape::connections(MANY),
        ),
        scenario("D", "a whole handshake for every call", &classic, Shape::RECONNECT),
    ])
}

/// A certificate for 127.0.0.1, and a client that trusts who issued it.
struct Identity {
    folder: tempfile::TempDir,
    client: Arc<ClientConfig>,
}

impl Identity {
    fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let cert = CertificateParams::new(["127.0.0.1".to_owned()])?.signed_by(&key, &authority)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.as_ref().der().clone())?;
        let mut client =
            ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        // Each handshake is a whole one.
        client.resumption = Resumption::disabled();
        let identity = Self { folder: tempfile::tempdir()?, client: Arc::new(client) };
        write(identity.file("cert.pem"), cert.pem())?;
        let key_file = identity.file("key.pem");
        write(&key_file, key.serialize_pem())?;
        set_permissions(&key_file, Permissions::from_mode(0o600))?;
        let settings = format!("[tls]\ncert = {}\nkey = {key_file}\n", identity.file("cert.pem"));
        write(identity.file("config.ini"), settings)?;
        Ok(identity)
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn load(
        &self,
        bench: &Bench,
        server: &Server,
        exchange: &Exchange,
        shape: Shape,
    ) -> anyhow::Result<Figures> {
        let peer = Peer::inside_tls(server.address(), Arc::clone(&self.client));
        let window = if shape.reconnect {
            bench.window_of_reconnecting(server)
        } else {
            bench.window(server)
        };
        bench.load(|| bare::run(peer, std::slice::from_ref(exchange), shape, window))
    }
}
