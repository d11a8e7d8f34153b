//! The last list on disk: kept, and used by a client that cannot reach the registry.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rpc_client::registry::RegistryClientError;
use rpc_client::{
    CallError, Client, ClientOptions, ClientTlsOptions, ListCache, ListProblem, ListSource, Token,
};
use rpc_tests::reserved_port::ReservedPort;
use serde_json::{Value, json};

use crate::fake_registry::FakeRegistry;
use crate::fakes::{Peer, adder};
use crate::{eventually, options};

fn cached(folder: &Path) -> ClientOptions {
    let list_cache = ListCache::Folder(folder.join("made/here"));
    ClientOptions { list_cache, timeout: Duration::from_secs(1), ..options() }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder.join("made/here")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

async fn sum(client: &Client) -> Result<Value, CallError> {
    client.call("add", (1, 2)).await
}

/// A place for a registry whose list with this instance is on disk.
async fn kept(folder: &Path, peer: &Peer) -> ReservedPort {
    let place = ReservedPort::new();
    let registry = FakeRegistry::start(&place.address().to_string(), true).await;
    registry.list(&[peer.address]);
    let client = Client::through_registry(&registry.url(), cached(folder)).unwrap();
    assert_eq!(sum(&client).await.unwrap(), 3);
    client.close().await;
    place
}

#[tokio::test]
async fn a_client_that_makes_one_call_keeps_the_list_for_its_user_only() {
    let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
    kept(folder.path(), &peer).await;
    let [file] = &files(folder.path())[..] else { panic!("{:?}", files(folder.path())) };
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(file), mode(file.parent().unwrap())), (0o600, 0o700));
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(&peer.address.port().to_string()), "{text}");
}

#[tokio::test]
async fn a_new_client_calls_by_the_list_on_disk_while_the_registry_is_away_and_goes_on_asking() {
    let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
    let place = kept(folder.path(), &peer).await;
    let client = Client::through_registry(&place.url(), cached(folder.path())).unwrap();
    for _ in 0..20 {
        assert_eq!(sum(&client).await.unwrap(), 3);
    }
    let status = client.list_status().unwrap();
    assert_eq!((status.source, status.instances), (ListSource::Disk, 1));
    assert!(matches!(status.problem, Some(ListProblem::Registry(_))), "{status}");
    assert!(status.age.is_some_and(|age| age < Duration::from_secs(60)), "{status}");
    assert!(client.instances()[0].stale);

    let registry = FakeRegistry::start(&place.address().to_string(), false).await;
    let other = adder().await;
    registry.list(&[other.address]);
    eventually("the list is live", || client.list_status().unwrap().is_live()).await;
    assert_eq!(client.instances()[0].instance.port, other.address.port());
}

#[tokio::test]
async fn the_list_on_disk_is_used_however_the_registry_fails() {
    let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
    let failed = |status: &str| {
        format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    };
    let replies = ["500 Oops", "200 OK", "404 Not Found"].map(|status| Some(failed(status)));
    for reply in replies.into_iter().chain([None]) {
        let place = kept(folder.path(), &peer).await;
        let registry = FakeRegistry::start(&place.address().to_string(), false).await;
        match &reply {
            Some(reply) => registry.reply(reply),
            None => registry.hang(),
        }
        let client = Client::through_registry(&place.url(), cached(folder.path())).unwrap();
        // Within a second, while a request to the registry takes five.
        assert_eq!(sum(&client).await.unwrap(), 3, "{reply:?}");
        assert_eq!(client.list_status().unwrap().source, ListSource::Disk);
    }
}

fn refusal(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn a_refusal_is_an_answer_that_the_list_on_disk_does_not_replace() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
        let place = kept(folder.path(), &peer).await;
        let registry = FakeRegistry::start(&place.address().to_string(), false).await;
        registry.reply(refusal(status));
        let client = Client::through_registry(&place.url(), cached(folder.path())).unwrap();
        let error = sum(&client).await.unwrap_err();
        let is_said = matches!(&error, CallError::Registry(RegistryClientError::NotAllowed { .. }));
        assert!(is_said, "{error}");
        assert_eq!(client.list_status().unwrap().source, ListSource::None);
    }
}

#[tokio::test]
async fn a_refusal_ends_the_use_of_the_list_on_disk_and_leaves_one_that_the_registry_sent() {
    let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
    let place = kept(folder.path(), &peer).await;
    let client = Client::through_registry(&place.url(), cached(folder.path())).unwrap();
    assert_eq!(sum(&client).await.unwrap(), 3);
    assert_eq!(client.list_status().unwrap().source, ListSource::Disk);
    let registry = FakeRegistry::start(&place.address().to_string(), false).await;
    registry.reply(refusal("403 Forbidden"));
    eventually("it is refused", || client.instances().is_empty()).await;
    let error = sum(&client).await.unwrap_err();
    assert!(matches!(error, CallError::Registry(_)), "{error}");

    let registry = FakeRegistry::new_style().await;
    registry.list(&[peer.address]);
    let client = Client::through_registry(&registry.url(), cached(folder.path())).unwrap();
    assert_eq!(sum(&client).await.unwrap(), 3);
    registry.reply(refusal("403 Forbidden"));
    eventually("it is refused", || client.list_status().unwrap().problem.is_some()).await;
    assert_eq!(sum(&client).await.unwrap(), 3);
}

#[tokio::test]
async fn who_asks_shortly_what_is_offered_does_not_fall_back_on_the_list_on_disk() {
    let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
    let place = kept(folder.path(), &peer).await;
    let registry = FakeRegistry::start(&place.address().to_string(), false).await;
    registry.hang();
    let options = ClientOptions { timeout: Duration::from_secs(60), ..cached(folder.path()) };
    let client = Client::through_registry(&place.url(), options).unwrap();
    client.catalog_within(Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(client.list_status().unwrap().source, ListSource::None);
}

#[tokio::test]
async fn a_registry_that_lists_nobody_is_believed_if_nobody_of_the_list_on_disk_answers() {
    for answers in [true, false] {
        let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
        let place = kept(folder.path(), &peer).await;
        let _registry = FakeRegistry::start(&place.address().to_string(), true).await;
        if !answers {
            drop(peer);
        }
        let client = Client::through_registry(&place.url(), cached(folder.path())).unwrap();
        let result = sum(&client).await;
        let status = client.list_status().unwrap();
        if answers {
            let problem = Some(ListProblem::ListsNobody);
            assert_eq!((result, status.problem), (Ok(json!(3)), problem));
        } else {
            assert!(matches!(result, Err(CallError::NoInstance { .. })), "{result:?}");
            assert!(status.is_live(), "{status}");
        }
    }
}

#[tokio::test]
async fn a_registry_that_says_that_it_has_just_started_is_none() {
    let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
    let place = kept(folder.path(), &peer).await;
    let registry = FakeRegistry::start(&place.address().to_string(), false).await;
    registry.is_warming();
    let client = Client::through_registry(&place.url(), cached(folder.path())).unwrap();
    assert_eq!(sum(&client).await.unwrap(), 3);
    let status = client.list_status().unwrap();
    assert_eq!((status.source, status.problem), (ListSource::Disk, Some(ListProblem::Warming)));
}

#[tokio::test]
async fn what_the_registry_lists_counts_even_if_none_of_it_was_on_disk() {
    let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
    let place = kept(folder.path(), &peer).await;
    let registry = FakeRegistry::start(&place.address().to_string(), true).await;
    let other = adder().await;
    registry.list(&[other.address]);
    let client = Client::through_registry(&place.url(), cached(folder.path())).unwrap();
    assert_eq!(sum(&client).await.unwrap(), 3);
    let status = client.list_status().unwrap();
    assert_eq!((status.source, status.is_live()), (ListSource::Registry, true));
    assert_eq!(client.instances()[0].instance.port, other.address.port());
}

#[tokio::test]
async fn registries_and_services_have_files_of_their_own() {
    let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
    let registries = [FakeRegistry::old_style().await, FakeRegistry::old_style().await];
    for registry in &registries {
        let parameters = json!({"service": "orders"});
        registry.list_json(&json!([crate::fake_registry::entry(peer.address, parameters)]));
        for service in [None, Some("orders".to_owned())] {
            let options = ClientOptions { service, ..cached(folder.path()) };
            let client = Client::through_registry(&registry.url(), options).unwrap();
            assert_eq!(sum(&client).await.unwrap(), 3);
            client.close().await;
        }
    }
    assert_eq!(files(folder.path()).len(), 4);
}

#[tokio::test]
async fn who_shows_another_token_or_certificate_does_not_go_by_what_is_listed_to_others() {
    let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
    let place = ReservedPort::new();
    let registry = FakeRegistry::start(&place.address().to_string(), true).await;
    registry.list(&[peer.address]);
    let secret = "rpcd_0123456789abcdef0123456789abcdef";
    let shows = |secret: &str| ClientOptions {
        token: Some(Token::new(secret.into())),
        ..cached(folder.path())
    };
    let tls_files = ClientTlsOptions { cert: Some("own.pem".into()), ..Default::default() };
    let certified = ClientOptions { tls_files, ..cached(folder.path()) };
    let kept = async |options: &ClientOptions| {
        let client = Client::through_registry(&place.url(), options.clone()).unwrap();
        let result = sum(&client).await;
        client.close().await;
        result.is_ok()
    };
    assert!(kept(&shows(secret)).await);
    let names = files(folder.path());
    assert!(names.iter().all(|name| !name.to_str().unwrap().contains(&secret[5..])), "{names:?}");
    drop(registry);
    assert!(kept(&shows(secret)).await);
    for other in [shows("rpcd_fedcba9876543210fedcba9876543210"), certified, cached(folder.path())]
    {
        assert!(!kept(&other).await, "{other:?}");
    }
}

#[tokio::test]
async fn the_list_of_all_services_serves_for_one_of_them() {
    let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
    let place = ReservedPort::new();
    let registry = FakeRegistry::start(&place.address().to_string(), true).await;
    let dead = ReservedPort::new();
    let entry = |at, service| crate::fake_registry::entry(at, json!({"service": service}));
    registry.list_json(&json!([entry(peer.address, "orders"), entry(dead.address(), "users")]));
    let client = Client::through_registry(&registry.url(), cached(folder.path())).unwrap();
    assert_eq!(client.service("orders").call("add", (1, 2)).await.unwrap(), 3);
    client.close().await;
    drop(registry);
    for (service, instances) in [("orders", 1), ("carts", 0)] {
        let service = Some(service.to_owned());
        let options = ClientOptions { service, ..cached(folder.path()) };
        let client = Client::through_registry(&place.url(), options).unwrap();
        assert_eq!(sum(&client).await.is_ok(), instances > 0);
        assert_eq!(client.instances().len(), instances);
    }
}

#[tokio::test]
async fn a_list_is_written_once_however_often_it_is_confirmed() {
    let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
    let registry = FakeRegistry::old_style().await;
    registry.list(&[peer.address]);
    let client = Client::through_registry(&registry.url(), cached(folder.path())).unwrap();
    assert_eq!(sum(&client).await.unwrap(), 3);
    eventually("it is written", || !files(folder.path()).is_empty()).await;
    let file = files(folder.path()).remove(0);
    fs::remove_file(&file).unwrap();
    let before = registry.looks();
    eventually("it is asked again", || registry.looks() > before + 3).await;
    assert_eq!(files(folder.path()), [] as [PathBuf; 0], "nothing has changed");
    let other: SocketAddr = ReservedPort::new().address();
    registry.list(&[peer.address, other]);
    let port = other.port().to_string();
    let is_written = || fs::read_to_string(&file).is_ok_and(|text| text.contains(&port));
    eventually("the change is written", is_written).await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_or_read_disturbs_no_call() {
    let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
    fs::write(folder.path().join("made"), "a file where the folder should be").unwrap();
    let place = kept(folder.path(), &peer).await;
    let client = Client::through_registry(&place.url(), cached(folder.path())).unwrap();
    assert!(matches!(sum(&client).await, Err(CallError::Registry(_))));
}

#[tokio::test]
async fn a_damaged_or_untrusted_file_is_no_list() {
    let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
    let place = kept(folder.path(), &peer).await;
    let file = files(folder.path()).remove(0);
    let good = fs::read(&file).unwrap();
    let fails = async || {
        let client = Client::through_registry(&place.url(), cached(folder.path())).unwrap();
        matches!(sum(&client).await, Err(CallError::Registry(_)))
    };
    for bytes in [&b""[..], &b"\xff\xfe"[..], &good[..good.len() / 2], &vec![b'['; 5 << 20]] {
        fs::write(&file, bytes).unwrap();
        assert!(fails().await, "{} bytes", bytes.len());
    }
    fs::write(&file, &good).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(fails().await, "others could have written it");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!fails().await);
}

#[tokio::test]
async fn without_a_folder_nothing_is_kept() {
    let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
    let registry = FakeRegistry::old_style().await;
    registry.list(&[peer.address]);
    let options = ClientOptions { list_cache: ListCache::Off, ..cached(folder.path()) };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    assert_eq!(sum(&client).await.unwrap(), 3);
    client.close().await;
    assert_eq!(files(folder.path()), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn the_first_list_is_kept_even_of_a_registry_that_has_just_started_but_replaces_none() {
    let (folder, peer) = (tempfile::tempdir().unwrap(), adder().await);
    let registry = FakeRegistry::new_style().await;
    registry.is_warming();
    registry.list(&[peer.address]);
    let other = adder().await;
    // The second list may lack instances that the first one has.
    for listed in [&peer, &other] {
        registry.list(&[listed.address]);
        let client = Client::through_registry(&registry.url(), cached(folder.path())).unwrap();
        assert_eq!(sum(&client).await.unwrap(), 3);
        client.close().await;
    }
    eventually("a file is there", || fs::read_dir(folder.path()).unwrap().count() > 0).await;
    registry.hang();
    let client = Client::through_registry(&registry.url(), cached(folder.path())).unwrap();
    assert_eq!(sum(&client).await.unwrap(), 3);
    assert_eq!(client.instances()[0].instance.port, peer.address.port());
}

#[tokio::test]
async fn a_call_waits_for_a_registry_that_has_just_started_and_lists_nobody_yet() {
    let peer = adder().await;
    let registry = FakeRegistry::new_style().await;
    registry.is_warming();
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    let listed = async {
        eventually("the registry was asked", || registry.looks() > 0).await;
        registry.list(&[peer.address]);
    };
    let (sum, ()) = tokio::join!(sum(&client), listed);
    assert_eq!(sum.unwrap(), 3);
}
