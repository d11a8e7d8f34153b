//! The library with many methods, or with many servers, as a process of its own.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use rpc_server::{Announce, Method, Server};
use tokio::task::JoinSet;

use crate::plan::ManyOptions;

/// Serves on free ports until it is killed; prints the first one's address to standard error once all listen. Those that
/// register listen at all addresses of this machine, so that a crowd of instances can be registered for each.
///
/// # Errors
/// It cannot listen, or the registry's URL is none.
pub fn serve(options: &ManyOptions) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve_all(options))
}

#[expect(clippy::print_stderr, reason = "the address is what the parent process waits for")]
async fn serve_all(options: &ManyOptions) -> anyhow::Result<()> {
    let (mut servers, mut first) = (JoinSet::new(), None);
    for number in 0..options.servers {
        let method = |name| Method::named(name).parameters(["a", "b"]).read_only().sync(add);
        let methods = names(options, number).map(method);
        let mut server = Server::builder().name("many").methods(methods);
        let mut listen = Ipv4Addr::LOCALHOST;
        if let Some(registry) = &options.registry {
            server = server.announce(Announce::to(registry)?.advertise(listen.to_string(), None));
            listen = Ipv4Addr::UNSPECIFIED;
        }
        let server = server.bind((listen, 0)).await?;
        first = first.or(Some(SocketAddr::from((Ipv4Addr::LOCALHOST, server.local_addr().port()))));
        servers.spawn(server.serve(pending()));
    }
    eprintln!("listening address={}", first.context("there is no server")?);
    while let Some(ended) = servers.join_next().await {
        ended?.context("serving")?;
    }
    Ok(())
}

/// The names of one server's methods.
fn names(options: &ManyOptions, server: usize) -> impl Iterator<Item = String> {
    let own = name(if options.different { server } else { 0 });
    (0..options.methods).map(move |number| match number {
        0 => own.clone(),
        _ => format!("{own}_{number}"),
    })
}

/// The first method of the server with that number, if servers are different.
pub fn name(server: usize) -> String {
    match server {
        0 => "add".to_owned(),
        _ => format!("add{server}"),
    }
}

/// As rpcd's: the original system added 10.
fn add(a: i64, b: i64) -> i64 {
    a + b + 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_different_servers_have_methods_of_their_own() {
        let mut options = ManyOptions { methods: 2, servers: 3, different: false, registry: None };
        assert!(names(&options, 2).eq(["add", "add_1"]));
        options.different = true;
        assert!(names(&options, 2).eq(["add2", "add2_1"]));
    }
}
