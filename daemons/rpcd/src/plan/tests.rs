//! What command lines mean.
//!
//! - `mcp`: who comes to tools for agents.
//! - `targets`: what is called, or asked.

mod mcp;
mod targets;

use rpc_security::{ClientTlsOptions, Require, TlsOptions, TlsVersion};

use super::*;
use crate::failure::Exit;
use rpc_client::{Balance, ClientOptions};
use rpc_host::shares::Share;
use rpc_registry::{EtcdOptions, StoreOptions};

fn plan_with(line: &str, environment: &[(&str, &str)]) -> Result<Plan, Failure> {
    let words = std::iter::once("rpcd").chain(line.split_whitespace());
    let environment = environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    Plan::new(Typed::parse(words.map(Into::into))?, Sources::variables(environment))
}

fn plan(line: &str) -> Result<Plan, Failure> {
    plan_with(line, &[])
}

fn call(line: &str) -> CallPlan {
    match plan(line).unwrap().task {
        Task::Call(call) => *call,
        other => panic!("{other:?}"),
    }
}

fn serve(line: &str, environment: &[(&str, &str)]) -> ServePlan {
    match plan_with(line, environment).unwrap().task {
        Task::Serve(serve) => *serve,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_flag_wins_over_the_environment_and_the_environment_over_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "[registry]\nhost = filehost\nport = 1\n[client]\nbalance = round_robin\ntimeout = 3s\n",
    )
    .unwrap();
    let line = format!("call m --config {} --timeout 7", file.path().display());
    let environment = [("RPCD_REGISTRY_PORT", "2"), ("RPCD_CLIENT_TIMEOUT", "5s")];
    let Task::Call(call) = plan_with(&line, &environment).unwrap().task else { panic!("call") };
    assert_eq!(call.target.to_string(), "http://filehost:2");
    assert_eq!(call.options.timeout, Duration::from_secs(7));
    assert_eq!(call.options.balance, Balance::RoundRobin);
}

#[test]
fn the_defaults_of_a_load_test_are_consistent() {
    use rpc_load::{Length, Mode};
    let bench = |flags: &str| match plan(&format!("bench m {flags}")).unwrap().task {
        Task::Bench(bench) => bench.load,
        other => panic!("{other:?}"),
    };
    let closed = |concurrency| Mode::ClosedLoop { concurrency };
    let open = |rate, max_in_flight| Mode::OpenLoop { rate, max_in_flight };
    for (flags, mode, connections) in [
        ("", closed(1), 1),
        ("--connections 8", closed(8), 8),
        ("--concurrency 64", closed(64), 1),
        ("--concurrency 1000", closed(1000), 5),
        ("--concurrency 64 --connections 4", closed(64), 4),
        ("--rate 0.5", open(0.5, 240), 1),
        ("--rate 100 --connections 2", open(100.0, 480), 2),
        ("--rate 100 --concurrency 500", open(100.0, 500), 3),
    ] {
        let load = bench(flags);
        assert_eq!((load.mode, load.connections), (mode, connections), "{flags}");
    }
    assert!(bench("--idempotent").idempotent && !bench("").idempotent);
    let seconds = Duration::from_secs;
    for (flags, length, warm_up) in [
        ("", Length::Time(seconds(10)), seconds(1)),
        ("--duration 2", Length::Time(seconds(2)), seconds(1)),
        ("--duration 2 --warmup 0", Length::Time(seconds(2)), seconds(0)),
        ("--count 5", Length::Calls(5), seconds(0)),
        ("--count 5 --warmup 3s", Length::Calls(5), seconds(3)),
    ] {
        let load = bench(flags);
        assert_eq!((load.length, load.warm_up), (length, warm_up), "{flags}");
    }
    for flags in [
        "--connections 8 --concurrency 2",
        "--rate 0",
        "--rate=-1",
        "--rate nan",
        "--rate 1e9",
        "--duration 10d",
        "--count 9999999999999999",
        "--duration 1s --count 1",
        "--max-error-ratio 2",
        "--concurrency 0",
    ] {
        let failure = plan(&format!("bench m {flags}")).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage, "{flags}");
        assert_eq!(failure.message.lines().count(), 1, "{}", failure.message);
    }
}

#[test]
fn concurrency_alone_is_that_many_calls() {
    for (flags, repeat, concurrency) in [
        ("", 1, 1),
        ("--repeat 3", 3, 1),
        ("--concurrency 30", 30, 30),
        ("--repeat 90 --concurrency 30", 90, 30),
    ] {
        let call = call(&format!("call m {flags}"));
        assert_eq!((call.repeat, call.concurrency), (repeat, concurrency), "{flags}");
    }
}

#[test]
fn a_server_listens_on_all_addresses_and_registers_by_default() {
    let plan = serve("serve -p 8089", &[]);
    assert_eq!(plan.address.to_string(), "0.0.0.0:8089");
    assert_eq!(plan.announce.unwrap().url, "http://127.0.0.1:9999");
    assert!(serve("serve -p 1 --no-registry", &[]).announce.is_none());
    let off = [("RPCD_SERVER_ANNOUNCE", "false")];
    assert!(serve("serve -p 1", &off).announce.is_none());
    assert!(serve("serve -p 1 --registry http://h:1", &off).announce.is_some());
    assert_eq!(serve("serve -p 1 -l ::", &[]).address.to_string(), "[::]:1");
}

#[test]
fn a_server_is_an_instance_of_the_named_service() {
    assert_eq!(serve("serve -p 1", &[]).service, "rpcd");
    let named = [("RPCD_SERVER_SERVICE", "orders")];
    assert_eq!(serve("serve -p 1", &named).service, "orders");
    assert_eq!(serve("serve -p 1 --service prices.v2", &named).service, "prices.v2");
}

#[test]
fn every_limit_of_the_file_reaches_the_server() {
    let plan = serve(
        "serve -p 1 --advertise [::1]:5",
        &[
            ("RPCD_SERVER_MAX_REQUEST_BYTES", "1KiB"),
            ("RPCD_SERVER_MAX_NESTING", "7"),
            ("RPCD_SERVER_MAX_INLINE_BYTES", "8"),
            ("RPCD_SERVER_MAX_ID_BYTES", "64"),
            ("RPCD_SERVER_MAX_BATCH_REQUESTS", "20"),
            ("RPCD_SERVER_REQUEST_TIMEOUT", "1s"),
            ("RPCD_SERVER_MAX_CALLS_PER_CONNECTION", "2"),
            ("RPCD_SERVER_MAX_CALLS", "3"),
            ("RPCD_SERVER_MAX_CALLS_PER_PEER", "0"),
            ("RPCD_SERVER_MAX_STREAMS", "10"),
            ("RPCD_SERVER_MAX_STREAMS_PER_PEER", "11"),
            ("RPCD_SERVER_MAX_LOG_STREAMS", "12"),
            ("RPCD_SERVER_MAX_DEADLINE", "13s"),
            ("RPCD_SERVER_MAX_UNWRITTEN_BYTES", "4"),
            ("RPCD_SERVER_MAX_BUFFERED_BYTES", "14"),
            ("RPCD_SERVER_MAX_CONNECTIONS", "5"),
            ("RPCD_SERVER_MAX_CONNECTIONS_PER_PEER", "4"),
            ("RPCD_SERVER_IDLE_TIMEOUT", "6s"),
            ("RPCD_SERVER_DEFAULT_DEADLINE", "7s"),
            ("RPCD_SERVER_DRAIN_TIMEOUT", "0s"),
            ("RPCD_SERVER_SHUTDOWN_NOTICE", "17s"),
            ("RPCD_SERVER_OLDER_CLIENT_WINDOW", "18s"),
            ("RPCD_SERVER_CLOSE_TIMEOUT", "19s"),
            ("RPCD_SERVER_DRAIN_NOTICE", "16s"),
            ("RPCD_SERVER_UNREGISTER_TIMEOUT", "8s"),
            ("RPCD_SERVER_MAX_UNIDENTIFIED_BYTES", "19"),
            ("RPCD_SERVER_MAX_UNIDENTIFIED_CONNECTIONS", "20"),
            ("RPCD_SERVER_MAX_UNIDENTIFIED_CONNECTIONS_PER_PEER", "22"),
            ("RPCD_SERVER_UNIDENTIFIED_TIMEOUT", "21s"),
            ("RPCD_SERVER_BACKLOG", "9"),
            ("RPCD_SERVER_HEARTBEAT_INTERVAL", "9s"),
            ("RPCD_SERVER_WRITE_TIMEOUT", "15s"),
            ("RPCD_SERVER_TCP_USER_TIMEOUT", "17s"),
            ("RPCD_SERVER_ALLOWED_HOSTS", "a.example, b.example"),
            ("RPCD_SERVER_ALLOWED_ORIGINS", "http://a, http://b"),
        ],
    );
    let seconds = Duration::from_secs;
    assert_eq!(
        plan.limits,
        rpc_server::Limits::default()
            .max_request_bytes(1024)
            .max_nesting(7)
            .max_inline_bytes(8)
            .max_id_bytes(64)
            .max_batch_requests(20)
            .request_timeout(seconds(1))
            .max_calls_per_connection(2)
            .max_calls(3)
            .max_calls_per_peer(Share::Whole)
            .max_streams(10)
            .max_streams_per_peer(Share::AtMost(11))
            .max_log_streams(12)
            .max_deadline(seconds(13))
            .max_unwritten_bytes(4)
            .max_buffered_bytes(14)
            .max_connections(5)
            .max_connections_per_peer(Share::AtMost(4))
            .idle_timeout(seconds(6))
            .default_deadline(seconds(7))
            .drain_timeout(seconds(0))
            .shutdown_notice(seconds(17))
            .older_client_window(seconds(18))
            .close_timeout(seconds(19))
            .drain_notice(seconds(16))
            .unregister_timeout(seconds(8))
            .write_timeout(seconds(15))
            .tcp_user_timeout(seconds(17))
            .max_unidentified_bytes(19)
            .max_unidentified_connections(Share::AtMost(20))
            .max_unidentified_connections_per_peer(Share::AtMost(22))
            .unidentified_timeout(seconds(21))
            .backlog(9)
    );
    let announce = plan.announce.unwrap();
    assert_eq!(announce.advertise.unwrap().to_string(), "[::1]:5");
    assert_eq!(announce.heartbeat_interval, seconds(9));
    assert_eq!(plan.allowed_origins, ["http://a", "http://b"]);
    assert_eq!(plan.allowed_hosts, ["a.example", "b.example"]);
}

#[test]
fn every_limit_of_the_file_reaches_the_registry() {
    let environment = [
        ("RPCD_REGISTRY_SERVER_LISTEN", "::1"),
        ("RPCD_REGISTRY_SERVER_TTL", "1s"),
        ("RPCD_REGISTRY_SERVER_CHECK_INTERVAL", "2s"),
        ("RPCD_REGISTRY_SERVER_MAX_INSTANCES", "3"),
        ("RPCD_REGISTRY_SERVER_MAX_INSTANCES_PER_PEER", "4"),
        ("RPCD_REGISTRY_SERVER_MAX_BODY_BYTES", "5"),
        ("RPCD_REGISTRY_SERVER_MAX_HOST_BYTES", "6"),
        ("RPCD_REGISTRY_SERVER_MAX_PARAMETERS_BYTES", "7"),
        ("RPCD_REGISTRY_SERVER_MAX_CONNECTIONS", "8"),
        ("RPCD_REGISTRY_SERVER_MAX_WATCHERS", "9"),
        ("RPCD_REGISTRY_SERVER_MAX_CONNECTIONS_PER_PEER", "0"),
        ("RPCD_REGISTRY_SERVER_MAX_WATCHERS_PER_PEER", "10"),
        ("RPCD_REGISTRY_SERVER_HEADER_TIMEOUT", "10ms"),
        ("RPCD_REGISTRY_SERVER_ALLOWED_ORIGINS", "http://a"),
        ("RPCD_REGISTRY_SERVER_ALLOWED_HOSTS", "a.example, b.example"),
        ("RPCD_REGISTRY_SERVER_BACKLOG", "11"),
        ("RPCD_REGISTRY_SERVER_MAX_HELD_PER_CONNECTION", "25"),
        ("RPCD_REGISTRY_SERVER_MAX_UNIDENTIFIED_BYTES", "33"),
        ("RPCD_REGISTRY_SERVER_MAX_UNIDENTIFIED_CONNECTIONS", "34"),
        ("RPCD_REGISTRY_SERVER_MAX_UNIDENTIFIED_CONNECTIONS_PER_PEER", "36"),
        ("RPCD_REGISTRY_SERVER_UNIDENTIFIED_TIMEOUT", "35s"),
        ("RPCD_REGISTRY_SERVER_KEEP_ALIVE", "12s"),
        ("RPCD_REGISTRY_SERVER_MAX_HISTORY", "13"),
        ("RPCD_REGISTRY_SERVER_MAX_HISTORY_BYTES", "38"),
        ("RPCD_REGISTRY_SERVER_BODY_TIMEOUT", "14s"),
        ("RPCD_REGISTRY_SERVER_WRITE_TIMEOUT", "15s"),
        ("RPCD_REGISTRY_SERVER_TCP_USER_TIMEOUT", "30s"),
        ("RPCD_REGISTRY_SERVER_MAX_WAIT", "16s"),
        ("RPCD_REGISTRY_SERVER_MAX_TABLE_BYTES", "22"),
        ("RPCD_REGISTRY_SERVER_MAX_ARRIVING_BYTES", "37"),
        ("RPCD_REGISTRY_SERVER_MAX_PINNED_BYTES", "23"),
        ("RPCD_REGISTRY_SERVER_REJOIN_WINDOW", "0s"),
        ("RPCD_REGISTRY_SERVER_MAX_REJOINS", "18"),
        ("RPCD_REGISTRY_SERVER_MAX_CLOCK_AHEAD", "24s"),
        ("RPCD_REGISTRY_SERVER_PROBE_TIMEOUT", "19s"),
        ("RPCD_REGISTRY_SERVER_MAX_PROBES", "20"),
        ("RPCD_REGISTRY_SERVER_PROBES", "false"),
        ("RPCD_REGISTRY_SERVER_PROBE_NETWORKS", "10.0.0.0/8, ::1"),
        ("RPCD_REGISTRY_SERVER_SUSPECT_WINDOW", "24s"),
        ("RPCD_REGISTRY_SERVER_BRAKE_SHARE", "0.25"),
        ("RPCD_REGISTRY_SERVER_BRAKE_MIN", "26"),
        ("RPCD_REGISTRY_SERVER_BRAKE_WINDOW", "27s"),
        ("RPCD_REGISTRY_SERVER_MAX_MOVES_PER_MINUTE", "25"),
        ("RPCD_REGISTRY_SERVER_MAX_OVERRIDES", "24"),
        ("RPCD_REGISTRY_SERVER_STORE", "redb"),
        ("RPCD_REGISTRY_SERVER_DATA_DIR", "/data"),
        ("RPCD_REGISTRY_SERVER_STORE_TIMEOUT", "25s"),
        ("RPCD_REGISTRY_SERVER_MAX_STORE_RETRY", "26s"),
        ("RPCD_REGISTRY_SERVER_MAX_UNSAVED", "27"),
        ("RPCD_REGISTRY_SERVER_MAX_STORE_CACHE_BYTES", "28"),
        ("RPCD_REGISTRY_SERVER_WARMING", "29s"),
        ("RPCD_TLS_CERT", "/cert"),
        ("RPCD_TLS_KEY", "/key"),
        ("RPCD_TLS_CLIENT_CA", "/ca"),
        ("RPCD_TLS_CRL", "/crl"),
        ("RPCD_TLS_REQUIRE", "certificate"),
        ("RPCD_TLS_MIN_VERSION", "1.2"),
        ("RPCD_REGISTRY_SERVER_DRAIN_TIMEOUT", "21s"),
    ];
    let plan = plan_with("registry -p 1", &environment).unwrap();
    let Task::Registry(registry) = plan.task else { panic!("registry") };
    assert_eq!(registry.address.to_string(), "[::1]:1");
    let expected = rpc_registry::RegistryOptions {
        tls: TlsOptions {
            cert: Some("/cert".into()),
            key: Some("/key".into()),
            client_ca: Some("/ca".into()),
            crl: Some("/crl".into()),
            require: Require::Certificate,
            min_version: TlsVersion::V1_2,
        },
        ttl: Duration::from_secs(1),
        check_interval: Duration::from_secs(2),
        max_instances: 3,
        max_instances_per_peer: 4,
        max_table_bytes: 22,
        max_body_bytes: 5,
        max_arriving_bytes: 37,
        max_host_bytes: 6,
        max_parameters_bytes: 7,
        max_connections: 8,
        max_watchers: 9,
        max_connections_per_peer: Share::Whole,
        max_watchers_per_peer: Share::AtMost(10),
        header_timeout: Duration::from_millis(10),
        allowed_origins: vec!["http://a".to_owned()],
        allowed_hosts: vec!["a.example".to_owned(), "b.example".to_owned()],
        max_unidentified_bytes: 33,
        max_unidentified_connections: Share::AtMost(34),
        max_unidentified_connections_per_peer: Share::AtMost(36),
        unidentified_timeout: Duration::from_secs(35),
        max_held_per_connection: 25,
        backlog: 11,
        keep_alive: Duration::from_secs(12),
        max_history: 13,
        max_history_bytes: 38,
        body_timeout: Duration::from_secs(14),
        write_timeout: Duration::from_secs(15),
        tcp_user_timeout: Duration::from_secs(30),
        max_wait: Duration::from_secs(16),
        max_pinned_bytes: 23,
        rejoin_window: Duration::ZERO,
        max_rejoins: 18,
        max_clock_ahead: Duration::from_secs(24),
        probe_timeout: Duration::from_secs(19),
        max_probes: 20,
        probes: false,
        probe_networks: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        suspect_window: Duration::from_secs(24),
        brake_share: 0.25,
        brake_min: 26,
        brake_window: Duration::from_secs(27),
        max_moves_per_minute: 25,
        max_overrides: 24,
        store: StoreOptions::Redb { data_dir: "/data".into() },
        store_timeout: Duration::from_secs(25),
        max_store_retry: Duration::from_secs(26),
        max_unsaved: 27,
        max_store_cache_bytes: 28,
        warming: Duration::from_secs(29),
        drain_timeout: Duration::from_secs(21),
        log_ring: None,
        guard: rpc_registry::security::Guard::open(),
        audit: None,
    };
    assert_eq!(format!("{:?}", registry.options), format!("{expected:?}"));
}

#[test]
fn a_registry_has_a_store_of_its_own_by_its_port_unless_that_is_any() {
    let state = |line: &str| {
        let words = format!("rpcd {line}");
        let typed = Typed::parse(words.split_whitespace().map(Into::into))?;
        let sources = Sources { state: Some("/state".into()), ..Sources::default() };
        match Plan::new(typed, sources)?.task {
            Task::Registry(plan) => Ok::<_, Failure>((plan.options.store, plan.recover)),
            other => panic!("{other:?}"),
        }
    };
    let redb = |folder: &str| StoreOptions::Redb { data_dir: folder.into() };
    for (line, expected, recovers) in [
        ("registry -p 1", redb("/state/registry-1"), false),
        ("registry -p 1 --recover", redb("/state/registry-1"), true),
        ("registry -p 0", StoreOptions::None, false),
        ("registry -p 0 --data-dir /d", redb("/d"), false),
        ("registry -p 1 --store none", StoreOptions::None, false),
        ("registry -p 0 --store etcd", StoreOptions::Etcd(EtcdOptions::default()), false),
    ] {
        let planned = format!("{:?}", state(line).unwrap());
        assert_eq!(planned, format!("{:?}", (expected, recovers)), "{line}");
    }
    for (line, what) in [
        ("registry -p 0 --store redb", "--data-dir"),
        ("registry -p 0 --recover", "--data-dir"),
        ("registry -p 1 --store none --data-dir /d", "store = none"),
        ("registry -p 1 --store none --recover", "store = none"),
        ("registry -p 1 --store etcd --data-dir /d", "store = etcd"),
        ("registry -p 1 --store etc", "redb, etcd, none"),
    ] {
        let failure = state(line).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage, "{line}");
        assert!(failure.message.contains(what), "{line}: {}", failure.message);
    }
    // Nowhere to keep anything.
    let failure = plan("registry -p 1").unwrap_err();
    assert!(failure.message.contains("--store none"), "{}", failure.message);
}

#[test]
fn every_setting_of_workers_reaches_the_server_and_flags_win() {
    let line = "serve -p 1 --worker cat --workers 20 --worker-concurrency 30 --no-builtin";
    let environment = [
        ("RPCD_WORKER_WORKERS", "2"),
        ("RPCD_WORKER_CONCURRENCY", "3"),
        ("RPCD_WORKER_MAX_QUEUED_CALLS", "4"),
        ("RPCD_WORKER_MAX_LINE_BYTES", "5"),
        ("RPCD_WORKER_START_TIMEOUT", "6s"),
        ("RPCD_WORKER_CANCEL_TIMEOUT", "7s"),
        ("RPCD_WORKER_LINGER_TIMEOUT", "13s"),
        ("RPCD_WORKER_STALL_TIMEOUT", "8s"),
        ("RPCD_WORKER_DRAIN_TIMEOUT", "9s"),
        ("RPCD_WORKER_EXIT_TIMEOUT", "10s"),
        ("RPCD_WORKER_SETTLED_AFTER", "11s"),
        ("RPCD_WORKER_MAX_DEATHS", "12"),
    ];
    let seconds = Duration::from_secs;
    let expected = rpc_worker::WorkerLimits::default()
        .workers(2)
        .concurrency(3)
        .max_queued_calls(4)
        .max_line_bytes(5)
        .start_timeout(seconds(6))
        .cancel_timeout(seconds(7))
        .linger_timeout(seconds(13))
        .stall_timeout(seconds(8))
        .drain_timeout(seconds(9))
        .exit_timeout(seconds(10))
        .settled_after(seconds(11))
        .max_deaths(12);
    let plain = serve("serve -p 1 --worker cat", &environment).worker.unwrap();
    assert_eq!(plain.limits, expected);
    assert!(plain.builtin && !plain.watches_files);
    let typed = serve(line, &environment).worker.unwrap();
    assert_eq!(typed.limits, expected.workers(20).concurrency(30));
    assert!(!typed.builtin);
    assert!(serve("serve -p 1", &environment).worker.is_none());
    for alone in ["--workers 2", "--worker-concurrency 2", "--watch-files", "--no-builtin"] {
        let failure = plan(&format!("serve -p 1 {alone}")).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage, "{alone}");
    }
}

#[test]
fn a_daemon_whose_tokens_cannot_be_used_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let hex = "ab".repeat(32);
    for (text, is_used) in
        [(format!("ci call sha256:{hex}\n"), true), (format!("ci admin sha256:{hex}\n"), false)]
    {
        std::fs::write(&path, text).unwrap();
        let tokens = [("RPCD_SECURITY_TOKENS", path.to_str().unwrap())];
        for line in ["serve -p 1", "registry -p 1 --store none"] {
            match plan_with(line, &tokens) {
                Ok(plan) => assert!(
                    is_used
                        && match plan.task {
                            Task::Serve(plan) => !plan.guard.is_open(),
                            Task::Registry(plan) => !plan.options.guard.is_open(),
                            _ => false,
                        }
                ),
                Err(failure) => {
                    assert!(!is_used && failure.exit == Exit::Usage);
                    assert!(failure.message.contains("the roles must be"), "{}", failure.message);
                }
            }
        }
        assert!(plan_with("call m", &tokens).is_ok(), "a client needs no tokens of others");
    }
}

#[test]
fn a_client_shows_the_token_of_the_variable_or_of_a_file_that_others_cannot_read() {
    use rpc_client::Token;
    use rpc_security::secret::{self, ExposeSecret};
    use std::os::unix::fs::PermissionsExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    let [in_file, in_variable] = [(); 2].map(|()| secret::generate());
    std::fs::write(file.path(), in_file.expose_secret()).unwrap();
    let by_file = ("RPCD_CLIENT_TOKEN_FILE", file.path().to_str().unwrap());
    let token = |environment: &[(&str, &str)]| match plan_with("call m", environment)?.task {
        Task::Call(call) => {
            let shown = |token: &Token| token.secret().expose_secret().to_owned();
            let registry = call.options.registry().token;
            let token = call.options.token.as_ref().map(shown);
            assert_eq!(registry.as_ref().map(shown), token, "the registry gets it as well");
            Ok::<_, Failure>(token)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(token(&[]).unwrap(), None);
    assert_eq!(token(&[by_file]).unwrap().as_deref(), Some(in_file.expose_secret()));
    let both = [by_file, ("RPCD_TOKEN", in_variable.expose_secret())];
    assert_eq!(token(&both).unwrap().as_deref(), Some(in_variable.expose_secret()));
    let readable = std::fs::Permissions::from_mode(0o604);
    std::fs::set_permissions(file.path(), readable).unwrap();
    let failure = token(&[by_file]).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.message.starts_with("[client] token_file: "), "{}", failure.message);
}

#[test]
fn every_setting_of_etcd_reaches_the_registry() {
    let text = "[registry-server]\nstore = etcd\n[etcd]\nendpoints = http://a:1, http://b:2\nprefix = p/\n\
                ca = /ca\ncert = /cert\nkey = /key\nuser = u\npassword_file = /secret\nallow_plaintext_password = true\nrequest_timeout = 3s\nwatch_timeout = 6s\nlease_ttl = 4s\n\
                max_response_bytes = 5\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let line = format!("registry -p 1 --config {}", file.path().display());
    let Task::Registry(registry) = plan(&line).unwrap().task else { panic!("registry") };
    let expected = EtcdOptions {
        endpoints: vec!["http://a:1".to_owned(), "http://b:2".to_owned()],
        prefix: "p/".to_owned(),
        ca: Some("/ca".into()),
        cert: Some("/cert".into()),
        key: Some("/key".into()),
        user: Some("u".to_owned()),
        password_file: Some("/secret".into()),
        password: None,
        allow_plaintext_password: true,
        request_timeout: Duration::from_secs(3),
        watch_timeout: Duration::from_secs(6),
        lease_ttl: Duration::from_secs(4),
        max_response_bytes: 5,
    };
    let expected = StoreOptions::Etcd(expected);
    assert_eq!(format!("{:?}", registry.options.store), format!("{expected:?}"));
}

#[test]
fn every_limit_of_the_file_reaches_the_client() {
    let environment = [
        ("RPCD_CLIENT_TIMEOUT", "1s"),
        ("RPCD_CLIENT_CONNECT_TIMEOUT", "2s"),
        ("RPCD_CLIENT_FAILOVER_AFTER", "19s"),
        ("RPCD_CLIENT_TCP_USER_TIMEOUT", "20s"),
        ("RPCD_CLIENT_BALANCE", "least_in_flight"),
        ("RPCD_CLIENT_REFRESH_INTERVAL", "3s"),
        ("RPCD_CLIENT_REGISTRY_TIMEOUT", "4s"),
        ("RPCD_CLIENT_MAX_REPLY_BYTES", "5"),
        ("RPCD_CLIENT_MAX_LIST_BYTES", "6"),
        ("RPCD_CLIENT_MAX_EVENT_LINE_BYTES", "7"),
        ("RPCD_CLIENT_MAX_CLASSIC_CONNECTIONS", "8"),
        ("RPCD_CLIENT_MAX_CLASSIC_QUEUE", "9"),
        ("RPCD_CLIENT_CLASSIC_IDLE_TIMEOUT", "10s"),
        ("RPCD_CLIENT_DIALECT_TTL", "11s"),
        ("RPCD_CLIENT_IDLE_TIMEOUT", "12s"),
        ("RPCD_CLIENT_MAX_IN_FLIGHT", "13"),
        ("RPCD_CLIENT_ALLOW_PLAINTEXT_TOKEN", "true"),
        ("RPCD_CLIENT_MAX_PROBES", "15"),
        ("RPCD_CLIENT_TLS", "true"),
        ("RPCD_CLIENT_TLS_CA", "/ca"),
        ("RPCD_CLIENT_TLS_CERT", "/cert"),
        ("RPCD_CLIENT_TLS_KEY", "/key"),
        ("RPCD_CLIENT_TLS_MIN_VERSION", "1.2"),
        ("RPCD_CLIENT_LIST_CACHE", "/lists"),
        ("RPCD_CLIENT_RETRY_ATTEMPTS", "16"),
        ("RPCD_CLIENT_RETRY_RATIO", "0.17"),
        ("RPCD_CLIENT_RETRY_BURST", "0"),
        ("RPCD_CLIENT_RETRY_HEDGE", "p95"),
        ("RPCD_CLIENT_MAX_EJECTED_RATIO", "0.21"),
        ("RPCD_CLIENT_PING_INTERVAL", "22s"),
    ];
    let plan = plan_with("call m", &environment).unwrap();
    let Task::Call(call) = plan.task else { panic!("call") };
    let seconds = Duration::from_secs;
    let expected = ClientOptions {
        tls: true,
        listed: None,
        tls_files: ClientTlsOptions {
            ca: Some("/ca".into()),
            cert: Some("/cert".into()),
            key: Some("/key".into()),
            min_version: TlsVersion::V1_2,
        },
        timeout: seconds(1),
        connect_timeout: seconds(2),
        failover_after: seconds(19),
        tcp_user_timeout: seconds(20),
        balance: Balance::LeastInFlight,
        refresh_interval: seconds(3),
        registry_timeout: seconds(4),
        max_reply_bytes: 5,
        max_list_bytes: 6,
        max_event_line_bytes: 7,
        max_classic_connections: 8,
        max_classic_queue: 9,
        classic_idle_timeout: seconds(10),
        dialect_ttl: seconds(11),
        idle_timeout: seconds(12),
        max_in_flight: 13,
        list_cache: rpc_client::ListCache::Folder("/lists".into()),
        service: None,
        max_unlisted_peers: 256,
        max_discoveries: 32,
        max_methods: 10_000,
        max_method_list_bytes: 4 << 20,
        max_probes: 15,
        token: None,
        allow_plaintext_token: true,
        retry: rpc_client::RetryOptions {
            attempts: 16,
            ratio: 0.17,
            burst: 0,
            hedge: rpc_client::Hedge::P95,
        },
        ejection: rpc_client::EjectionOptions {
            max_ejected_ratio: 0.21,
            ping_interval: seconds(22),
            ..Default::default()
        },
    };
    assert_eq!(format!("{:?}", call.options), format!("{expected:?}"));
}

#[test]
fn daemons_log_to_the_terminal_and_clients_only_when_asked() {
    assert!(plan("serve -p 1").unwrap().log.unwrap().terminal);
    assert_eq!(plan("call m").unwrap().log, None);
    let log = plan("call m --log-level debug").unwrap().log.unwrap();
    assert_eq!((log.terminal, log.level.as_str(), log.save), (true, "debug", false));
    let log = plan("call m --log-dir /tmp/x").unwrap().log.unwrap();
    assert!(!log.terminal && log.save && log.dir.ends_with("x"));
    let log = plan_with("registry -p 0", &[("RPCD_LOG_SAVE", "true")]).unwrap().log.unwrap();
    assert!(log.save && log.dir.ends_with("logs"));
}
