//! Several services behind one registry: who offers what, and the choice of one.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use portable_pty::CommandBuilder;
use rpc_server::{Method, rpc_method};
use rpc_tests::terminal::Tty;
use serde_json::{Value, json};

use crate::process::{DEAD_PORT, command, rpcd, rpcd_args};
use crate::site::Site;

/// Gets an order.
#[rpc_method(read_only)]
#[example("the first": 1 => "order 1")]
pub(crate) fn get(id: u32) -> String {
    format!("order {id}")
}

/// Gets a bill.
pub(crate) fn get_a_bill() -> Method {
    Method::named("get")
        .doc("Gets a bill.")
        .parameters(["number", "year"])
        .sync(|number: String, year: u32| format!("bill {number} of {year}"))
}

/// Charges a card.
#[rpc_method]
pub(crate) fn charge(amount: u32) -> u32 {
    amount
}

/// Pays, once however often it is called.
#[rpc_method(idempotent)]
#[deprecated]
fn pay(id: u32) -> u32 {
    id
}

/// A registry with an instance of `site`, two of `orders` (one of them with a method more), and one of
/// `billing`.
pub(crate) fn services() -> (Site, [String; 3]) {
    let site = Site::start();
    #[allow(deprecated, reason = "the warning is for callers")]
    let orders = || vec![get::method(), pay::method()];
    let newer = || orders().into_iter().chain([charge::method()]);
    let servers = [
        site.serve("orders", orders()),
        site.serve("orders", newer()),
        site.serve("billing", [get_a_bill()]),
    ];
    (site, servers)
}

#[test]
fn methods_are_those_of_all_services_with_who_offers_them() {
    let (site, servers) = services();
    let first = site.run("methods");
    assert_eq!((first.code, first.stderr.as_str()), (0, ""));
    let cells = |line| str::split(line, "  ").map(str::trim).filter(|it| !it.is_empty());
    let shown: Vec<Vec<&str>> = first.stdout.lines().map(|line| cells(line).collect()).collect();
    for row in [
        ["billing · get(number: string, year: integer) -> string", "1 of 1", "Gets a bill."],
        ["orders · charge(amount: integer) -> integer", "1 of 2", "Charges a card."],
        ["orders · get(id: integer) -> string", "2 of 2", "Gets an order."],
    ] {
        assert!(shown.iter().any(|cells| cells == &row), "{row:?}: {}", first.stdout);
    }
    assert!(first.stdout.contains("(deprecated) Pays, once"), "{}", first.stdout);
    assert!(first.stdout.contains("site · add("), "{}", first.stdout);
    for _ in 0..9 {
        assert_eq!(site.run("methods").stdout, first.stdout);
    }
    let gets: Value = serde_json::from_str(&site.run("methods get --json").stdout).unwrap();
    let mut orders = [&servers[0], &servers[1]];
    orders.sort();
    let offered: Vec<&Value> =
        gets["methods"].as_array().unwrap().iter().map(|it| &it["x-offered-by"]).collect();
    let expected = [
        json!([{"service": "billing", "instances": [servers[2]], "of": 1}]),
        json!([{"service": "orders", "instances": orders, "of": 2}]),
    ];
    assert_eq!((offered, &gets["x-unknown"]), (expected.iter().collect(), &json!([])));
    // Of one service whose instances are alike, the list is as short as that of one server.
    let one = site.run("methods --service billing").stdout;
    assert!(one.starts_with("get(number: string, year: integer) -> string  Gets"), "{one}");
}

#[test]
fn instances_that_could_not_be_asked_are_named() {
    let (site, _) = services();
    let body = format!(
        r#"{{"protocol":"json","host":"127.0.0.1","port":{DEAD_PORT},"status":true,"parameters":{{"service":"orders"}}}}"#
    );
    let status = register(&site.url, &body);
    assert!(status.contains("200"), "{status}");
    let run = site.run("methods get");
    let dead = format!("127.0.0.1:{DEAD_PORT}");
    assert!(run.stderr.contains(&format!("the methods of {dead} (orders) are unknown: ")));
    assert!(run.stdout.contains("2 of 3"), "{run:?}");
    let gets: Value = serde_json::from_str(&site.run("methods get --json").stdout).unwrap();
    let unknown = &gets["x-unknown"][0];
    assert_eq!((&unknown["instance"], &unknown["service"]), (&json!(dead), &json!("orders")));
    assert_eq!(unknown["error"]["kind"], "unreachable");
}

#[test]
fn a_call_waits_for_no_instance_that_says_nothing_of_its_methods() {
    let (site, _) = services();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let body = format!(r#"{{"protocol":"json","host":"127.0.0.1","port":{port},"status":true}}"#);
    let status = register(&site.url, &body);
    assert!(status.contains("200"), "{status}");
    // Each instance has two seconds to say what it offers.
    let start = Instant::now();
    let run = site.run("call charge 3");
    assert_eq!((run.code, run.stdout.as_str()), (0, "3\n"), "{run:?}");
    assert!(start.elapsed() < Duration::from_millis(1900), "{:?}", start.elapsed());
    let methods = site.run("methods charge");
    let said =
        format!("the methods of 127.0.0.1:{port} are unknown: cannot reach 127.0.0.1:{port}: ");
    assert!(methods.stderr.contains(&said), "{methods:?}");
}

/// Registers an instance, and returns the status line.
pub(crate) fn register(url: &str, body: &str) -> String {
    use std::io::Write as _;
    let address = url.trim_start_matches("http://");
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    write!(
        socket,
        "POST /myRegistry/register?proto=json HTTP/1.1\r\nHost: {address}\r\nContent-Type: \
         application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut line = String::new();
    BufReader::new(socket).read_line(&mut line).unwrap();
    line
}

#[test]
fn where_services_differ_in_a_method_one_must_be_chosen() {
    let (site, servers) = services();
    let said =
        "billing and orders offer get with different signatures; choose one by --service NAME";
    for line in ["call get 1", "call get -d [1]", "describe get", "bench get 1 --count 1"] {
        let run = site.run(&format!("{line} --json"));
        assert_eq!((run.code, run.stderr), (2, format!("rpcd: {said}\n")), "{line}");
        let error: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(error["error"]["data"]["services"], json!(["billing", "orders"]), "{line}");
    }
    for _ in 0..5 {
        let run = site.run("call get 7 --service orders");
        assert_eq!((run.code, run.stdout.as_str()), (0, "order 7\n"), "{run:?}");
        // The schema is that of the service, too: a string that looks like a number.
        let run = site.run("call get 007 2026 --service billing");
        assert_eq!((run.code, run.stdout.as_str()), (0, "bill 007 of 2026\n"), "{run:?}");
    }
    let port = servers[2].rsplit(':').next().unwrap();
    assert_eq!(rpcd(&format!("call get a 1 -p {port}")).stdout, "bill a of 1\n");
    // What only one of them offers needs no choice.
    for _ in 0..5 {
        assert_eq!(site.run("call charge 3").stdout, "3\n");
    }
    // The command that is advised chooses it, too.
    for line in ["call get x", "bench get x --count 1"] {
        let run = site.run(&format!("{line} --service orders"));
        let (_, see) = run.stderr.trim_end().rsplit_once("; see rpcd ").unwrap();
        assert_eq!(see, format!("describe get --registry {} --service orders", site.url), "{line}");
        assert_eq!(rpcd(see).code, 0, "{see}");
    }
    let described = site.run("describe get --service billing").stdout;
    assert!(described.contains("Offered by\n  billing  1 of 1 instances"), "{described}");
    let command = format!("rpcd call get text 1 --registry {} --service billing", site.url);
    assert!(described.contains(&command), "{described}");
}

#[test]
fn a_method_that_nobody_offers_is_another_error_than_an_unreachable_registry() {
    let (site, _) = services();
    for line in ["call chrage 1", "call chrage -d [1]", "describe chrage", "bench chrage 1"] {
        let run = site.run(&format!("{line} --json"));
        let said = r#"no instance offers "chrage": asked 4 of 4; the nearest name is charge"#;
        assert_eq!((run.code, run.stderr), (1, format!("rpcd: {said}\n")), "{line}");
        let error: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(error["error"]["code"], -32601, "{line}");
        assert_eq!(error["error"]["kind"], "no_such_method", "{line}");
        assert_eq!(error["error"]["data"]["nearest"], json!(["charge"]), "{line}");
    }
    for line in ["call nosuch", "describe nosuch", "bench nosuch --count 1"] {
        let run = site.run(&format!("{line} --json"));
        let said =
            r#"no instance offers "nosuch": asked 4 of 4; what is offered has no similar name"#;
        assert_eq!((run.code, run.stderr), (1, format!("rpcd: {said}\n")), "{line}");
        let error: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(error["error"].get("data"), None, "{line}");
    }
    let run = site.run("bench chrage 1 --count 1");
    assert!(run.code == 1 && run.stderr.contains(r#"no instance offers "chrage""#), "{run:?}");
    let port = site.server.rsplit(':').next().unwrap();
    let run = rpcd(&format!("bench ad 1 2 -p {port}"));
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
    assert_eq!(run.stderr, "rpcd: No service found for: ad; did you mean add?\n");
    for line in ["call add 1 2", "describe add", "methods", "bench add 1 2 --count 1"] {
        let run = rpcd(&format!("{line} --registry http://127.0.0.1:{DEAD_PORT} --json"));
        let error: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!((run.code, &error["error"]["kind"]), (3, &json!("unreachable")), "{line}");
        assert!(run.stderr.contains("registry"), "{line}: {run:?}");
    }
}

#[test]
fn a_description_has_effects_and_examples_and_a_deprecated_method_is_warned_about() {
    let (site, _) = services();
    let described = site.run("describe get --service orders").stdout;
    assert!(described.contains("  Read-only: a call changes nothing.\n"), "{described}");
    let example = format!(
        "Examples\n  # the first: returns \"order 1\"\n  rpcd call get id=1 --registry {} --service \
         orders\n",
        site.url
    );
    assert!(described.contains(&example), "{described}");
    let described = site.run("describe pay").stdout;
    assert!(described.contains("  Deprecated. ") && described.contains(" Idempotent: "));
    let run = site.run("call pay 3");
    let said = format!(
        "rpcd: warning: pay is deprecated; see rpcd describe pay --registry {}\n",
        site.url
    );
    assert_eq!((run.code, run.stdout.as_str(), run.stderr), (0, "3\n", said));
}

#[test]
fn instances_stats_and_watch_know_services() {
    let (site, servers) = services();
    let of = |line: &str| {
        let run = site.run(&format!("{line} --service orders"));
        assert_eq!(run.code, 0, "{line}: {run:?}");
        run.stdout
    };
    let listed = of("instances");
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.lines().all(|line| line.ends_with("  service orders  version 1.2.3")));
    let all = site.run("instances").stdout;
    let services: Vec<_> = all.lines().filter_map(|line| line.split("  service ").nth(1)).collect();
    let expected = ["billing", "orders", "orders", "site"].map(|it| format!("{it}  version 1.2.3"));
    assert_eq!(services, expected, "{all}");
    let parsed: Value = serde_json::from_str(&of("instances --json")).unwrap();
    assert_eq!(parsed.as_array().unwrap().len(), 2, "{parsed}");
    for line in [of("stats"), site.run(&format!("stats {}", servers[0])).stdout] {
        assert!(line.trim_end().ends_with("  orders"), "{line}");
    }
    let stats = of("stats --json");
    let parsed: Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(parsed[0]["service"], "orders", "{stats}");
    let stats = of("stats");
    assert!(stats.contains(&servers[0]) && !stats.contains(&servers[2]), "{stats}");

    let first_line = |further: &[&str]| {
        let arguments = [&["watch", "--registry", &site.url][..], further].concat();
        let mut watch = command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        (watch, lines, first)
    };
    let (mut watch, _lines, first) = first_line(&[]);
    assert!(first.ends_with("4 instances (1 billing, 2 orders, 1 site)"), "{first}");
    watch.kill().unwrap();
    watch.wait().unwrap();
    let (mut watch, mut lines, first) = first_line(&["--service", "orders"]);
    assert!(first.ends_with("2 instances"), "{first}");
    // One of another service is not shown.
    site.serve("billing", [get_a_bill()]);
    let new = site.serve("orders", [charge::method()]);
    let next = lines.next().unwrap().unwrap();
    let words: Vec<&str> = next.split_whitespace().skip(1).collect();
    assert_eq!(words, ["registered", &new, "orders"], "{next}");
    // Who watches one service sees who moves in and out.
    let moves = |service: &str| {
        let body = format!(
            r#"{{"protocol":"json","host":"127.0.0.1","port":{DEAD_PORT},"status":true,"parameters":{{"service":"{service}"}}}}"#
        );
        let status = register(&site.url, &body);
        assert!(status.contains("200"), "{status}");
    };
    let dead = format!("127.0.0.1:{DEAD_PORT}");
    moves("billing");
    for (service, event) in [("orders", "registered"), ("billing", "unregistered")] {
        moves(service);
        let next = lines.next().unwrap().unwrap();
        let words: Vec<&str> = next.split_whitespace().skip(1).collect();
        assert_eq!(words, [event, &dead, "orders"], "{next}");
    }
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[test]
fn a_service_is_chosen_among_the_instances_of_a_registry_only() {
    for (line, said) in [
        ("call add -p 1 --service a", "--service chooses among the instances of a registry"),
        ("methods -i a -p 1 --service a", "--service chooses among the instances of a registry"),
        ("stats a:1 --service a", "name instances, or all of one by --service, not both"),
        ("call add --service a/b", "bad value 'a/b' for --service <NAME>"),
    ] {
        let run = rpcd(line);
        assert!(run.code == 2 && run.stderr.contains(said), "{line}: {run:?}");
    }
}

#[test]
fn a_method_that_may_change_something_is_loaded_elsewhere_only_with_consent() {
    let (site, servers) = services();
    let port = servers[1].rsplit(':').next().unwrap();
    // The same server, by an address that is none of loopback.
    let elsewhere = format!("-i 0.0.0.0 -p {port} --count 10");
    let run = rpcd(&format!("bench charge 1 {elsewhere}"));
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("load test refused: charge at 0.0.0.0:"), "{run:?}");
    assert!(run.stderr.contains("add --yes"), "{run:?}");
    for line in [
        format!("bench charge 1 {elsewhere} --yes"),
        format!("bench get 1 {elsewhere}"),
        format!("bench pay 1 {elsewhere}"),
        format!("bench charge 1 -p {port} --count 10"),
        format!("bench charge 1 --registry {} --count 10", site.url),
    ] {
        let run = rpcd(&line);
        assert_eq!(run.code, 0, "{line}: {run:?}");
    }
    let dead = rpcd_args(&["bench", "charge", "1", "-i", "0.0.0.0", "-p", "1"]);
    assert_eq!(dead.code, 3, "{dead:?}");

    for (keys, code, said) in [("n\r", 1, "was not started"), ("y\r", 0, "failed             0")] {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_rpcd"));
        command.args(format!("bench charge 1 {elsewhere}").split(' '));
        let mut tty = Tty::run(command, (160, 40));
        tty.until(&["Start the load test? [y/N]"]);
        tty.press(keys);
        assert_eq!(tty.ends(), code, "{}", tty.screen());
        tty.until(&[said]);
    }
}
