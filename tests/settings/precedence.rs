//! Flag, environment, `./config.ini`, the user's `config.ini`, default: which one wins, by its effect
//! in every program that reads a section.

use std::collections::BTreeSet;

use rpc_settings::KEYS;
use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::eventually;
use rpc_tests::fakes::{Do, Peer, result};
use rpc_tests::home::Home;
use rpc_tests::reserved_port::ReservedPort;
use tokio::net::TcpStream;

use crate::console;
use crate::log::program::Program;
use crate::programs::{at, call, console_in, listing, run_in};
use crate::registries::{DEFAULT_REGISTRY, Registries};
use crate::ticks::instance;

/// Section, program, and the test.
type Proof = (&'static str, &'static str, fn());

const PROOFS: &[Proof] = &[
    ("registry", "rpcd serve", registry_in_serve),
    ("registry", "rpcd call", registry_in_call),
    ("registry", "rpcd bench", registry_in_bench),
    ("registry", "rpcd methods", registry_in_methods),
    ("registry", "rpcd instances", registry_in_instances),
    ("registry", "rpc-console", registry_on_the_screen),
    ("registry-server", "rpcd registry", registry_server_in_registry),
    ("etcd", "rpcd registry", etcd_in_registry),
    ("server", "rpcd serve", server_in_serve),
    ("worker", "rpcd serve", worker_in_serve),
    ("security", "rpcd serve", security_in_serve),
    ("security", "rpcd registry", security_in_registry),
    ("tls", "rpcd serve", tls_in_serve),
    ("tls", "rpcd registry", tls_in_registry),
    ("client", "rpcd call", client_in_call),
    ("client", "rpcd bench", client_in_bench),
    ("client", "rpcd methods", client_in_methods),
    ("client", "rpc-console", client_on_the_screen),
    ("log", "rpcd serve", log_in_serve),
    ("log", "rpcd registry", log_in_registry),
    ("log", "rpcd call", log_in_call),
    ("log", "rpc-console", log_on_the_screen),
    ("console", "rpc-console", console_on_the_screen),
];

/// Sections, and the programs that read them. Commands that never end are left out.
const READERS: &[(&str, &[&str])] = &[
    (
        "registry",
        &["rpcd serve", "rpcd call", "rpcd bench", "rpcd methods", "rpcd instances", "rpc-console"],
    ),
    ("registry-server", &["rpcd registry"]),
    ("etcd", &["rpcd registry"]),
    ("server", &["rpcd serve"]),
    ("worker", &["rpcd serve"]),
    ("security", &["rpcd serve", "rpcd registry"]),
    ("tls", &["rpcd serve", "rpcd registry"]),
    ("client", &["rpcd call", "rpcd bench", "rpcd methods", "rpc-console"]),
    ("log", &["rpcd serve", "rpcd registry", "rpcd call", "rpc-console"]),
    ("console", &["rpc-console"]),
];

#[test]
fn every_section_has_a_test_in_every_program_that_reads_it() {
    let sections: BTreeSet<_> = KEYS.iter().map(|key| key.section).collect();
    let known: BTreeSet<_> = READERS.iter().map(|(section, _)| *section).collect();
    assert_eq!(sections, known);
    let wanted = READERS
        .iter()
        .flat_map(|(section, programs)| programs.iter().map(move |program| (*section, *program)));
    let tested = PROOFS.iter().map(|(section, program, _)| (*section, *program));
    assert_eq!(tested.collect::<BTreeSet<_>>(), wanted.collect());
}

/// How a program is started.
struct Start {
    home: Home,
    /// Without `RPCD_`.
    variables: Vec<(String, String)>,
    flags: String,
}

/// Variables as they are passed on.
fn settings(variables: &[(String, String)]) -> Vec<(&str, &str)> {
    variables.iter().map(|(name, value)| (&**name, &**value)).collect()
}

/// Where a value comes from, weakest first.
const SOURCES: [&str; 5] = ["default", "user's file", "./config.ini", "environment", "flag"];

/// Starts the program once per source, with that source and all weaker ones set, and expects the
/// effect of the strongest. `values` has one per source, the default first; `flag` is put directly
/// before the flag's value.
async fn each_wins_over_those_before<const N: usize>(
    (section, key): (&str, &str),
    flag: &str,
    values: [&str; N],
    effect: impl AsyncFn(Start) -> String,
) {
    assert_eq!(BTreeSet::from(values).len(), N, "values that cannot be told apart: {values:?}");
    let text = |value: &str| format!("[{section}]\n{key} = {value}\n");
    for (last, expected) in values.iter().enumerate() {
        let mut start = Start { home: Home::new(), variables: Vec::new(), flags: String::new() };
        for (source, value) in SOURCES.iter().zip(values).take(last + 1) {
            match *source {
                "user's file" => drop(start.home.user(&text(value))),
                "./config.ini" => drop(start.home.local(&text(value))),
                "environment" => {
                    let variable = format!("{section}_{key}").to_uppercase().replace('-', "_");
                    start.variables.push((variable, value.to_owned()));
                }
                "flag" => start.flags = format!("{flag}{value}"),
                _ => {}
            }
        }
        let seen = effect(start).await;
        assert_eq!(seen, *expected, "{key} in [{section}], set up to the {}", SOURCES[last]);
    }
}

/// `port` in `[registry]` from every source; `effect` says which registry the program used.
async fn registry(effect: impl AsyncFn(&Registries, Start) -> String) {
    let registries = Registries::start(4).await;
    let [user, local, environment, flag] = registries.ports();
    let values = ["9999", &user, &local, &environment, &flag];
    let effect = async |start| effect(&registries, start).await;
    each_wins_over_those_before(("registry", "port"), "--registry 127.0.0.1:", values, effect)
        .await;
}

/// `rpcd` with the words of `command`, to its end.
async fn registry_in(command: &str) {
    registry(async |registries, Start { home, variables, flags }| {
        let line = format!("{command} {flags}");
        let run = run_in("rpcd", home, &settings(&variables), &line).await;
        let said = run.stdout.clone() + &run.stderr;
        registries.named_in(&said).unwrap_or_else(|| panic!("{run:?}"))
    })
    .await;
}

#[tokio::test]
async fn registry_in_serve() {
    registry(async |registries, Start { home, variables, flags }| {
        let line = format!("serve -l 127.0.0.1 -p 0 {flags}");
        let before = registries.registered();
        let serve = Daemon::rpcd_in(home, &settings(&variables), line.split_whitespace());
        let mut found = None;
        eventually("it registers, or names the default registry", async || {
            let now = registries.registered();
            let one_more = before.iter().zip(&now).position(|(before, now)| before < now);
            found = one_more.map(|at| registries.port(at)).or_else(|| {
                serve.stderr().text().contains(DEFAULT_REGISTRY).then(|| "9999".to_owned())
            });
            found.is_some()
        })
        .await;
        found.unwrap()
    })
    .await;
}

#[tokio::test]
async fn registry_in_call() {
    registry_in("call tick").await;
}

#[tokio::test]
async fn registry_in_bench() {
    registry_in("bench tick --count 1").await;
}

#[tokio::test]
async fn registry_in_instances() {
    registry_in("instances").await;
}

#[tokio::test]
async fn registry_in_methods() {
    registry_in("methods").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registry_on_the_screen() {
    registry(async |registries, Start { home, variables, flags }| {
        let tty = console_in(home, &settings(&variables), &flags);
        registries.on_the_screen(&tty)
    })
    .await;
}

/// `listen` of `section`, which `rpcd` reads for `command`, from every source.
async fn listen(section: &str, command: &str) {
    let values = ["0.0.0.0", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"];
    each_wins_over_those_before((section, "listen"), "-l ", values, async |start| {
        let Start { home, variables, flags } = start;
        let line = format!("{command} -p 0 {flags}");
        let daemon = Daemon::rpcd_in(home, &settings(&variables), line.split_whitespace());
        let address = daemon.announced_address().await;
        assert!(TcpStream::connect(address).await.is_ok(), "{address}");
        address.ip().to_string()
    })
    .await;
}

#[tokio::test]
async fn registry_server_in_registry() {
    listen("registry-server", "registry").await;
}

/// The members of `[etcd]`, none of which is there: the registry says so. No flag names them.
#[tokio::test]
async fn etcd_in_registry() {
    let unused: [ReservedPort; 3] = std::array::from_fn(|_| ReservedPort::new());
    let [user, local, environment] = [0, 1, 2].map(|at: usize| unused[at].url());
    let values = ["http://127.0.0.1:2379", &user, &local, &environment];
    each_wins_over_those_before(("etcd", "endpoints"), "", values, async |start| {
        let Start { home, variables, .. } = start;
        let line = ["registry", "-p", "0", "-l", "127.0.0.1", "--store", "etcd"];
        let daemon = Daemon::rpcd_in(home, &settings(&variables), line);
        let member = |line: &str| {
            let (_, said) = line.split_once("no etcd member can be reached: ")?;
            Some(format!("http://{}", said.split(": ").next()?))
        };
        daemon.line("it cannot reach the member", member).await
    })
    .await;
}

#[tokio::test]
async fn server_in_serve() {
    listen("server", "serve --no-registry").await;
}

/// The limit of a worker's line, which it is over. No flag names it.
#[tokio::test]
async fn worker_in_serve() {
    let values = ["4194304", "1000", "2000", "3000"];
    each_wins_over_those_before(("worker", "max_line_bytes"), "", values, async |start| {
        let Start { home, variables, .. } = start;
        let endless = "sh -c 'yes | tr -d \"\\n\"'";
        let line = ["serve", "-p", "0", "-l", "127.0.0.1", "--no-registry", "--worker", endless];
        let daemon = Daemon::rpcd_in(home, &settings(&variables), line);
        let limit = |line: &str| {
            let (_, said) = line.split_once("a line of more than ")?;
            Some(said.split(' ').next()?.to_owned())
        };
        daemon.line("its line is too long", limit).await
    })
    .await;
}

#[tokio::test]
async fn security_in_serve() {
    unreadable_file(("security", "tokens"), &["serve", "--no-registry"], None).await;
}

#[tokio::test]
async fn security_in_registry() {
    unreadable_file(("security", "tokens"), &["registry", "--store", "none"], None).await;
}

/// Without its key a certificate is not read.
const KEY: Option<(&str, &str)> = Some(("TLS_KEY", "/nowhere/key"));

#[tokio::test]
async fn tls_in_serve() {
    unreadable_file(("tls", "cert"), &["serve", "--no-registry"], KEY).await;
}

#[tokio::test]
async fn tls_in_registry() {
    unreadable_file(("tls", "cert"), &["registry", "--store", "none"], KEY).await;
}

/// A daemon does not start without the file that a key names, and says which it is.
async fn unreadable_file(key: (&str, &str), command: &[&str], beside: Option<(&str, &str)>) {
    let values = ["", "/nowhere/user", "/nowhere/local", "/nowhere/environment"];
    each_wins_over_those_before(key, "", values, async |start| {
        let Start { home, variables, .. } = start;
        let variables = settings(&variables).into_iter().chain(beside).collect::<Vec<_>>();
        let line = command.iter().chain(&["-p", "0", "-l", "127.0.0.1"]);
        let daemon = Daemon::rpcd_in(home, &variables, line);
        let file = |line: &str| match line.split_once("cannot read ") {
            Some((_, said)) => Some(said.split(": ").next()?.to_owned()),
            // It has started, or is told that the other of two files is missing.
            None => (line.contains("listening") || line.contains("set both")).then(String::new),
        };
        daemon.line("which file it cannot read", file).await
    })
    .await;
}

/// The timeouts that the tests of `[client]` set.
const TIMEOUTS: [&str; 5] = ["10s", "40s", "70s", "100s", "130s"];

/// The timeout of the one call of `method` that a server has received, rounded up to ten seconds: the
/// deadline sent is shorter by the time already used.
async fn timeout_of(method: &str, peer: &Peer) -> String {
    let mut deadline = None;
    eventually("a call with a deadline", async || {
        let messages = peer.seen.messages();
        let call = messages.iter().find(|message| message["method_name"] == method);
        deadline = call.and_then(|call| call["meta"]["deadline_ms"].as_u64());
        deadline.is_some()
    })
    .await;
    format!("{}s", deadline.unwrap().div_ceil(10_000) * 10)
}

/// `rpcd` with the words of `command`, which calls `method` by the registry, to its end.
async fn client_in(command: &str, method: &str) {
    client_of(command, method, async |peer| {
        let registry = listing(&[peer]).await;
        (format!("--registry {}", registry.url()), registry)
    })
    .await;
}

/// The same of any target, which lives as long as what is returned with its flags.
async fn client_of<T>(command: &str, method: &str, target: impl AsyncFn(&Peer) -> (String, T)) {
    each_wins_over_those_before(("client", "timeout"), "--timeout ", TIMEOUTS, async |start| {
        let Start { home, variables, flags } = start;
        let peer = instance(|tick| Do::Write(result(tick, "1"))).await;
        let (to, _target) = target(&peer).await;
        let line = format!("{command} {to} {flags}");
        let run = run_in("rpcd", home, &settings(&variables), &line).await;
        assert_eq!(run.code, 0, "{run:?}");
        timeout_of(method, &peer).await
    })
    .await;
}

#[tokio::test]
async fn client_in_call() {
    client_in("call tick", "tick").await;
}

#[tokio::test]
async fn client_in_bench() {
    client_in("bench tick --count 1", "tick").await;
}

#[tokio::test]
async fn client_in_methods() {
    // By the registry each instance has the time of `failover_after` only.
    let direct = async |peer: &Peer| (at(peer, ""), ());
    client_of("methods", "rpc.discover", direct).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_on_the_screen() {
    // The screen has no flag for this key.
    let [default, user, local, environment, _] = TIMEOUTS;
    let values = [default, user, local, environment];
    each_wins_over_those_before(("client", "timeout"), "", values, async |start| {
        let peer = instance(|tick| Do::Write(result(tick, "1"))).await;
        let registry = listing(&[&peer]).await;
        let line = format!("--registry {}", registry.url());
        let mut tty = console_in(start.home, &settings(&start.variables), &line);
        call(&mut tty);
        timeout_of("tick", &peer).await
    })
    .await;
}

/// The folders that the tests of `[log]` set.
const FOLDERS: [&str; 5] = ["logs", "of-user", "of-folder", "of-variable", "of-flag"];

/// `dir` in `[log]` from as many sources as there are `values`.
async fn log_in<const N: usize>(program: Program, values: [&str; N]) {
    each_wins_over_those_before(("log", "dir"), "--log-dir ", values, async |start| {
        let Start { home, mut variables, flags } = start;
        // An unknown variable is a warning: a line to save.
        variables
            .extend([("LOG_SAVE", "true"), ("EFFECT", "1")].map(|(a, b)| (a.into(), b.into())));
        let running = program.start_with(home, &settings(&variables), &flags).await;
        let saved = || FOLDERS.into_iter().filter(|dir| !running.saved(dir).is_empty());
        eventually("a saved line", async || saved().count() > 0).await;
        saved().collect::<Vec<_>>().join(" and ")
    })
    .await;
}

#[tokio::test]
async fn log_in_serve() {
    log_in(Program::Serve, FOLDERS).await;
}

#[tokio::test]
async fn log_in_registry() {
    log_in(Program::Registry, FOLDERS).await;
}

#[tokio::test]
async fn log_in_call() {
    log_in(Program::Call, FOLDERS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn log_on_the_screen() {
    let [default, user, local, environment, _] = FOLDERS;
    log_in(Program::Console, [default, user, local, environment]).await;
    // Its only flag of this section is for another key.
    let saved = async |level: &str, flags: &str| {
        let variables = [("LOG_SAVE", "true"), ("LOG_LEVEL", level), ("EFFECT", "1")];
        let running = Program::Console.start_with(Home::new(), &variables, flags).await;
        running.saved_at_the_end("logs").await.join("\n")
    };
    assert_eq!(saved("error", "").await, "");
    let debugging = saved("error", "--log-level debug").await;
    assert!(debugging.contains("DEBUG") && debugging.contains("EFFECT"), "{debugging}");
    assert_eq!(saved("debug", "--log-level error").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_on_the_screen() {
    // There is no flag for any key of this section. By default all events are kept: five and
    // more.
    let values = ["5", "2", "3", "4"];
    each_wins_over_those_before(("console", "max_events"), "", values, async |start| {
        console::events(start.home, &settings(&start.variables)).await.min(5).to_string()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_console_is_that_of_the_nearest_file() {
    let (ctrl_c, user, local) = ("\x03", "Q", "Z");
    for (keys, last) in [(&[ctrl_c][..], 0), (&[ctrl_c, user], 1), (&[ctrl_c, user, local], 2)] {
        let home = Home::new();
        if last > 0 {
            home.user(&format!("[keys]\nquit_now = {user}\n"));
        }
        if last > 1 {
            home.local(&format!("[keys]\nquit_now = {local}\n"));
        }
        let mut tty = console_in(home, &[], "--registry http://127.0.0.1:1");
        tty.until(&["[1 Instances]"]);
        for key in &keys[..last] {
            tty.press(key);
        }
        // Still running.
        tty.press("2");
        tty.until(&["[2 Methods]"]);
        tty.press(keys[last]);
        assert_eq!(tty.ends(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_registry_is_that_of_the_nearest_file() {
    let registries = Registries::start(2).await;
    let [user, local] = registries.ports();
    let section = |port: &str| format!("[registry.staging]\nport = {port}\n");
    for (last, expected) in [&user, &local].into_iter().enumerate() {
        let home = || {
            let home = Home::new();
            home.user(&section(&user));
            if last > 0 {
                home.local(&section(&local));
            }
            home
        };
        let run = run_in("rpcd", home(), &[], "call tick --registry staging").await;
        assert_eq!(registries.named_in(&run.stdout).as_ref(), Some(expected), "{run:?}");
        let tty = console_in(home(), &[], "--registry staging");
        assert_eq!(registries.on_the_screen(&tty), *expected);
    }
}
