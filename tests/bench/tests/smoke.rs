//! The table of calls, in a very short run, with the rpcd beside this test.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn the_table_of_calls_is_printed_and_written() {
    let bench = Path::new(env!("CARGO_BIN_EXE_rpc-bench"));
    let rpcd = bench.with_file_name("rpcd");
    assert!(
        rpcd.is_file(),
        "{} is missing: run `cargo build -p rpcd`, or all tests with `cargo test --workspace`",
        rpcd.display()
    );
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("rpc.json");
    let output = Command::new(bench)
        .args(["rpc", "--runs", "1", "--pin", "free", "--idle", "100"])
        .args(["--warm-up", "10ms", "--measure", "30ms"])
        .arg("--json")
        .arg(&json)
        .env_remove("RPCD")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{}", String::from_utf8_lossy(&output.stdout));
    let table = String::from_utf8(output.stdout).unwrap();
    let written: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let scenarios = written["scenarios"].as_array().unwrap();
    let keys: Vec<_> = scenarios.iter().map(|one| one["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["A", "B", "C", "D", "M", "O", "S", "I"]);
    for scenario in scenarios {
        assert!(table.contains(&format!("### {}: ", scenario["key"].as_str().unwrap())), "{table}");
        for row in scenario["rows"].as_array().unwrap() {
            let run = &row["runs"][0];
            assert!(run["calls"].as_u64().unwrap() > 0, "{row}");
            assert!(run["peak_mib"].as_f64().unwrap() > 0.0, "{row}");
        }
    }
    // Idle connections alone have no latency.
    assert!(scenarios[0]["rows"][0]["medians"]["p50_us"].as_f64().unwrap() > 0.0);
}
