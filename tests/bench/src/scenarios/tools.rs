//! A call of a tool through `rpcd mcp`, beside the same call by the library.

use crate::clients::Shape;
use crate::clients::agent::Agent;
use crate::clients::library::{self, Call, Library};
use crate::round::Scenario;

/// The scenario.
pub fn scenario() -> Scenario {
    let shape = Shape::connections(1);
    Scenario {
        key: "T".to_owned(),
        title: "a call of a tool through rpcd mcp, one at a time, beside the library's".to_owned(),
        measure: Box::new(move |round| {
            round.baseline("rpcd, library", |bench| {
                let server = bench.server()?;
                let window = bench.window(&server);
                bench.load(|| {
                    library::run(shape, window, async || {
                        Library::direct(server.address(), Call::Add)
                    })
                })
            })?;
            round.row("rpcd mcp, by lines", |bench| {
                let server = bench.server()?;
                let window = bench.window(&server);
                bench.load(|| {
                    library::run(shape, window, async || {
                        Agent::by_lines(bench.program(), server.address())
                    })
                })
            })?;
            round.row("rpcd mcp, by HTTP", |bench| {
                let server = bench.server()?;
                let gateway = bench.gateway(&server)?;
                let window = bench.window(&gateway);
                bench.load(|| library::run(shape, window, || Agent::by_http(gateway.address())))
            })
        }),
    }
}
