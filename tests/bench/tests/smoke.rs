//! The tables, in very short runs, with the rpcd beside this test.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn the_table_of_calls_is_printed_and_written() {
    let written = run(&["rpc", "--idle", "100", "--measure", "30ms"]);
    let scenarios = written["scenarios"].as_array().unwrap();
    let keys: Vec<_> = scenarios.iter().map(|one| one["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["A", "B", "C", "D", "M", "O", "T", "S", "I", "Y1", "Y64"]);
    for scenario in scenarios {
        for row in scenario["rows"].as_array().unwrap() {
            let run = &row["runs"][0];
            assert!(run["calls"].as_u64().unwrap() > 0, "{row}");
            assert!(run["peak_mib"].as_f64().unwrap() > 0.0, "{row}");
        }
    }
    // Idle connections alone have no latency.
    assert!(scenarios[0]["rows"][0]["medians"]["p50_us"].as_f64().unwrap() > 0.0);
}

#[test]
fn the_tables_of_tls_and_http_have_a_figure_in_every_row() {
    for (group, keys) in [("tls", &["A", "B", "C", "D"][..]), ("http", &["J"])] {
        let written = run(&[group, "--measure", "30ms"]);
        let scenarios = written["scenarios"].as_array().unwrap();
        assert_eq!(
            scenarios.iter().map(|one| one["key"].as_str().unwrap()).collect::<Vec<_>>(),
            keys
        );
        for row in scenarios.iter().flat_map(|one| one["rows"].as_array().unwrap()) {
            assert!(row["runs"][0]["calls"].as_u64().unwrap() > 0, "{group}: {row}");
        }
    }
}

#[test]
fn the_table_of_overloads_counts_every_call() {
    let written = run(&["overload", "--only", "CPU@16:2x,AWAIT@16:2x", "--measure", "200ms"]);
    let scenarios = written["scenarios"].as_array().unwrap();
    let keys: Vec<_> = scenarios.iter().map(|one| one["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["CPU@16", "AWAIT@16"]);
    for scenario in scenarios {
        let row = &scenario["rows"][0];
        assert_eq!(row["name"], "2x");
        let run = |figure: &str| row["runs"][0][figure].as_f64().unwrap();
        assert!(run("offered") > 0.0 && run("peak_mib") > 0.0, "{row}");
        let good = run("goodput") * run("capacity") / run("offered");
        let others = ["refused", "failed", "timed_out", "lost"].map(run).iter().sum::<f64>();
        assert!((good + others - 1.0).abs() < 1e-6, "{row}");
    }
}

#[test]
fn how_cost_grows_is_measured_and_drawn() {
    let only = "connections@10,bytes@1000,instances@10,methods@10,contracts@10,watchers@10";
    let written = run(&["growth", "--measure", "30ms", "--only", only]);
    let scenarios = written["scenarios"].as_array().unwrap();
    let keys: Vec<_> = scenarios.iter().map(|one| one["key"].as_str().unwrap()).collect();
    assert_eq!(keys.join(","), only);
    for row in scenarios.iter().flat_map(|one| one["rows"].as_array().unwrap()) {
        assert!(row["runs"][0]["calls"].as_u64().unwrap() > 0, "{row}");
    }
    let folder = tempfile::tempdir().unwrap();
    let (figures, picture) = (folder.path().join("growth.json"), folder.path().join("growth.svg"));
    std::fs::write(&figures, written.to_string()).unwrap();
    let drawn = Command::new(env!("CARGO_BIN_EXE_rpc-bench"))
        .args([Path::new("plot"), &figures, &picture])
        .status();
    assert!(drawn.unwrap().success());
    let picture = std::fs::read_to_string(picture).unwrap();
    assert!(picture.ends_with("</svg>\n") && picture.contains("first call of a client"));
}

/// Runs the benchmark once; returns the JSON, after checking that the table has its scenarios.
fn run(arguments: &[&str]) -> Value {
    let bench = Path::new(env!("CARGO_BIN_EXE_rpc-bench"));
    let rpcd = bench.with_file_name("rpcd");
    assert!(
        rpcd.is_file(),
        "{} is missing: run `cargo build -p rpcd`, or all tests with `cargo test --workspace`",
        rpcd.display()
    );
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("figures.json");
    let output = Command::new(bench)
        .args(arguments)
        .args(["--runs", "1", "--pin", "free", "--warm-up", "10ms", "--json"])
        .arg(&json)
        .env_remove("RPCD")
        .output()
        .unwrap();
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{table}", String::from_utf8_lossy(&output.stderr));
    let written: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    for scenario in written["scenarios"].as_array().unwrap() {
        assert!(table.contains(&format!("### {}: ", scenario["key"].as_str().unwrap())), "{table}");
    }
    written
}
