//! Memory of a server with many connections that were used once and are now idle.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use anyhow::ensure;

use crate::clients::bare;
use crate::exchange::Exchange;
use crate::measure::Figures;
use crate::process::Server;
use crate::procfs;
use crate::round::{Bench, Scenario};

/// Open files of a server and of this program besides the connections.
const OTHER_FILES: usize = 200;
/// Time from the last call to the measurement of memory.
const REST: Duration = Duration::from_millis(500);
/// After the measurement, one in this many connections is called again.
const CALLED_AGAIN: usize = 100;

/// The scenario.
pub fn scenario() -> Scenario {
    Scenario {
        key: "I".to_owned(),
        title: "idle connections (10,000 by default), each used once".to_owned(),
        measure: Box::new(|round| {
            let (wanted, allowed) = (round.bench().options.idle, round.bench().open_files());
            if u64::try_from(wanted + OTHER_FILES)? > allowed {
                let why = format!(
                    "{wanted} connections need more open files than the {allowed} allowed; raise \
                     the hard limit (ulimit -Hn) or use --idle"
                );
                round.skip("rpcd", why);
                return Ok(());
            }
            let add = Exchange::add_classic()?;
            let echo = Exchange::echo(add.request.clone());
            round.baseline("raw", |bench| resting(bench, &bench.echo()?, &echo))?;
            round.row("rpcd", |bench| resting(bench, &bench.server()?, &add))
        }),
    }
}

fn resting(bench: &Bench, server: &Server, exchange: &Exchange) -> anyhow::Result<Figures> {
    let mut connections = Vec::with_capacity(bench.options.idle);
    for _ in 0..bench.options.idle {
        let mut stream = bare::open(server.address())?;
        call(&mut stream, exchange)?;
        connections.push(stream);
    }
    thread::sleep(REST);
    let memory = procfs::memory(server.pid())?;
    for stream in connections.iter_mut().step_by(CALLED_AGAIN) {
        call(stream, exchange)?;
    }
    Ok(Figures {
        calls: u64::try_from(connections.len())?,
        resident_mib: Some(memory.resident_mib()),
        peak_mib: Some(memory.peak_mib()),
        ..Figures::default()
    })
}

fn call(stream: &mut TcpStream, exchange: &Exchange) -> anyhow::Result<()> {
    stream.write_all(&exchange.request)?;
    let mut reply = vec![0; exchange.reply.length()];
    stream.read_exact(&mut reply)?;
    ensure!(exchange.reply.agrees(0, &reply), "a wrong reply");
    Ok(())
}
