//! Calls of a server over a socket: the server is a separate process, and only it is counted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Stdio;

use anyhow::{Context, ensure};
use rpc_host::logging::{self, LogOptions};
use rpc_server::{Server, builtin};

use crate::TIMEOUT;
use crate::valgrind;
use crate::work::{EXTENDED, REPLY};

/// Serves like `rpcd serve` on one processor, until standard input ends.
pub(crate) fn serve() -> anyhow::Result<()> {
    let logging = logging::init(&LogOptions::default())?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let server = Server::builder().methods(builtin::methods()).log_ring(logging.ring(""));
        let server = server.bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let handle = server.handle();
        std::thread::spawn(move || {
            // Nothing is sent: standard input ends when the parent closes it.
            let _ = std::io::stdin().read(&mut [0]);
            handle.stop();
        });
        Ok(server.serve(std::future::pending()).await?)
    })
}

/// The instructions of a server for that many calls, `at_once` of them in one write.
pub(crate) fn calls(calls: usize, at_once: usize) -> anyhow::Result<u64> {
    let mut command = valgrind::command(std::env::current_exe()?);
    let mut server = command.arg("serve").stdin(Stdio::piped()).spawn()?;
    let mut output = BufReader::new(server.stderr.take().context("no standard error")?);
    let mut written = String::new();
    let address = loop {
        let begin = written.len();
        ensure!(output.read_line(&mut written)? > 0, "it does not listen:\n{written}");
        if let Some(address) = address_in(&written[begin..]) {
            break address;
        }
    };
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let (requests, replies) = (EXTENDED.repeat(at_once), REPLY.repeat(at_once));
    let mut input = vec![0; replies.len()];
    for _ in 0..calls / at_once {
        stream.write_all(&requests)?;
        stream.read_exact(&mut input).context("waiting for replies")?;
        ensure!(input == replies, "a wrong reply");
    }
    drop(stream);
    drop(server.stdin.take());
    output.read_to_string(&mut written)?;
    ensure!(server.wait()?.success(), "it failed:\n{written}");
    valgrind::instructions(&written)
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let address = line.split_once("listening address=")?.1;
    address.split_whitespace().next()?.parse().ok()
}
