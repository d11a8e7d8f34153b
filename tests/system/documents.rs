//! The commands of README.md and docs/ work as printed, on other ports.
//!
//! Every `sh` and `python` block of a document is run, in order and in one empty directory, unless a
//! comment before it says `not run: REASON`. A block marked `until stopped` runs until the others are
//! done, and ends well on Ctrl-C. A `text` block marked `printed` is what the block before it prints.

use std::path::Path;

use rpc_tests::binaries::binary;
use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::{SOON, eventually};
use rpc_tests::home::Home;
use rpc_tests::installed::has;
use rpc_tests::python::has_python;
use rpc_tests::reserved_port::ReservedPort;
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::process::Command;

/// A block of code, with the comments right before it.
#[derive(Debug, PartialEq)]
struct Block {
    language: String,
    marks: Vec<String>,
    text: String,
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut marks = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let (language, marks) = (language.to_owned(), std::mem::take(&mut marks));
            blocks.push(Block { language, marks, text: text.join("\n") });
        } else if let Some(mark) = line.strip_prefix("<!-- ") {
            marks.push(mark.trim_end_matches(" -->").to_owned());
        } else if !line.is_empty() {
            marks.clear();
        }
    }
    blocks
}

/// The default ports of the documents, and those of this test.
type Ports = [(&'static str, ReservedPort); 3];

/// The text with the ports of this test.
fn with_ports(text: &str, ports: &Ports) -> String {
    ports.iter().fold(text.to_owned(), |text, (printed, port)| {
        text.replace(printed, &port.number().to_string())
    })
}

fn start(block: &Block, ports: &Ports, folder_of_all: &Path) -> Daemon {
    let text = with_ports(&block.text, ports);
    let (program, flag) = match block.language.as_str() {
        "python" => ("python3", "-c"),
        _ => ("bash", "-euc"),
    };
    let folder = binary("rpcd").parent().unwrap().to_owned();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("env");
    command
        .arg("-C")
        .arg(folder_of_all)
        .args([program, flag, &text])
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("RPCD_REGISTRY_PORT", ports[0].1.number().to_string());
    Daemon::start(&text, command)
}

/// Runs the blocks of a document; returns how many.
async fn run(document: &Path) -> usize {
    let text = std::fs::read_to_string(document).unwrap();
    let ports = ["9999", "8089", "8090"].map(|printed| (printed, ReservedPort::new()));
    let (mut daemons, mut count) = (Vec::new(), 0);
    let mut printed = None;
    let folder = Home::new();
    for block in blocks(&text) {
        let is_marked = |mark: &str| block.marks.iter().any(|known| known.starts_with(mark));
        if is_marked("printed") {
            assert_eq!(printed, Some(with_ports(&block.text, &ports)), "{}", document.display());
            continue;
        }
        if !["sh", "python"].contains(&&*block.language) || is_marked("not run: ") {
            continue;
        }
        count += 1;
        let mut started = start(&block, &ports, folder.path());
        if is_marked("until stopped") {
            listens(&block, &ports).await;
            daemons.push((started, block.language == "sh"));
        } else {
            let code = started.exit_code().await;
            assert_eq!(code, 0, "{}:\n{}", document.display(), started.transcript());
            printed = Some(started.stdout().lines().join("\n"));
        }
    }
    // All of them first: one in Python ends when those that are connected to it have.
    for (daemon, _) in daemons.iter().rev() {
        daemon.signal(Signal::INT);
    }
    for (mut daemon, is_ours) in daemons.into_iter().rev() {
        let status = daemon.exits_within(SOON).await;
        // Python lets the signal end it.
        assert!(status.success() || !is_ours, "{}", daemon.transcript());
    }
    count
}

/// Waits for the last port that the block names.
async fn listens(block: &Block, ports: &Ports) {
    let place = |printed: &str| block.text.rfind(printed);
    let named = ports.iter().filter(|(printed, _)| place(printed).is_some());
    let (_, port) = named.max_by_key(|(printed, _)| place(printed)).expect("a port");
    eventually("the port listens", async || TcpStream::connect(port.address()).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_readme_works() {
    if !has_python() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    assert_eq!(run(&root.join("README.md")).await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_documentation_works() {
    if !has_python() || !has("curl", "curl") || !has("openssl", "openssl") {
        return;
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs");
    let mut documents = 0;
    for entry in std::fs::read_dir(docs).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            run(&path).await;
            documents += 1;
        }
    }
    assert!(documents >= 3, "{documents}");
}

#[test]
fn the_program_in_the_readme_is_the_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    assert!(read("README.md").contains(&read("examples/workers/methods.py")));
}

#[test]
fn a_block_has_the_comments_right_before_it() {
    let text = "<!-- far -->\ntext\n<!-- a -->\n\n<!-- not run: slow -->\n```sh\nls\n\nid\n```\n```\nx\n```";
    let block = |language: &str, marks: &[&str], text: &str| Block {
        language: language.to_owned(),
        marks: marks.iter().map(|mark| (*mark).to_owned()).collect(),
        text: text.to_owned(),
    };
    assert_eq!(
        blocks(text),
        [block("sh", &["a", "not run: slow"], "ls\n\nid"), block("", &[], "x")]
    );
}
