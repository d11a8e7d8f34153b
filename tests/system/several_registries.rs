//! Servers and clients with several registries: one fails, and they go on with another.

use std::time::{Duration, Instant};

use rpc_client::{Client, ClientOptions};
use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::{eventually, eventually_within};
use rpc_tests::queries::{find_all, lists};
use rustix::process::Signal;

const BEAT: Duration = Duration::from_secs(1);
/// With the jitter of a beat and the work of a loaded machine.
const ONE_BEAT: Duration = Duration::from_millis(2500);
/// A beat that gets no reply is given up after this time.
const BEAT_TIMEOUT: Duration = Duration::from_secs(3);

const BEATS: (&str, &str) = ("SERVER_HEARTBEAT_INTERVAL", "1s");
const NO_STORE: &[&str] = &["--store", "none"];

#[tokio::test]
async fn servers_beat_at_another_registry_within_one_beat_and_no_call_is_lost() {
    for (how, limit) in [(Signal::KILL, ONE_BEAT), (Signal::STOP, ONE_BEAT + BEAT_TIMEOUT)] {
        let (first, first_at) = Daemon::registry(NO_STORE).await;
        let (second, second_at) = Daemon::registry(NO_STORE).await;
        let also = second_at.to_string();
        let settings = [BEATS, ("REGISTRY_ALSO", also.as_str())];
        let url = format!("http://{first_at}");
        let (_one, one) = Daemon::server_with(&settings, &["--registry", &url]).await;
        let (_two, two) = Daemon::server_with(&settings, &["--registry", &url]).await;
        lists(first_at, &[one, two]).await;
        assert_eq!(find_all(second_at).await, [], "only one of them gets the beats");

        let refresh_interval = Duration::from_millis(200);
        let options = ClientOptions { refresh_interval, ..Default::default() };
        let client = Client::through_registry(&format!("{url},{also}"), options).unwrap();
        client.call("add", (1, 2)).await.unwrap();

        first.signal(how);
        let since = Instant::now();
        eventually_within(limit, "they beat at the other one", async || {
            client.call("add", (1, 2)).await.unwrap();
            find_all(second_at).await.len() == 2
        })
        .await;
        lists(second_at, &[one, two]).await;
        eventually("the list is that of the other one", async || {
            client.call("add", (1, 2)).await.unwrap();
            let instances = client.instances();
            let is_live = instances
                .iter()
                .all(|known| !known.stale && known.listed.is_some_and(|age| age < since.elapsed()));
            is_live && instances.len() == 2
        })
        .await;
        client.close().await;

        // A new server and a new client find the other one, too.
        let (_three, three) = Daemon::server_with(&settings, &["--registry", &url]).await;
        lists(second_at, &[one, two, three]).await;
        // One that is stopped does not cost the whole time.
        let mut instances =
            Daemon::rpcd_with(&settings, ["instances", "--registry", &url, "--timeout", "5m"]);
        assert_eq!(instances.exit_code().await, 0, "{}", instances.transcript());
        let text = instances.stdout().text();
        assert!([one, two, three].iter().all(|at| text.contains(&at.to_string())), "{text}");
        let said = instances.stderr().text();
        assert!(said.contains(&format!("as the registry at http://{also} lists them")), "{said}");
        drop((first, second));
    }
    assert!(BEAT < ONE_BEAT);
}

#[tokio::test]
async fn a_watch_goes_on_at_another_registry() {
    let (first, first_at) = Daemon::registry(NO_STORE).await;
    let (_second, second_at) = Daemon::registry(NO_STORE).await;
    let url = format!("http://{first_at},{second_at}");
    let (_server, server) = Daemon::server_with(&[BEATS], &["--registry", &url]).await;
    lists(first_at, &[server]).await;
    let watch = Daemon::rpcd(["watch", "--registry", &url, "--json"]);
    let key = server.to_string();
    let port = format!("\"port\":{}", server.port());
    watch.line("the server is shown", |line| line.contains(&port).then_some(())).await;
    first.signal(Signal::KILL);
    lists(second_at, &[server]).await;
    eventually(&format!("{key} is shown by the other registry"), async || {
        let lines = watch.stdout().lines();
        let lost = lines.iter().position(|line| line.contains("lost"));
        lost.is_some_and(|at| lines[at..].iter().any(|line| line.contains(&port)))
    })
    .await;
}
