//! Calls: one at a time, in flight, on many connections, on new ones, and large ones.

use std::rc::Rc;

use crate::clients::{Shape, bare, library};
use crate::exchange::Exchange;
use crate::measure::Figures;
use crate::round::{Bench, Round, Scenario};
use library::{Call, Library, Socket};

/// Calls in flight in B, connections in C.
pub(super) const MANY: usize = 64;
/// The argument of M.
const LARGE: usize = 1_000_000;

/// All of them.
pub fn all() -> Vec<Scenario> {
    let scenario = |key: &str, title: &str, measure: fn(&mut Round<'_>) -> anyhow::Result<()>| {
        Scenario { key: key.to_owned(), title: title.to_owned(), measure: Box::new(measure) }
    };
    vec![
        scenario("A", "1 connection, one call at a time", one_at_a_time),
        scenario("B", "1 connection, 64 calls in flight", in_flight),
        scenario("C", "64 connections, one call at a time each", connections),
        scenario("D", "a new connection for every call", reconnecting),
        scenario("M", "1 MB argument and result, 1 connection, one call at a time", large),
    ]
}

fn one_at_a_time(round: &mut Round<'_>) -> anyhow::Result<()> {
    let shape = Shape::connections(1);
    let add = Exchange::add_classic()?;
    round.baseline("raw", |bench| raw(bench, &add, shape))?;
    round.row("raw, tokio socket", |bench| raw_socket(bench, &add, shape))?;
    round.row("rpcd, bare socket", |bench| rpcd(bench, &add, shape))?;
    other_dialects(round, shape)?;
    round.row("rpcd, library", |bench| rpcd_library(bench, || Call::Add, shape))?;
    round.row("rpcd, library, blocking", |bench| {
        let server = bench.server()?;
        let window = bench.window(&server);
        bench.load(|| library::run_blocking(server.address(), window))
    })
}

fn in_flight(round: &mut Round<'_>) -> anyhow::Result<()> {
    let shape = Shape::in_flight(MANY);
    let (classic, extended) = (Exchange::add_classic()?, Exchange::add_extended()?);
    round.baseline("raw", |bench| raw(bench, &classic, shape))?;
    round.row("rpcd, bare socket", |bench| rpcd(bench, &extended, shape))?;
    round.row("rpcd, bare socket, classic", |bench| rpcd(bench, &classic, shape))?;
    let json_rpc = Exchange::add_json_rpc();
    round.row("rpcd, bare socket, JSON-RPC", |bench| rpcd(bench, &json_rpc, shape))?;
    round.row("rpcd, library", |bench| rpcd_library(bench, || Call::Add, shape))
}

fn connections(round: &mut Round<'_>) -> anyhow::Result<()> {
    let shape = Shape::connections(MANY);
    let add = Exchange::add_classic()?;
    round.baseline("raw", |bench| raw(bench, &add, shape))?;
    round.row("raw, tokio socket", |bench| raw_socket(bench, &add, shape))?;
    round.row("rpcd, bare socket", |bench| rpcd(bench, &add, shape))?;
    other_dialects(round, shape)?;
    round.row("rpcd, library", |bench| rpcd_library(bench, || Call::Add, shape))
}

/// The same call with an id, and in JSON-RPC.
fn other_dialects(round: &mut Round<'_>, shape: Shape) -> anyhow::Result<()> {
    let (extended, json_rpc) = (Exchange::add_extended()?, Exchange::add_json_rpc());
    round.row("rpcd, bare socket, extended", |bench| rpcd(bench, &extended, shape))?;
    round.row("rpcd, bare socket, JSON-RPC", |bench| rpcd(bench, &json_rpc, shape))
}

fn reconnecting(round: &mut Round<'_>) -> anyhow::Result<()> {
    let add = Exchange::add_classic()?;
    round.baseline("raw", |bench| raw(bench, &add, Shape::RECONNECT))?;
    round.row("rpcd, bare socket", |bench| rpcd(bench, &add, Shape::RECONNECT))?;
    round.row("rpcd, library, a client per call", |bench| {
        rpcd_library(bench, || Call::Add, Shape::RECONNECT)
    })
}

fn large(round: &mut Round<'_>) -> anyhow::Result<()> {
    let shape = Shape::connections(1);
    let text = "x".repeat(LARGE);
    let echo = Exchange::echo_classic(&text)?;
    round.baseline("raw", |bench| raw(bench, &echo, shape))?;
    round.row("rpcd, bare socket", |bench| rpcd(bench, &echo, shape))?;
    round.row("rpcd, library", |bench| {
        rpcd_library(bench, || Call::Echo(Rc::from(text.as_str())), shape)
    })
}

/// The limit: `exchange`'s request echoed to a bare socket.
pub(super) fn raw(bench: &Bench, exchange: &Exchange, shape: Shape) -> anyhow::Result<Figures> {
    let exchanges = [Exchange::echo(exchange.request.clone())];
    against(bench, &bench.echo()?, &exchanges, shape)
}

fn raw_socket(bench: &Bench, exchange: &Exchange, shape: Shape) -> anyhow::Result<Figures> {
    let server = bench.echo()?;
    let window = bench.window(&server);
    let echo = Exchange::echo(exchange.request.clone());
    let connect = || Socket::connect(server.address(), echo.clone());
    bench.load(|| library::run(shape, window, connect))
}

fn rpcd(bench: &Bench, exchange: &Exchange, shape: Shape) -> anyhow::Result<Figures> {
    against(bench, &bench.server()?, std::slice::from_ref(exchange), shape)
}

/// These calls of a server by bare sockets.
pub(super) fn against(
    bench: &Bench,
    server: &crate::process::Server,
    exchanges: &[Exchange],
    shape: Shape,
) -> anyhow::Result<Figures> {
    let window =
        if shape.reconnect { bench.window_of_reconnecting(server) } else { bench.window(server) };
    bench.load(|| bare::run(server.address(), exchanges, shape, window))
}

/// `call` is made on the load's own thread.
fn rpcd_library(
    bench: &Bench,
    call: impl Fn() -> Call + Send,
    shape: Shape,
) -> anyhow::Result<Figures> {
    let server = bench.server()?;
    let window =
        if shape.reconnect { bench.window_of_reconnecting(&server) } else { bench.window(&server) };
    let address = server.address();
    bench.load(move || {
        let call = call();
        library::run(shape, window, || std::future::ready(Library::direct(address, call.clone())))
    })
}
