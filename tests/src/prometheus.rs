//! What monitoring makes of `/metrics`: Prometheus' own programs, and OpenMetrics' strict reader.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::installed::is_there;

/// Whether Debian's package `prometheus` is installed. Without it tests are skipped with a message; with
/// `CI=true` they fail instead, since nobody reads the messages there.
///
/// # Panics
/// `CI=true` and it is missing.
pub fn is_installed() -> bool {
    let found = |program| Command::new(program).arg("--version").output().is_ok();
    is_there(found("prometheus") && found("promtool"), "prometheus")
}

/// The Python that has Debian's package `python3-prometheus-client`: skipped or failed as above.
///
/// # Panics
/// `CI=true` and it is missing.
pub fn python_with_openmetrics() -> Option<&'static str> {
    let has_it = |python: &&str| {
        let import = ["-c", "import prometheus_client.openmetrics.parser"];
        Command::new(python).args(import).output().is_ok_and(|output| output.status.success())
    };
    // The first python3 need not be Debian's.
    let python = ["python3", "/usr/bin/python3"].into_iter().find(has_it);
    is_there(python.is_some(), "python3-prometheus-client");
    python
}

/// What `promtool check metrics` says about a page in the text format: nothing, if all is well.
///
/// # Panics
/// It cannot be run.
pub fn promtool_says(page: &str) -> String {
    let mut promtool = Command::new("promtool");
    said(run(promtool.args(["check", "metrics"]), page))
}

/// What OpenMetrics' reference parser says about a page: nothing, if all is well.
///
/// # Panics
/// It cannot be run.
pub fn strict_reader_says(python: &str, page: &str) -> String {
    const READ: &str = "import sys; sys.stdin.reconfigure(encoding='utf-8', newline='')
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read
list(read(sys.stdin.read()))";
    said(run(Command::new(python).args(["-c", READ]), page))
}

fn run(command: &mut Command, input: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // It reads all before it writes.
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Its output, and its exit code unless that is 0.
fn said(output: Output) -> String {
    let mut said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if !output.status.success() {
        said.push_str(&output.status.to_string());
    }
    said
}
