//! `rpcd instances`: lists the instances of a registry.

use std::time::Duration;

use rpc_client::registry::{RegistryClient, RegistryClientError};
use rpc_wire::instance::{Instance, InstanceRecord};
use rpc_wire::paths::PROTO_JSON;
use serde_json::json;

use crate::failure::Failure;
use crate::output::{self, table::Table};
use crate::plan::AskRegistry;

/// Lists the instances that the registry knows.
///
/// # Errors
/// It is unreachable or refuses the request.
pub async fn instances(ask: AskRegistry) -> Result<(), Failure> {
    let registry = RegistryClient::new(&ask.url, ask.options)?;
    match registry.instances(PROTO_JSON).await {
        Ok(mut records) => {
            records.sort_by_key(|record| record.instance.key());
            if ask.json {
                return output::line(&json!(records).to_string());
            }
            if output::is_terminal() && !records.is_empty() {
                return table(&records);
            }
            print(&ask.url, records.iter().map(row).collect())
        }
        // An older registry lists addresses only.
        Err(RegistryClientError::Unsupported { .. }) => {
            let mut listed = registry.find_all(PROTO_JSON).await?;
            listed.sort_by_key(Instance::key);
            if ask.json {
                return output::line(&json!(listed).to_string());
            }
            print(&ask.url, listed.iter().map(|it| it.key().to_string()).collect())
        }
        Err(error) => Err(error.into()),
    }
}

fn print(url: &str, rows: Vec<String>) -> Result<(), Failure> {
    if rows.is_empty() {
        output::say(&format!("no instances registered at {url}"));
    }
    rows.iter().try_for_each(|row| output::line(row))
}

/// For people: a heading instead of words in every row.
fn table(records: &[InstanceRecord]) -> Result<(), Failure> {
    let heading = ["INSTANCE", "STATE", "HEARTBEAT", "TTL", "HEARTBEATS", "REGISTERED"];
    let mut table = Table::new(&heading, &[4]);
    for record in records {
        table.push(vec![
            record.instance.key().to_string(),
            record.state.to_string(),
            format!("{} ago", age(record.age_ms)),
            two_units(record.ttl_ms),
            record.heartbeats.to_string(),
            format!("{} ago", two_units(record.registered_ms_ago)),
        ]);
    }
    output::table(&table)
}

/// `127.0.0.1:8089  up  heartbeat 1.2s ago (TTL 10s)  heartbeats 1604  registered 2h13m ago`.
fn row(record: &InstanceRecord) -> String {
    format!(
        "{:<21}  {:<11}  heartbeat {} ago (TTL {})  heartbeats {}  registered {} ago",
        record.instance.key().to_string(),
        record.state.to_string(),
        age(record.age_ms),
        two_units(record.ttl_ms),
        record.heartbeats,
        two_units(record.registered_ms_ago),
    )
}

fn age(ms: u64) -> String {
    if ms < 10_000 {
        format!("{:.1}s", Duration::from_millis(ms).as_secs_f64())
    } else {
        two_units(ms)
    }
}

/// The two largest units.
fn two_units(ms: u64) -> String {
    let seconds = ms / 1000;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s:02}s"),
        (0, h, m, _) => format!("{h}h{m:02}m"),
        (d, h, _, _) => format!("{d}d{h:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::instance::InstanceState;

    #[test]
    fn a_row_shows_address_state_heartbeats_and_age() {
        let record = InstanceRecord {
            instance: Instance::new("::1", 8089),
            age_ms: 1234,
            ttl_ms: 10_000,
            registered_ms_ago: 7_980_000,
            heartbeats: 1604,
            state: InstanceState::Up,
            incarnation: None,
        };
        assert_eq!(
            row(&record),
            "[::1]:8089             up           heartbeat 1.2s ago (TTL 10s)  heartbeats 1604  \
             registered 2h13m ago"
        );
    }

    #[test]
    fn durations_have_their_two_largest_units() {
        for (ms, shown) in [(999, "0s"), (61_000, "1m01s"), (90_000_000, "1d01h")] {
            assert_eq!(two_units(ms), shown);
        }
    }
}
