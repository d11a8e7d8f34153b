//! The library with a method that computes for as long as it is told, as a process of its own.

use std::future::pending;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context;
use rpc_server::{Announce, Method, Server};
use rustix::time::{ClockId, clock_gettime};

use crate::plan::BurnOptions;

/// Serves `burn(micros)` on a free port of 127.0.0.1, printed to standard error, until it is killed.
///
/// # Errors
/// It cannot listen, or the registry's URL is none.
pub fn serve(options: &BurnOptions) -> anyhow::Result<()> {
    let announce = Announce::to(&options.registry)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve_announced(announce))
}

#[expect(clippy::print_stderr, reason = "the address is what the parent process waits for")]
async fn serve_announced(announce: Announce) -> anyhow::Result<()> {
    let burn = Method::named("burn").parameters(["micros"]).read_only().sync(burn);
    let server = Server::builder()
        .name("burn")
        .method(burn)
        .announce(announce)
        .bind((Ipv4Addr::LOCALHOST, 0))
        .await?;
    eprintln!("listening address={}", server.local_addr());
    server.serve(pending()).await.context("serving")
}

/// Uses that much processor time, whoever else has the processor meanwhile.
fn burn(micros: u64) -> u64 {
    let end = processor_time() + Duration::from_micros(micros);
    while processor_time() < end {
        std::hint::spin_loop();
    }
    micros
}

/// The processor time of this thread.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burning_takes_processor_time() {
        let began = processor_time();
        assert_eq!(burn(2_000), 2_000);
        assert!(processor_time() - began >= Duration::from_millis(2));
    }
}
