//! Handshakes in memory: who is accepted, and why others are not.

use std::fs::{Permissions, copy, remove_file, set_permissions, write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::SystemTime;

use rpc_tests::pki::{Authority, DAY, Issued, Subject};
use rustls::{ClientConnection, Connection, ServerConnection};

use super::provider::provider;
use super::*;
use crate::{ClientTlsOptions, FileError, Require, TlsOptions, TlsVersion};

fn options(issued: &Issued) -> TlsOptions {
    TlsOptions {
        cert: Some(issued.cert.clone()),
        key: Some(issued.key.clone()),
        ..TlsOptions::default()
    }
}

fn server(options: &TlsOptions) -> ServerTls {
    ServerTls::load(options).unwrap().unwrap()
}

fn client(ca: PathBuf, own: Option<&Issued>) -> ClientTls {
    ClientTls::load(&ClientTlsOptions {
        ca: Some(ca),
        cert: own.map(|own| own.cert.clone()),
        key: own.map(|own| own.key.clone()),
        ..ClientTlsOptions::default()
    })
    .unwrap()
}

/// Which side ended a handshake, and why.
#[derive(Debug, PartialEq)]
enum Failed {
    Client(Explained),
    Server(Explained),
}

/// The whole handshake, without a socket.
fn shake(client: ClientConnection, server: &ServerTls) -> Result<ServerConnection, Failed> {
    let mut client = Connection::from(client);
    let mut server = Connection::from(ServerConnection::new(server.config()).unwrap());
    while client.is_handshaking() || server.is_handshaking() || client.wants_write() {
        pass(&mut client, &mut server).map_err(|error| Failed::Server(explain(&error)))?;
        pass(&mut server, &mut client).map_err(|error| Failed::Client(explain(&error)))?;
    }
    match server {
        Connection::Server(server) => Ok(server),
        Connection::Client(_) => unreachable!(),
    }
}

fn pass(from: &mut Connection, to: &mut Connection) -> Result<(), rustls::Error> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut bytes = bytes.as_slice();
    while !bytes.is_empty() {
        to.read_tls(&mut bytes).unwrap();
        to.process_new_packets()?;
    }
    Ok(())
}

fn refused_by_client(result: Result<ServerConnection, Failed>) -> String {
    match result.map(drop) {
        Err(Failed::Client(Explained { is_certificate: true, text })) => text,
        other => panic!("{other:?}"),
    }
}

const HOST: ServerIdentity<'_> = ServerIdentity::Host("127.0.0.1");

fn service(name: &str) -> ServerIdentity<'_> {
    ServerIdentity::Service { name, at: "127.0.0.1" }
}

#[test]
fn a_server_is_verified_by_its_host_or_by_its_service() {
    let authority = Authority::new("a");
    let of_service = Subject {
        services: &["orders"],
        common_name: "127.0.0.1",
        ..Subject::of(&["orders.example"])
    };
    let issued = authority.issue("orders", &of_service);
    let tls = server(&options(&issued));
    let client = client(authority.ca(), None);
    let attempt = |expected| shake(client.connect(expected).unwrap(), &tls);

    attempt(ServerIdentity::Host("orders.example")).unwrap();
    attempt(service("orders")).unwrap();
    let wrong_host = refused_by_client(attempt(HOST));
    assert_eq!(wrong_host, "it is for orders.example, rpcd://service/orders, not for 127.0.0.1");
    let wrong_service = refused_by_client(attempt(service("order")));
    assert!(wrong_service.contains("rpcd://service/orders, orders.example"), "{wrong_service}");
    assert!(wrong_service.contains("not for the service order "), "{wrong_service}");
    // What names nobody is said as well.
    let tls = server(&options(&authority.issue("host", &Subject::of(&["127.0.0.1", "::1"]))));
    let by_address = refused_by_client(shake(client.connect(service("order")).unwrap(), &tls));
    assert!(by_address.starts_with("it is for 127.0.0.1, ::1, not for"), "{by_address}");
    // A host says nothing of a service, whatever the registry said.
    assert!(attempt(service("orders.example")).is_err());
    assert!(client.connect(ServerIdentity::Host("no host")).is_err());
}

#[test]
fn a_server_of_another_authority_or_time_is_refused_in_both_modes() {
    let (authority, other) = (Authority::new("a"), Authority::new("b"));
    let now = SystemTime::now();
    // Each certificate is valid when the server loads it.
    let cases = [
        (other.ca(), now, "no authority that is trusted here has issued it"),
        (authority.ca(), now - 2 * DAY, "it has expired"),
        (authority.ca(), now + 2 * DAY, "it is not valid yet"),
    ];
    for (ca, at, why) in cases {
        let (from, until) = (at - DAY, at + DAY);
        let subject = Subject { from, until, ..Subject::server(&["s"]) };
        let issued = authority.issue("s", &subject);
        let tls = ServerTls::load_at(&options(&issued), at).unwrap();
        for expected in [HOST, service("s")] {
            let result = shake(client(ca.clone(), None).connect(expected).unwrap(), &tls);
            assert_eq!(refused_by_client(result), why);
        }
    }
}

#[test]
fn a_client_is_known_by_its_alternative_names_and_never_by_its_common_name() {
    let authority = Authority::new("a");
    let own = authority.issue("server", &Subject::server(&[]));
    let options = TlsOptions {
        client_ca: Some(authority.ca()),
        require: Require::Certificate,
        ..options(&own)
    };
    let tls = server(&options);
    let subject = Subject {
        services: &["orders"],
        common_name: "rpcd://service/root",
        // Nor by a DNS name that looks like a URI: who may issue DNS names may not name services.
        ..Subject::of(&["ci.example", "rpcd://service/admin"])
    };
    let issued = authority.issue("client", &subject);
    let client = client(authority.ca(), Some(&issued));
    let done = shake(client.connect(HOST).unwrap(), &tls).unwrap();
    let peer = tls.client(done.peer_certificates().unwrap(), SystemTime::now()).unwrap();
    assert_eq!(peer.names(), ["rpcd://service/orders", "ci.example"]);
    assert_eq!(peer.service(), Some("orders"));
}

#[test]
fn a_client_without_a_certificate_of_an_accepted_authority_is_refused_where_one_is_required() {
    let (authority, other) = (Authority::new("a"), Authority::new("b"));
    let own = authority.issue("server", &Subject::server(&[]));
    let stranger = other.issue("client", &Subject::of(&["c"]));
    for (require, without) in [(Require::Certificate, false), (Require::Tls, true)] {
        let options = TlsOptions { client_ca: Some(authority.ca()), require, ..options(&own) };
        let tls = server(&options);
        let result = shake(client(authority.ca(), None).connect(HOST).unwrap(), &tls);
        assert_eq!(result.is_ok(), without, "{require:?}");
        // One that shows a wrong certificate is refused in either case.
        let result = shake(client(authority.ca(), Some(&stranger)).connect(HOST).unwrap(), &tls);
        let Err(Failed::Server(why)) = result.map(drop) else { panic!("accepted") };
        assert_eq!(why.text, "no authority that is trusted here has issued it");
    }
}

#[test]
fn a_revoked_or_expired_client_is_refused_and_one_that_was_accepted_is_not_accepted_any_more() {
    let authority = Authority::new("a");
    let own = authority.issue("server", &Subject::server(&[]));
    let first = authority.issue("first", &Subject::of(&["first"]));
    let second = authority.issue("second", &Subject::of(&["second"]));
    let crl = authority.revoke(&[]);
    let tls =
        server(&TlsOptions { client_ca: Some(authority.ca()), crl: Some(crl), ..options(&own) });
    let enter = |issued| shake(client(authority.ca(), Some(issued)).connect(HOST).unwrap(), &tls);
    let chain = enter(&first).unwrap().peer_certificates().unwrap().to_vec();
    let now = SystemTime::now();
    let peer = tls.client(&chain, now).unwrap();
    assert_eq!(tls.accepts(&peer, now + 91 * DAY), Err("it has expired".to_owned()));

    authority.revoke(&[&first]);
    assert_eq!(tls.reload(), Ok(true));
    assert_eq!(tls.accepts(&peer, now), Err("it was revoked".to_owned()));
    assert_eq!(tls.client(&chain, now).unwrap_err(), "it was revoked");
    let Err(Failed::Server(why)) = enter(&first).map(drop) else { panic!("accepted") };
    assert_eq!(why.text, "it was revoked");
    enter(&second).unwrap();
}

#[test]
fn a_daemon_does_not_start_with_files_that_are_wrong_and_says_which_and_why() {
    let authority = Authority::new("a");
    let (one, two) = (
        authority.issue("one", &Subject::server(&[])),
        authority.issue("two", &Subject::server(&[])),
    );
    let now = SystemTime::now();
    let missing = authority.folder().join("missing");
    let empty = authority.folder().join("empty");
    write(&empty, "").unwrap();
    let broken = authority.folder().join("broken");
    write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    for path in [&empty, &broken] {
        set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }
    let good = options(&one);
    let cases = [
        (TlsOptions { cert: None, ..good.clone() }, "key is set and cert is not"),
        (TlsOptions { key: None, ..good.clone() }, "cert is set and key is not"),
        (
            TlsOptions { require: Require::Tls, ..TlsOptions::default() },
            "require is set and cert is not",
        ),
        (
            TlsOptions { require: Require::Certificate, ..good.clone() },
            "require = certificate is set and client_ca is not",
        ),
        (TlsOptions { crl: Some(missing.clone()), ..good.clone() }, "crl is set and client_ca"),
        (TlsOptions { cert: Some(missing.clone()), ..good.clone() }, "missing: No such file"),
        (TlsOptions { cert: Some(empty.clone()), ..good.clone() }, "empty holds no certificate;"),
        (TlsOptions { cert: Some(broken.clone()), ..good.clone() }, "broken holds a certificate"),
        (TlsOptions { key: Some(empty.clone()), ..good.clone() }, "empty holds no private key"),
        (TlsOptions { key: Some(two.key.clone()), ..good.clone() }, "does not belong to the cert"),
        (TlsOptions { client_ca: Some(missing.clone()), ..good.clone() }, "missing: No such file"),
        (TlsOptions { client_ca: Some(broken.clone()), ..good.clone() }, "broken holds a cert"),
        (
            TlsOptions { client_ca: Some(authority.ca()), crl: Some(empty), ..good.clone() },
            "empty holds no list of revoked certificates;",
        ),
    ];
    for (options, why) in cases {
        let text = ServerTls::load(&options).unwrap_err().to_string();
        assert!(text.contains(why), "{text} is not {why}");
    }
    for (from, until, why) in [
        (now - 2 * DAY, now - DAY, "expired at 2"),
        (now + DAY, now + 2 * DAY, "not valid before 2"),
    ] {
        let issued = authority.issue("odd", &Subject { from, until, ..Subject::server(&[]) });
        let text = ServerTls::load(&options(&issued)).unwrap_err().to_string();
        assert!(text.contains(why), "{text} is not {why}");
        let own = ClientTlsOptions {
            ca: Some(authority.ca()),
            cert: Some(issued.cert),
            key: Some(issued.key),
            ..ClientTlsOptions::default()
        };
        assert!(ClientTls::load(&own).unwrap_err().to_string().contains(why));
    }
    assert!(ServerTls::load(&TlsOptions::default()).unwrap().is_none());
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let authority = Authority::new("a");
    let issued = authority.issue("one", &Subject::server(&[]));
    set_permissions(&issued.key, Permissions::from_mode(0o644)).unwrap();
    let error = ServerTls::load(&options(&issued)).unwrap_err();
    assert!(matches!(error, TlsError::File(FileError::Mode { .. })), "{error}");
}

#[test]
fn replaced_files_hold_from_the_next_handshake_and_wrong_ones_leave_the_former() {
    let authority = Authority::new("a");
    let issued = authority.issue("server", &Subject::server(&["old"]));
    let tls = server(&options(&issued));
    let client = client(authority.ca(), None);
    let serves = |name| shake(client.connect(service(name)).unwrap(), &tls).is_ok();
    assert_eq!(tls.reload(), Ok(false));
    assert!(serves("old") && !serves("new"));

    let kept = authority.folder().join("kept");
    copy(&issued.key, &kept).unwrap();
    write(&issued.key, "no key").unwrap();
    assert!(tls.reload().unwrap_err().to_string().contains("holds no private key"));
    assert_eq!(tls.reload(), Ok(false), "it is said once");
    assert!(serves("old"));
    remove_file(&issued.cert).unwrap();
    assert!(tls.reload().is_err());
    assert!(serves("old"));

    authority.issue("server", &Subject::server(&["new"]));
    assert_eq!(tls.reload(), Ok(true));
    assert!(serves("new") && !serves("old"));
}

#[test]
fn versions_before_1_3_are_spoken_only_if_both_sides_are_told_to() {
    let authority = Authority::new("a");
    let issued = authority.issue("server", &Subject::server(&[]));
    for (theirs, ours, works) in [
        (TlsVersion::V1_2, TlsVersion::V1_2, true),
        (TlsVersion::V1_2, TlsVersion::V1_3, true),
        (TlsVersion::V1_3, TlsVersion::V1_2, true),
    ] {
        let tls = server(&TlsOptions { min_version: theirs, ..options(&issued) });
        let options = ClientTlsOptions {
            ca: Some(authority.ca()),
            min_version: ours,
            ..ClientTlsOptions::default()
        };
        let client = ClientTls::load(&options).unwrap();
        let done = shake(client.connect(HOST).unwrap(), &tls);
        assert_eq!(done.is_ok(), works);
        assert_eq!(done.unwrap().protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    }
    // One that speaks nothing newer.
    let tls12 = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(super::files::roots(&authority.ca()).unwrap())
        .with_no_client_auth();
    let tls12 = std::sync::Arc::new(tls12);
    for (theirs, works) in [(TlsVersion::V1_2, true), (TlsVersion::V1_3, false)] {
        let tls = server(&TlsOptions { min_version: theirs, ..options(&issued) });
        let name = "127.0.0.1".try_into().unwrap();
        let client = ClientConnection::new(std::sync::Arc::clone(&tls12), name).unwrap();
        assert_eq!(shake(client, &tls).is_ok(), works, "{theirs:?}");
    }
}
