//! `rpcd stats`: what servers count, per method and instance.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use rpc_client::registry::RegistryClient;
use rpc_client::{Args, CallError, Client, ListedAs, Request, Target};
use rpc_load::show::{grouped, precise};
use rpc_wire::instance::Instance;
use rpc_wire::paths::{PROTO_JSON, RPC_HEALTH, RPC_STATS};
use rpc_wire::report::{Health, MethodStats, ServerStats};
use serde_json::{Value, json};

use super::offers::{is_of, shown};
use super::{no_instance, reserved};
use crate::failure::{Failure, NO_INSTANCE};
use crate::output::{self, table::Table};
use crate::plan::Ask;

/// Servers that are asked at once.
const AT_ONCE: usize = 32;

/// How long a server may take to say its service, which nothing depends on.
const SERVICE_WITHIN: Duration = Duration::from_secs(1);

/// A server to ask.
pub(super) struct Listed {
    /// `host:port`.
    pub(super) address: String,
    /// How the registry lists it, if that gave the address: by that it is verified.
    pub(super) listed: Option<ListedAs>,
}

/// What one server replied.
#[derive(Debug)]
struct Asked {
    address: String,
    /// `None`: it has no name, or does not say it.
    service: Option<String>,
    stats: Result<ServerStats, Failure>,
}

/// Asks the instances, or all that the target knows, and prints what they counted.
///
/// # Errors
/// No instance replied.
pub async fn stats(ask: Ask, instances: Vec<String>) -> Result<(), Failure> {
    let client = Client::new(ask.target.clone(), ask.options.clone())?;
    let until = Instant::now() + ask.options.timeout;
    // A registry lists the services of its instances; of others only they know it.
    let is_listed = instances.is_empty() && matches!(ask.target, Target::Registry { .. });
    let asked = match listed(&ask, instances).await {
        Ok(listed) => all(&Asking { client: &client, until, is_listed }, listed).await,
        Err(none) if none.kind() == NO_INSTANCE => {
            super::close(client).await;
            output::say(&none.message);
            return if ask.json { output::json("[]") } else { Ok(()) };
        }
        Err(failure) => {
            super::close(client).await;
            return Err(failure);
        }
    };
    super::close(client).await;
    if asked.is_empty() && !ask.json {
        output::say(&format!("no instances registered at {}", ask.target));
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
    for Asked { address, stats, .. } in &asked {
        if let Err(failure) = stats {
            output::warn(&format!("no statistics from {address}: {}", failure.message));
        }
    }
    Ok(())
}

/// The first failure, if nobody replied.
fn all_failed(asked: &[Asked]) -> Option<Failure> {
    let first = asked.first()?;
    let all_failed = asked.iter().all(|asked| asked.stats.is_err());
    let failure = first.stats.as_ref().err().filter(|_| all_failed)?;
    let message = format!("no statistics from {}: {}", first.address, failure.message);
    Some(Failure { message, ..failure.clone() })
}

/// Every server to ask, in order.
///
/// # Errors
/// The registry is unreachable, or no instance is of the service that is asked for.
pub(super) async fn listed(ask: &Ask, named: Vec<String>) -> Result<Vec<Listed>, Failure> {
    if !named.is_empty() {
        let named = named.into_iter().map(|address| Listed { address, listed: None });
        return Ok(named.collect());
    }
    match &ask.target {
        Target::Direct { .. } => Ok(vec![Listed { address: ask.target.to_string(), listed: None }]),
        Target::JsonRpc { .. } => {
            Err(Failure::usage("-i with a URL is for calls and methods; write -i HOST -p PORT"))
        }
        Target::Registry { url } => {
            let options = ask.options.registry();
            // The command's time is all there is, also where a refresh may take longer.
            let timeout = options.timeout.min(ask.options.timeout);
            let registry = RegistryClient::new(url, options.within(timeout))?;
            let mut listed = registry.find_all(PROTO_JSON).await?;
            let service = ask.options.service.as_deref();
            if let Some(service) = service
                && !listed.iter().any(|it| it.service() == Some(service))
            {
                return Err(no_instance::failure(service, url, &listed));
            }
            listed.retain(|it| is_of(it, service));
            listed.sort_by_key(Instance::key);
            let listed = listed.iter().map(|it| Listed {
                address: it.key().to_string(),
                listed: Some(ListedAs::from(it)),
            });
            Ok(listed.collect())
        }
    }
}

struct Asking<'a> {
    client: &'a Client,
    until: Instant,
    /// Whether a registry says the services.
    is_listed: bool,
}

async fn all(asking: &Asking<'_>, listed: Vec<Listed>) -> Vec<Asked> {
    let asked = stream::iter(listed).map(|server| async move {
        let stats = one(asking, &server).await;
        let service = match stats.is_ok() && !asking.is_listed {
            true => own_service(asking, &server).await,
            false => server.listed.and_then(|listed| listed.service),
        };
        Asked { address: server.address, service, stats }
    });
    asked.buffered(AT_ONCE).collect().await
}

/// The service that the server says it is an instance of; older ones do not say it.
async fn own_service(asking: &Asking<'_>, server: &Listed) -> Option<String> {
    let left = asking.until.saturating_duration_since(Instant::now());
    let request = request(RPC_HEALTH, server, left.min(SERVICE_WITHIN));
    let response = asking.client.request(request).await.ok()?;
    let health: Health = serde_json::from_str(response.value.get()).ok()?;
    health.service
}

fn request(method: &str, server: &Listed, timeout: Duration) -> Request {
    Request {
        method: method.to_owned(),
        args: Args::none(),
        timeout: Some(timeout.max(Duration::from_millis(1))),
        idempotent: true,
        service: None,
        on: Some(server.address.clone()),
        listed: server.listed.clone(),
        traceparent: None,
        wire: None,
        attempts: None,
    }
}

async fn one(asking: &Asking<'_>, server: &Listed) -> Result<ServerStats, Failure> {
    let left = asking.until.saturating_duration_since(Instant::now());
    let response = match asking.client.request(request(RPC_STATS, server, left)).await {
        Ok(response) => response,
        Err(error) => {
            let listed = server.listed.as_ref();
            return Err(reserved::failure(asking.client, error, RPC_STATS, listed).await);
        }
    };
    serde_json::from_str(response.value.get()).map_err(|error| {
        let (peer, reason) = (server.address.clone(), error.to_string());
        CallError::BadReply { peer, reason }.into()
    })
}

/// `{"instance":…,"service":…,"stats":…}`, or with an error instead.
fn document(asked: &Asked) -> Value {
    match &asked.stats {
        Ok(stats) => {
            json!({"instance": asked.address, "service": asked.service, "stats": stats})
        }
        Err(failure) => {
            let mut document: Value = serde_json::from_str(&failure.to_json()).unwrap_or_default();
            document["instance"] = asked.address.as_str().into();
            document["service"] = json!(asked.service);
            document
        }
    }
}

fn table(asked: &[Asked]) -> Table {
    // The service comes last, so that the place of the others is what it was.
    let heading =
        ["INSTANCE", "METHOD", "CALLS", "ERRORS", "IN FLIGHT", "P50", "P95", "P99", "SERVICE"];
    let mut table = Table::new(&heading, &[2, 3, 4, 5, 6, 7]);
    for Asked { address, service, stats } in asked {
        let Ok(stats) = stats else { continue };
        let used = stats.methods.iter().filter(|method| method.calls > 0);
        let mut rows: Vec<Vec<String>> = used.map(|method| row(address, method)).collect();
        if rows.is_empty() {
            let none = [address.as_str(), "-", "0", "0", "0", "-", "-", "-"];
            rows.push(none.map(str::to_owned).to_vec());
        }
        rows.iter_mut().for_each(|row| row.push(shown(service.as_deref()).to_owned()));
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
        let of = |address: &str, service: &str, stats| Asked {
            address: address.to_owned(),
            service: Some(service.to_owned()).filter(|service| !service.is_empty()),
            stats,
        };
        let asked = [
            of("a:1", "orders", Ok(stats(methods))),
            of("b:2", "", Ok(stats(Vec::new()))),
            of("c:3", "orders", Err(CallError::Closed.into())),
        ];
        assert_eq!(
            table(&asked).lines(),
            [
                "INSTANCE  METHOD  CALLS  ERRORS  IN FLIGHT    P50     P95    P99  SERVICE",
                "a:1       add     1,234       1          0  120µs  1.50ms  12.0s  orders",
                "a:1       sleep       1       1          1      -       -      -  orders",
                "b:2       -           0       0          0      -       -      -  (unnamed)",
            ]
        );
        assert_eq!(document(&asked[2])["error"]["kind"], "usage");
        assert_eq!(document(&asked[0])["service"], "orders");
        assert_eq!(document(&asked[0])["stats"]["methods"][0]["calls"], 1234);
    }
}
