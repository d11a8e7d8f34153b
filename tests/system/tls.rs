//! TLS between real programs: who is believed, and what everybody else is told.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rpc_client::{Client, ClientOptions, ClientTlsOptions};
use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::eventually;
use rpc_tests::fakes;
use rpc_tests::pki::{Authority, DAY, Issued, Subject};
use rpc_tests::queries::lists;
use rpc_tests::raw;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn shows(issued: &Issued) -> [(&str, &str); 2] {
    [("TLS_CERT", text(&issued.cert)), ("TLS_KEY", text(&issued.key))]
}

/// Those of a client.
fn as_client(issued: &Issued) -> [(&str, &str); 2] {
    [("CLIENT_TLS_CERT", text(&issued.cert)), ("CLIENT_TLS_KEY", text(&issued.key))]
}

/// Runs `rpcd` to its end: the exit code, and all that it said.
async fn rpcd(settings: &[(&str, &str)], arguments: &str) -> (i32, String) {
    let mut daemon = Daemon::rpcd_with(settings, arguments.split_whitespace());
    let code = daemon.exit_code().await;
    (code, format!("{}{}", daemon.stdout().text(), daemon.stderr().text()))
}

fn done() -> (i32, String) {
    (0, "13".to_owned()) // 1 + 2, and the default of its third parameter
}

#[tokio::test]
async fn a_server_speaks_tls_and_plain_text_on_one_port_and_is_verified_by_its_host() {
    let (authority, other) = (Authority::new("a"), Authority::new("b"));
    let issued = authority.issue("server", &Subject::server(&["sums"]));
    let (_server, at) = Daemon::server_with(&shows(&issued), &["--no-registry"]).await;
    let call = format!("call add 1 2 -p {}", at.port());
    let secure = |ca: &Path| format!("{call} --tls --tls-ca {}", ca.display());

    assert_eq!(rpcd(&[], &call).await, done());
    assert_eq!(rpcd(&[], &secure(&authority.ca())).await, done());
    let (code, said) = rpcd(&[], &secure(&other.ca())).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("certificate is refused: no authority"), "{said}");

    let elsewhere = authority.issue("elsewhere", &Subject::of(&["elsewhere.example"]));
    let (_other, at) = Daemon::server_with(&shows(&elsewhere), &["--no-registry"]).await;
    let ca = authority.ca();
    let call = format!("call add 1 2 -p {} --tls --tls-ca {}", at.port(), ca.display());
    let (code, said) = rpcd(&[], &call).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("it is for elsewhere.example, not for 127.0.0.1"), "{said}");
}

#[tokio::test]
async fn what_speaks_no_tls_is_not_called_in_plain_text() {
    let authority = Authority::new("a");
    let (_server, at) = Daemon::server(&["--no-registry"]).await;
    let ca = authority.ca();
    let call = format!("call add 1 2 -p {} --tls --tls-ca {}", at.port(), ca.display());
    let (code, said) = rpcd(&[], &call).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("may not speak TLS"), "{said}");

    // Nobody names a file for TLS and wants plain text.
    let own = authority.issue("own", &Subject::of(&["ci.example"]));
    let plain = format!("call add 1 2 -p {}", at.port());
    let by_flag = format!("{plain} --tls-ca {}", ca.display());
    let (ca, cert) = ([("CLIENT_TLS_CA", text(&ca))], as_client(&own));
    for (settings, line) in [(&[][..], &by_flag), (&ca[..], &plain), (&cert[..], &plain)] {
        let (code, said) = rpcd(settings, line).await;
        assert_ne!(code, 0, "{line}: {said}");
    }
    let (code, said) = rpcd(&[], &format!("{plain} --tls-ca missing.pem")).await;
    assert!(code == 2 && said.contains("missing.pem"), "{code}: {said}");
}

#[tokio::test]
async fn where_tls_is_required_plain_text_gets_one_error_and_the_end() {
    let authority = Authority::new("a");
    let issued = authority.issue("server", &Subject::server(&["sums"]));
    let [cert, key] = shows(&issued);
    let settings = [cert, key, ("TLS_REQUIRE", "tls")];
    let (_server, at) = Daemon::server_with(&settings, &["--no-registry"]).await;
    let (code, said) = rpcd(&[], &format!("call add 1 2 -p {}", at.port())).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("this server takes TLS only"), "{said}");

    let mut plain = raw::Raw::connect(at).await;
    plain.send(br#"{"id":7,"method_name":"add","method_args":[1,2],"method_kwargs":{}}"#).await;
    let reply = plain.rest().await;
    let reply = String::from_utf8_lossy(&reply).into_owned();
    assert!(reply.contains("\"id\":7") && reply.contains("-32004"), "{reply}");
    let mut web = raw::Raw::connect(at).await;
    web.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
    let reply = String::from_utf8_lossy(&web.rest().await).into_owned();
    assert!(reply.starts_with("HTTP/1.1 403 "), "{reply}");

    let (_registry, at) = Daemon::registry_with(&settings, 0, &[]).await;
    let (code, said) = rpcd(&[], &format!("instances --registry http://{at}")).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("this registry takes TLS only"), "{said}");
}

#[tokio::test]
async fn behind_a_registry_a_server_is_verified_by_its_service() {
    let authority = Authority::new("a");
    let ca = authority.ca();
    // No host in either: the registry could name any.
    let sums =
        authority.issue("sums", &Subject { services: &["sums"], ..Subject::of(&["sums.example"]) });
    let registry = authority.issue("registry", &Subject::server(&[]));
    let (_registry, at) = Daemon::registry_with(&shows(&registry), 0, &[]).await;
    let url = format!("https://localhost:{}", at.port());
    let trust = ("CLIENT_TLS_CA", text(&ca));
    let further = ["--registry", &url, "--service", "sums"];
    let [cert, key] = shows(&sums);
    let (first, sums_at) = Daemon::server_with(&[cert, key, trust], &further).await;
    lists(at, &[sums_at]).await;
    let call = format!("call add 1 2 --tls --tls-ca {} --registry {url}", ca.display());
    assert_eq!(rpcd(&[], &call).await, done());
    drop(first);

    // Another one, with a good certificate, says that it is of that service.
    let other = Subject { services: &["other"], ..Subject::of(&["localhost"]) };
    let other = authority.issue("other", &other);
    let [cert, key] = shows(&other);
    let (_impostor, impostor_at) = Daemon::server_with(&[cert, key, trust], &further).await;
    lists(at, &[impostor_at]).await;
    let (code, said) = rpcd(&[], &call).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("it is for rpcd://service/other, localhost"), "{said}");
    assert!(said.contains("not for the service sums"), "{said}");
}

#[tokio::test]
async fn a_registry_that_is_not_trusted_is_not_replaced_by_the_list_on_disk() {
    let (authority, other) = (Authority::new("a"), Authority::new("b"));
    let issued = authority.issue("house", &Subject::server(&["sums"]));
    let (_registry, at) = Daemon::registry_with(&shows(&issued), 0, &[]).await;
    let url = format!("https://{at}");
    let [cert, key] = shows(&issued);
    let ca = authority.ca();
    let settings = [cert, key, ("CLIENT_TLS_CA", text(&ca))];
    let further = ["--registry", &url, "--service", "sums"];
    let (_server, server_at) = Daemon::server_with(&settings, &further).await;
    lists(at, &[server_at]).await;
    let lists = tempfile::tempdir().unwrap();
    let kept = [("CLIENT_LIST_CACHE", text(lists.path()))];
    let call =
        |ca: &Path| format!("call add 1 2 --registry {url} --timeout 5s --tls-ca {}", ca.display());
    assert_eq!(rpcd(&kept, &call(&ca)).await, done());
    assert_eq!(std::fs::read_dir(lists.path()).unwrap().count(), 1);
    let (code, said) = rpcd(&kept, &call(&other.ca())).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("there is no TLS with the registry"), "{said}");
    assert!(!said.contains("disk") && !said.contains("meanwhile"), "{said}");
}

#[tokio::test]
async fn a_client_shows_a_certificate_where_one_is_required() {
    let (authority, other) = (Authority::new("a"), Authority::new("b"));
    let issued = authority.issue("server", &Subject::server(&["sums"]));
    let own = authority.issue("client", &Subject::of(&["ci.example"]));
    let stranger = other.issue("client", &Subject::of(&["ci.example"]));
    let ca = authority.ca();
    let crl = authority.revoke(&[]);
    let [cert, key] = shows(&issued);
    let settings = [
        cert,
        key,
        ("TLS_CLIENT_CA", text(&ca)),
        ("TLS_CRL", text(&crl)),
        ("TLS_REQUIRE", "certificate"),
    ];
    let (_server, at) = Daemon::server_with(&settings, &["--no-registry"]).await;
    let call = format!("call add 1 2 -p {} --tls --tls-ca {}", at.port(), ca.display());
    assert_eq!(rpcd(&as_client(&own), &call).await, done());
    let (code, said) = rpcd(&[], &call).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("the peer asks for one of this side"), "{said}");
    let (code, said) = rpcd(&as_client(&stranger), &call).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("the certificate is refused: the peer"), "{said}");

    authority.revoke(&[&own]);
    eventually("the client is refused that was revoked", async || {
        let (code, said) = rpcd(&as_client(&own), &call).await;
        code == 3 && said.contains("the peer finds that this side's was revoked")
    })
    .await;
}

#[tokio::test]
async fn health_is_asked_inside_tls() {
    let (authority, other) = (Authority::new("a"), Authority::new("b"));
    let issued = authority.issue("server", &Subject::server(&["sums"]));
    let own = authority.issue("client", &Subject::of(&["ci.example"]));
    let ca = authority.ca();
    let [cert, key] = shows(&issued);
    let asks = [cert, key, ("TLS_CLIENT_CA", text(&ca)), ("TLS_REQUIRE", "certificate")];
    for (settings, is_known) in [(&[cert, key, ("TLS_REQUIRE", "tls")][..], true), (&asks, false)] {
        let (_server, server) = Daemon::server_with(settings, &["--no-registry"]).await;
        let (_registry, registry) = Daemon::registry_with(settings, 0, &[]).await;
        for at in [server, registry] {
            let trusting = |ca: &Path| format!("--tls --tls-ca {}", ca.display());
            let ok = (0, "ok".to_owned());
            for line in [
                format!("health {at} {}", trusting(&ca)),
                format!("health -p {} {}", at.port(), trusting(&ca)),
                format!("health --registry https://{at} {}", trusting(&ca)),
            ] {
                assert_eq!(rpcd(&as_client(&own), &line).await, ok, "{line}");
                let (code, said) = rpcd(&[], &line).await;
                assert_eq!(code, if is_known { 0 } else { 3 }, "{line}: {said}");
                assert!(is_known || said.contains("asks for one of this side"), "{line}: {said}");
            }
            let (code, said) = rpcd(&[], &format!("health {at} {}", trusting(&other.ca()))).await;
            assert!(code == 3 && said.contains("certificate is refused: no authority"), "{said}");
            // Nothing is known of its health.
            let (code, said) = rpcd(&[], &format!("health {at}")).await;
            assert!(code == 3 && said.contains("takes TLS only; add --tls"), "{said}");
            let own = as_client(&own);
            let [cert, key] = own;
            let settings = [cert, key, ("CLIENT_TLS", "true"), ("CLIENT_TLS_CA", text(&ca))];
            assert_eq!(rpcd(&settings, &format!("health {at}")).await, ok);
        }
    }
    let (_plain, at) = Daemon::server(&["--no-registry"]).await;
    let (code, said) = rpcd(&[], &format!("health {at} --tls --tls-ca {}", ca.display())).await;
    assert!(code == 3 && said.contains("may not speak TLS"), "{said}");
}

#[tokio::test]
async fn a_daemon_whose_certificate_cannot_be_used_does_not_start() {
    let authority = Authority::new("a");
    let now = std::time::SystemTime::now();
    let over = Subject { from: now - 2 * DAY, until: now - DAY, ..Subject::server(&[]) };
    let over = authority.issue("over", &over);
    let good = authority.issue("good", &Subject::server(&[]));
    let missing = authority.folder().join("missing");
    let garbage = authority.folder().join("garbage");
    std::fs::write(&garbage, "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----").unwrap();
    let shown = shows(&good);
    let ca = authority.ca();
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[shown[0], shown[1], ("TLS_CLIENT_CA", text(&garbage))], "garbage"),
        (
            &[shown[0], shown[1], ("TLS_CLIENT_CA", text(&ca)), ("TLS_CRL", text(&missing))],
            "missing: No such",
        ),
        (&[shown[0], shown[1], ("TLS_REQUIRE", "certificate")], "client_ca is not"),
        (&shows(&over), "expired at 2"),
        (&[("TLS_CERT", text(&good.cert)), ("TLS_KEY", text(&over.key))], "does not belong to"),
        (
            &[shows(&good)[0], shows(&good)[1], ("TLS_CLIENT_CA", text(&missing))],
            "missing: No such",
        ),
        (&[("TLS_REQUIRE", "tls")], "require is set and cert is not"),
    ];
    for (settings, why) in cases {
        for daemon in ["serve --no-registry", "registry --store none"] {
            let (code, said) = rpcd(settings, &format!("{daemon} -p 0 -l 127.0.0.1")).await;
            assert_eq!(code, 2, "{said}");
            assert!(
                said.contains("[tls]: cannot serve TLS") && said.contains(why),
                "{said}: {why}"
            );
        }
    }
}

#[tokio::test]
async fn certificates_are_replaced_under_load_without_a_failed_call() {
    let authority = Authority::new("a");
    let issue = || authority.issue("server", &Subject::server(&["sums"]));
    let issued = issue();
    let own = authority.issue("client", &Subject::of(&["ci.example"]));
    let ca = authority.ca();
    let [cert, key] = shows(&issued);
    let settings = [cert, key, ("TLS_CLIENT_CA", text(&ca)), ("TLS_REQUIRE", "certificate")];
    let (server, at) = Daemon::server_with(&settings, &["--no-registry"]).await;
    let tls_files = ClientTlsOptions {
        ca: Some(ca.clone()),
        cert: Some(own.cert.clone()),
        key: Some(own.key.clone()),
        ..ClientTlsOptions::default()
    };
    let options = ClientOptions { tls: true, tls_files, ..ClientOptions::default() };
    let kept = Client::direct(at.to_string(), options.clone()).unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let ended = stop.clone();
    let load = tokio::spawn(async move {
        let mut calls = 0;
        while !ended.is_cancelled() {
            kept.call("add", (1, 2)).await.unwrap();
            // A handshake each.
            let new = Client::direct(at.to_string(), options.clone()).unwrap();
            new.call("add", (1, 2)).await.unwrap();
            new.close().await;
            calls += 2;
        }
        calls
    });
    for replaced in 1..=2 {
        issue();
        authority.issue("client", &Subject::of(&["ci.example"]));
        eventually("the server uses the new files", async || {
            let log = server.stderr().text() + &server.stdout().text();
            log.matches("the files for TLS were replaced").count() >= replaced
        })
        .await;
    }
    stop.cancel();
    let calls = load.await.unwrap();
    assert!(calls > 20, "{calls}");
}

/// A registry in plain text with one instance, whose replies to those of the requests that are `late` come after
/// `delay`.
async fn slow_registry(
    service: &str,
    at: SocketAddr,
    late: &'static str,
    delay: Duration,
) -> fakes::Peer {
    let list = json!([{"protocol": "json", "host": "127.0.0.1", "port": at.port(), "status": true,
        "parameters": {"service": service, "wire": 1, "tls": "offered"}}]);
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n";
    let list = list.to_string();
    let reply = format!("{head}Content-Length: {}\r\n\r\n{list}", list.len());
    fakes::scripted(move |_, mut stream, _| {
        let reply = reply.clone();
        async move {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap() == 0 {
                    return;
                }
            }
            if String::from_utf8_lossy(&request).contains(late) {
                tokio::time::sleep(delay).await;
            }
            // Who asked may have ended.
            let _ = stream.write_all(reply.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

#[tokio::test]
async fn statistics_and_logs_are_of_who_proves_the_service_also_before_the_client_has_its_list() {
    let authority = Authority::new("a");
    let ca = authority.ca();
    let impostor = authority.issue("other", &Subject::server(&["other"]));
    let sums = authority.issue("sums", &Subject { services: &["sums"], ..Subject::of(&[]) });
    let (_impostor, impostor) = Daemon::server_with(&shows(&impostor), &["--no-registry"]).await;
    let (_sums, sums) = Daemon::server_with(&shows(&sums), &["--no-registry"]).await;
    for (at, is_it) in [(impostor, false), (sums, true)] {
        // Only the client's own list is of one service.
        let registry = slow_registry("sums", at, "service=", Duration::from_secs(600)).await;
        let url = format!("http://{}", registry.address);
        let ca = ca.display();
        for command in ["stats", "logs --no-follow"] {
            let line = format!("{command} --service sums --registry {url} --tls --tls-ca {ca}");
            let (code, said) = rpcd(&[], &line).await;
            assert_eq!(code, if is_it { 0 } else { 3 }, "{line}: {said}");
            assert!(is_it || said.contains("not for the service sums"), "{line}: {said}");
        }
    }
}

#[tokio::test]
async fn an_address_that_somebody_names_is_verified_as_it_is_listed_once_the_registry_has_said_so()
{
    let authority = Authority::new("a");
    let ca = authority.ca();
    let sums = authority.issue("sums", &Subject { services: &["sums"], ..Subject::of(&[]) });
    let (_sums, at) = Daemon::server_with(&shows(&sums), &["--no-registry"]).await;
    let registry = slow_registry("sums", at, "GET ", Duration::from_millis(300)).await;
    let line = format!("stats {at} --registry http://{} --tls --tls-ca", registry.address);
    let (code, said) = rpcd(&[], &format!("{line} {}", ca.display())).await;
    assert_eq!(code, 0, "{said}");
}
