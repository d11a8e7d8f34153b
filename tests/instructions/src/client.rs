//! Calls of a client over a socket: the client is a separate process, and only it is counted.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Stdio;

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use rpc_client::{Client, ClientOptions};

use crate::TIMEOUT;
use crate::valgrind;

/// Calls `add(1, 2)` at `address` that many times, `at_once` of them together.
pub(crate) fn call(address: &str, calls: usize, at_once: usize) -> anyhow::Result<()> {
    let options = ClientOptions { timeout: TIMEOUT, ..ClientOptions::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Client::direct(address, options)?;
        for _ in 0..calls / at_once {
            let together = (0..at_once).map(|_| client.call_as::<i64>("add", (1, 2)));
            for answer in join_all(together).await {
                ensure!(answer? == 13, "a wrong result");
            }
        }
        client.close().await;
        Ok(())
    })
}

/// The instructions of a client that makes that many calls, `at_once` of them with one reply write.
pub(crate) fn calls(calls: usize, at_once: usize) -> anyhow::Result<u64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?.to_string();
    let mut command = valgrind::command(std::env::current_exe()?);
    command.args(["call", &address, &calls.to_string(), &at_once.to_string()]);
    let client = command.stderr(Stdio::piped()).spawn()?;
    std::thread::spawn(move || answer(&listener.accept()?.0, at_once));
    let output = client.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the client failed:\n{errors}");
    valgrind::instructions(&errors)
}

/// Replies to the probe, and then to `at_once` calls in each write, until the client closes.
fn answer(stream: &TcpStream, at_once: usize) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream;
    let mut lines = BufReader::new(stream).lines();
    let mut id = 0;
    for together in std::iter::once(1).chain(std::iter::repeat(at_once)) {
        let mut replies = String::new();
        for _ in 0..together {
            let Some(line) = lines.next().transpose()? else { return Ok(()) };
            ensure!(line.starts_with(&format!("{{\"id\":{id},")), "no call {id}: {line}");
            replies.push_str(&format!("{{\"id\":{id},\"res\":13}}\n"));
            id += 1;
        }
        writer.write_all(replies.as_bytes()).context("replying")?;
    }
    Ok(())
}
