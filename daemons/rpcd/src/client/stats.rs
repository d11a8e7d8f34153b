//! `rpcd stats`: what servers count, per method and instance.

use futures_util::StreamExt;
use futures_util::stream;
use rpc_client::registry::RegistryClient;
use rpc_client::{Args, CallError, Client, Request, Target};
use rpc_load::show::{grouped, precise};
use rpc_wire::instance::Instance;
use rpc_wire::paths::{PROTO_JSON, RPC_STATS};
use rpc_wire::report::{MethodStats, ServerStats};
use serde_json::{Value, json};

use super::offers::is_of;
use super::reserved;
use crate::failure::Failure;
use crate::output::{self, table::Table};
use crate::plan::Ask;

/// Servers that are asked at once.
const AT_ONCE: usize = 32;

/// What one server replied.
type Asked = (String, Result<ServerStats, Failure>);

/// Asks the instances, or all that the target knows, and prints what they counted.
///
/// # Errors
/// No instance replied.
pub async fn stats(ask: Ask, instances: Vec<String>) -> Result<(), Failure> {
    let client = Client::new(ask.target.clone(), ask.options.clone())?;
    let asked = match addresses(&ask, instances).await {
        Ok(addresses) => all(&client, addresses).await,
        Err(failure) => {
            super::close(client).await;
            return Err(failure);
        }
    };
    super::close(client).await;
    if asked.is_empty() && !ask.json {
        let of = ask.options.service.as_ref().map(|service| format!(" of service {service}"));
        output::say(&format!(
            "no instances{} registered at {}",
            of.unwrap_or_default(),
            ask.target
        ));
    }
    if let Some(failure) = all_failed(&asked) {
        return Err(failure);
    }
    if ask.json {
        return output::json(&Value::Array(asked.iter().map(document).collect()).to_string());
    }
    if !asked.is_empty() {
        output::table(&table(&asked))?;
    }
    for (address, stats) in &asked {
        if let Err(failure) = stats {
            output::warn(&format!("no statistics from {address}: {}", failure.message));
        }
    }
    Ok(())
}

/// The first failure, if nobody replied.
fn all_failed(asked: &[Asked]) -> Option<Failure> {
    let (address, first) = asked.first()?;
    let failure = first.as_ref().err().filter(|_| asked.iter().all(|(_, stats)| stats.is_err()))?;
    let message = format!("no statistics from {address}: {}", failure.message);
    Some(Failure { message, ..failure.clone() })
}

/// `host:port` of every server to ask, in order.
pub(super) async fn addresses(ask: &Ask, named: Vec<String>) -> Result<Vec<String>, Failure> {
    if !named.is_empty() {
        return Ok(named);
    }
    match &ask.target {
        Target::Direct { .. } => Ok(vec![ask.target.to_string()]),
        Target::Registry { url } => {
            let registry = RegistryClient::new(url, ask.options.registry())?;
            let mut listed = registry.find_all(PROTO_JSON).await?;
            listed.retain(|it| is_of(it, ask.options.service.as_deref()));
            let mut keys: Vec<_> = listed.iter().map(Instance::key).collect();
            keys.sort();
            Ok(keys.iter().map(ToString::to_string).collect())
        }
    }
}

async fn all(client: &Client, addresses: Vec<String>) -> Vec<Asked> {
    let asked = stream::iter(addresses).map(|address| async move {
        let stats = one(client, &address).await;
        (address, stats)
    });
    asked.buffered(AT_ONCE).collect().await
}

async fn one(client: &Client, address: &str) -> Result<ServerStats, Failure> {
    let request = Request {
        method: RPC_STATS.to_owned(),
        args: Args::none(),
        timeout: None,
        idempotent: true,
        service: None,
        on: Some(address.to_owned()),
        wire: None,
    };
    let response = match client.request(request).await {
        Ok(response) => response,
        Err(error) => return Err(reserved::failure(error, RPC_STATS).await),
    };
    serde_json::from_str(response.value.get()).map_err(|error| {
        let (peer, reason) = (address.to_owned(), error.to_string());
        CallError::BadReply { peer, reason }.into()
    })
}

/// `{"instance":…,"stats":…}`, or with an error instead.
fn document((address, stats): &Asked) -> Value {
    match stats {
        Ok(stats) => json!({"instance": address, "stats": stats}),
        Err(failure) => {
            let mut document: Value = serde_json::from_str(&failure.to_json()).unwrap_or_default();
            document["instance"] = address.as_str().into();
            document
        }
    }
}

fn table(asked: &[Asked]) -> Table {
    let heading = ["INSTANCE", "METHOD", "CALLS", "ERRORS", "IN FLIGHT", "P50", "P95", "P99"];
    let mut table = Table::new(&heading, &[2, 3, 4, 5, 6, 7]);
    for (address, stats) in asked {
        let Ok(stats) = stats else { continue };
        let used = stats.methods.iter().filter(|method| method.calls > 0);
        let mut rows: Vec<Vec<String>> = used.map(|method| row(address, method)).collect();
        if rows.is_empty() {
            let none = [address.as_str(), "-", "0", "0", "0", "-", "-", "-"];
            rows.push(none.map(str::to_owned).to_vec());
        }
        rows.into_iter().for_each(|row| table.push(row));
    }
    table
}

fn row(address: &str, method: &MethodStats) -> Vec<String> {
    let has_finished = method.calls > method.in_flight;
    let time = |us: u64| match has_finished {
        true => precise(std::time::Duration::from_micros(us)),
        false => "-".to_owned(),
    };
    vec![
        address.to_owned(),
        method.name.clone(),
        grouped(method.calls),
        grouped(method.errors),
        grouped(method.in_flight),
        time(method.p50_us),
        time(method.p95_us),
        time(method.p99_us),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_were_called_have_a_row_and_an_idle_server_has_one_too() {
        let method = |name: &str, calls, in_flight| MethodStats {
            name: name.to_owned(),
            calls,
            errors: 1,
            in_flight,
            unreadable_for_old_clients: 0,
            p50_us: 120,
            p95_us: 1500,
            p99_us: 12_000_000,
        };
        let stats = |methods| ServerStats {
            uptime_ms: 1,
            connections: 1,
            connections_accepted: 1,
            connections_refused: 0,
            in_flight: 0,
            malformed: 0,
            log_lines_dropped: 0,
            methods,
        };
        let methods = vec![method("add", 1234, 0), method("hi", 0, 0), method("sleep", 1, 1)];
        let asked = [
            ("a:1".to_owned(), Ok(stats(methods))),
            ("b:2".to_owned(), Ok(stats(Vec::new()))),
            ("c:3".to_owned(), Err(CallError::Closed.into())),
        ];
        assert_eq!(
            table(&asked).lines(),
            [
                "INSTANCE  METHOD  CALLS  ERRORS  IN FLIGHT    P50     P95    P99",
                "a:1       add     1,234       1          0  120µs  1.50ms  12.0s",
                "a:1       sleep       1       1          1      -       -      -",
                "b:2       -           0       0          0      -       -      -",
            ]
        );
        assert_eq!(document(&asked[2])["error"]["kind"], "usage");
        assert_eq!(document(&asked[0])["stats"]["methods"][0]["calls"], 1234);
    }
}
