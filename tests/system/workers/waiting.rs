//! Calls that wait, or that nobody has read, while a worker is changed or ends.

use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::eventually;
use rpc_tests::home::Home;
use rpc_tests::python::has_python;
use rpc_tests::queries::in_flight;
use rpc_tests::raw::Raw;
use serde_json::{Value, json};

use super::with_meta;

/// Lists `pay` with these parameters in this order, and `nap`.
const PAY: &str = r#"import json, sys, time
NAMES = ["sender", "receiver"]
for line in sys.stdin:
    call = json.loads(line)
    name = call.get("method_name")
    if name == "rpc.discover":
        res = [{"method_name": "pay", "method_args": NAMES, "method_kwargs": {}},
               {"method_name": "nap", "method_args": ["seconds"], "method_kwargs": {}}]
    elif name == "nap":
        res = time.sleep(call["method_args"][0])
    else:
        res = dict(zip(NAMES, call.get("method_args", [])))
    if name:
        print(json.dumps({"id": call["id"], "res": res}), flush=True)
"#;

/// Answers one call of `once` and ends. The shell reads byte by byte, so that it has read nothing behind that.
const ONCE: &str = r#"while read -r call; do
  id=$(printf %s "$call" | sed 's/.*"id": *\([0-9]*\).*/\1/')
  case $call in
    *rpc.discover*) printf '{"id":%s,"res":[{"method_name":"once","method_args":[],"method_kwargs":{}}]}\n' "$id" ;;
    *) sleep 0.2; printf '{"id":%s,"res":"done"}\n' "$id"; exit ;;
  esac
done
"#;

#[tokio::test]
async fn a_call_that_waits_while_its_parameters_are_exchanged_is_not_executed_with_both_exchanged()
{
    if !has_python() {
        return;
    }
    let home = Home::new();
    let program = home.path().join("pay.py");
    std::fs::write(&program, PAY).unwrap();
    let command = format!("python3 -B '{}'", program.display());
    let (server, at) =
        Daemon::server(&["--no-registry", "--watch-files", "--worker", &command]).await;
    let mut busy = Raw::connect(at).await;
    busy.send(with_meta(1, "nap", &json!([3]), &json!({}))).await;
    eventually("the process is busy", async || in_flight(at, "nap").await == 1).await;
    let mut waiting = Raw::connect(at).await;
    let named = json!({"sender": "A", "receiver": "B"});
    waiting
        .send(format!("{}\n", json!({"id": 2, "method_name": "pay", "method_kwargs": named})))
        .await;
    eventually("the call waits", async || in_flight(at, "pay").await == 1).await;
    let changed = PAY.replace(r#""sender", "receiver""#, r#""receiver", "sender""#);
    std::fs::write(&program, changed).unwrap();
    let reply = waiting.reply().await;
    // Where the changed one takes longer to start than the call that is in its way, that one runs it.
    match reply.get("error") {
        Some(error) => assert_eq!(error["code"], -32602, "{reply}"),
        None => assert_eq!(reply["res"], named, "{reply}"),
    }
    drop(server);
}

#[tokio::test]
async fn calls_that_a_process_had_not_read_when_it_ended_go_to_the_next() {
    let home = Home::new();
    let program = home.path().join("once.sh");
    std::fs::write(&program, ONCE).unwrap();
    let command = format!("sh '{}'", program.display());
    let line = ["--no-registry", "--worker", &command, "--worker-concurrency", "4"];
    let (_server, at) = Daemon::server(&line).await;
    let mut peer = Raw::connect(at).await;
    for id in 1..=4 {
        peer.send(with_meta(id, "once", &json!([]), &json!({}))).await;
    }
    let mut done = Vec::<Value>::new();
    for _ in 1..=4 {
        let reply = peer.reply().await;
        assert_eq!(reply["res"], "done", "{reply}");
        done.push(reply["id"].clone());
    }
    done.sort_by_key(Value::to_string);
    assert_eq!(done, [1, 2, 3, 4]);
}
