//! The older client's workload, one call at a time to any listed instance, through our client,
//! which keeps its connections; the limit is a new connection per call, as the older client has.

use super::calls::raw;
use crate::clients::{Shape, library};
use crate::exchange::Exchange;
use crate::round::Scenario;
use library::{Call, Library};

/// The scenario.
pub fn scenario() -> Scenario {
    Scenario {
        key: "O".to_owned(),
        title: "an older client's calls: a new connection each (raw), through our client and a \
                registry (rpcd)"
            .to_owned(),
        measure: Box::new(|round| {
            let add = Exchange::add_classic()?;
            round.baseline("raw, a new connection per call", |bench| {
                raw(bench, &add, Shape::RECONNECT)
            })?;
            round.row("rpcd, library through a registry", |bench| {
                let registry = bench.rpcd(&["registry"])?;
                let url = format!("http://{}", registry.address());
                let server = bench.rpcd(&["serve", "--registry", &url])?;
                let window = bench.window(&server);
                bench.load(|| {
                    library::run(Shape::connections(1), window, || {
                        Library::through_registry(&url, Call::Add)
                    })
                })
            })
        }),
    }
}
