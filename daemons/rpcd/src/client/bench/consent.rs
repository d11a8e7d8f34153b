//! Whether a method may be called thousands of times: it says so, nobody else is affected, or a person
//! agrees.

use std::io::{self, BufRead, IsTerminal, Write};
use std::net::IpAddr;

use rpc_client::{ErrorKind, Target};
use rpc_host::logging::escape_controls;
use rpc_wire::signature::Effect;
use rpc_wire::target::parse_url;

use crate::client::discovery::Discovery;
use crate::failure::{Exit, Failure};

/// Asks, where calls may change something at a target that is not this machine.
///
/// # Errors
/// Nobody can be asked, or the answer is no; or the target cannot be reached at all.
pub(super) async fn obtain(
    discovery: &mut Discovery<'_>,
    method: &str,
    target: &Target,
) -> Result<(), Failure> {
    let is_here = match target {
        Target::Direct { host, .. } => is_loopback_host(host),
        Target::JsonRpc { url } => parse_url(url).is_ok_and(|(host, _)| is_loopback_host(&host)),
        Target::Registry { .. } => {
            let listed = discovery.listed().await;
            !listed.is_empty() && listed.iter().all(|instance| is_loopback_host(&instance.host))
        }
    };
    if is_here {
        return Ok(());
    }
    let effect = discovery.method(method).await?.map(|method| method.effect);
    if effect.is_some_and(Effect::is_idempotent) {
        return Ok(());
    }
    match discovery.error() {
        // No such method: there is nothing to change, and the load test will say it.
        None if effect.is_none() => return Ok(()),
        Some(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Timeout) => {
            return Err(error.clone().into());
        }
        _ => {}
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::usage(format!(
            "load test refused: {method} at {target} does not say that it is read-only or idempotent, \
             so each call may change something; add --yes if that is intended"
        )));
    }
    ask(&format!(
        "{method} at {target} does not say that it is read-only or idempotent: each call may change \
         something. Start the load test? [y/N] "
    ))
}

fn ask(question: &str) -> Result<(), Failure> {
    // A failure here cannot be reported anywhere.
    let _ = write!(io::stderr().lock(), "rpcd: {}", escape_controls(question));
    let mut line = String::new();
    // Blocks the only thread, on which nothing else runs yet; Ctrl-C still ends the process.
    let read = io::stdin().lock().read_line(&mut line);
    let is_yes = matches!(line.trim().to_lowercase().as_str(), "y" | "yes");
    match read {
        Ok(_) if is_yes => Ok(()),
        _ => Err(Failure::new(Exit::Failed, "the load test was not started")),
    }
}

/// A name is not resolved: it may be another address for the load test.
fn is_loopback_host(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_this_machine_or_localhost_needs_no_question() {
        for host in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "LocalHost"] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in ["10.0.0.7", "0.0.0.0", "localhost.example.org", "db", "fe80::1"] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }
}
