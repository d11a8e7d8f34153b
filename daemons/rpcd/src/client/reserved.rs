//! The methods every server has, which discovery does not list: the table of `docs/protocol.md`.

use std::sync::LazyLock;

use rpc_client::{CallError, Client, Code, Dialect, ListedAs};
use rpc_wire::paths::{
    ALL_YOUR_METHODS, CONTAINS, LEVEL, RECENT, RPC_DISCOVER, RPC_HEALTH, RPC_LOGS, RPC_STATS,
    RPC_WHOAMI,
};
use rpc_wire::report::Level;
use rpc_wire::signature::{Effect, Parameter, Signature};
use serde_json::{Value, json};

use super::mistaken;
use crate::failure::{Exit, Failure};

static ALL: LazyLock<[Signature; 6]> = LazyLock::new(|| {
    let object = |doc: &str, properties: Value| {
        let mut schema = json!({"type": "object", "properties": properties});
        if !doc.is_empty() {
            schema["description"] = doc.into();
        }
        schema
    };
    let [text, count] = [json!({"type": "string"}), json!({"type": "integer", "minimum": 0})];
    let method = |name: &str, doc: &str, result: Value| Signature {
        name: name.to_owned(),
        doc: doc.to_owned(),
        result: Some(result),
        effect: Effect::ReadOnly,
        ..Signature::default()
    };
    let per_method = object(
        "Latencies are those of finished calls, in microseconds.",
        json!({
            "name": text, "calls": count, "errors": count, "in_flight": count,
            "unreadable_for_old_clients": count, "p50_us": count, "p95_us": count, "p99_us": count,
        }),
    );
    let stats = object(
        "Counts are since the server started.",
        json!({
            "uptime_ms": count, "connections": count, "connections_accepted": count,
            "connections_refused": count, "in_flight": count, "malformed": count,
            "log_lines_dropped": count, "methods": {"type": "array", "items": per_method},
        }),
    );
    let health = object(
        "",
        json!({
            "status": {"type": "string", "enum": ["ok", "draining"]},
            "wire": {"type": "integer", "description": "Version of the dialect."},
            "version": text,
            "service": {"type": "string", "description": "Its name; older versions do not say it."},
            "contract": {"type": "string", "description": "Digest of its methods; older versions do not say it."},
            "uptime_ms": count,
        }),
    );
    let names = json!({"type": "array", "items": text});
    let whoami = object(
        "What a token does not limit is missing.",
        json!({
            "auth": {"type": "string", "enum": ["off", "warn", "required"]},
            "name": {"type": "string", "description": "Of the token; without one it is missing."},
            "roles": names,
            "services": names,
            "hosts": names,
            "expires_ms": {"type": "integer", "description": "Milliseconds since 1970."},
        }),
    );
    let level = Level::ALL.map(Level::as_str);
    let line = object(
        "",
        json!({
            "seq": {"type": "integer", "description": "Increases by one per line."},
            "at_ms": {"type": "integer", "description": "Milliseconds since 1970."},
            "level": {"type": "string", "enum": level}, "target": text, "message": text,
            "fields": {"type": "object"},
        }),
    );
    [
        method(
            ALL_YOUR_METHODS,
            "Lists the methods: names, required parameters, optional ones with their defaults; no \
             types.\n\nOlder servers have it too.",
            json!({"type": "array", "items": {"type": "object"}}),
        ),
        method(
            RPC_DISCOVER,
            "Describes the methods, as an OpenRPC document: types, defaults, docs.\n\nShown by rpcd \
             methods and describe. Older servers do not have it.",
            json!({"type": "object"}),
        ),
        method(
            RPC_STATS,
            "Counts calls, errors and latencies per method, and connections.\n\nShown by rpcd stats. \
             Older servers do not have it.",
            stats,
        ),
        Signature {
            parameters: vec![
                parameter(
                    LEVEL,
                    "Minimum level.",
                    json!({"type": "string", "enum": level}),
                    "info",
                ),
                parameter(CONTAINS, "Only lines with this text.", text, ""),
                parameter(RECENT, "Recent lines to send first.", count, 200),
            ],
            stream: true,
            ..method(
                RPC_LOGS,
                "Streams the lines of the server's log.\n\nShown by rpcd logs. Older servers do not \
                 have it.",
                line,
            )
        },
        method(
            RPC_HEALTH,
            "Reports health, dialect, version and uptime.\n\nOlder servers do not have it.",
            health,
        ),
        method(
            RPC_WHOAMI,
            "Reports who the caller is there, by its token, and what it may do.\n\nOlder servers do not \
             have it.",
            whoami,
        ),
    ]
});

fn parameter(name: &str, doc: &str, schema: Value, default: impl Into<Value>) -> Parameter {
    Parameter { doc: doc.to_owned(), ..Parameter::optional(name, schema, default.into()) }
}

/// The reserved method of that name.
pub(super) fn find(name: &str) -> Option<&'static Signature> {
    ALL.iter().find(|method| method.name == name)
}

/// Their names.
pub(super) fn names<'a>() -> impl Iterator<Item = &'a str> {
    ALL.iter().map(|method| method.name.as_str())
}

/// Why the reserved `method` of a server gave nothing. That the server is an older one without it has the
/// same words and the same exit code, whichever way it was found. `listed`: as in the request.
pub(super) async fn failure(
    client: &Client,
    error: CallError,
    method: &str,
    listed: Option<&ListedAs>,
) -> Failure {
    if let Some(failure) = mistaken::registry(&error).await {
        return failure;
    }
    if !is_missing(&error) {
        let message = match &error {
            // Nobody typed a method that could have an error.
            CallError::Remote { fault, .. } if fault.code == Code::MethodFailed => {
                fault.message.clone()
            }
            other => other.to_string(),
        };
        return Failure { message, ..Failure::from(error) };
    }
    let message = match is_foreign(client, &error, method, listed) {
        true => format!("it is {}", foreign(method)),
        false => format!("it is an older server without {method}; upgrade it"),
    };
    Failure::new(Exit::Failed, message).with_code(Code::MethodNotFound)
}

/// Whether the server does not have the method that was called.
pub(super) fn is_missing(error: &CallError) -> bool {
    match error {
        CallError::Unsupported { .. } | CallError::NotInJsonRpc { .. } => true,
        CallError::Remote { fault, .. } => fault.code == Code::MethodNotFound,
        _ => false,
    }
}

/// What a server is that is neither ours nor an older one.
pub(super) fn foreign(method: &str) -> String {
    format!("a server of another make: only servers of rpcd have {method}")
}

/// Whether a server that does not have the reserved method speaks JSON-RPC only, or has other words for that than ours
/// and the older ones.
pub(super) fn is_foreign(
    client: &Client,
    error: &CallError,
    method: &str,
    listed: Option<&ListedAs>,
) -> bool {
    let of_peer = || client.dialect_at(error.peer()?, listed);
    match error {
        _ if client.dialect().or_else(of_peer) == Some(Dialect::JsonRpc) => true,
        CallError::NotInJsonRpc { .. } => true,
        CallError::Remote { fault, .. } => fault.message != method,
        _ => false,
    }
}

/// The name that was probably meant, of `methods` and of those every server has.
pub(super) fn nearest<'a>(name: &str, methods: &'a [Signature]) -> Option<&'a str> {
    let all = methods.iter().chain(ALL.iter());
    rpc_wire::nearest(name, all.map(|method| method.name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::report::{Health, HealthStatus, LogLine, MethodStats, ServerStats, Whoami};

    /// The names in a schema, and those in a value of its type.
    fn same_names(schema: &Value, value: &Value) {
        let names = |it: &Value| it.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&schema["properties"]), names(value));
    }

    #[test]
    fn the_table_is_that_of_the_protocol() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md");
        let protocol = std::fs::read_to_string(path).unwrap();
        let (_, table) = protocol.split_once("### Methods of every server\n").unwrap();
        let rows = table.lines().skip_while(|line| !line.starts_with('|')).skip(2);
        let rows: Vec<&str> = rows
            .take_while(|line| line.starts_with('|'))
            .filter_map(|row| row.split(['`', '(']).nth(1))
            .collect();
        let names: Vec<&str> = ALL.iter().map(|method| method.name.as_str()).collect();
        assert_eq!(names, rows);
        let logs = find(RPC_LOGS).unwrap().parameters.iter();
        let logs: Vec<String> =
            logs.map(|it| format!("{}={}", it.name, it.default.as_ref().unwrap())).collect();
        assert!(protocol.contains(&format!("`{RPC_LOGS}({})`", logs.join(", "))), "{logs:?}");
    }

    #[test]
    fn results_are_described_as_they_are_sent() {
        let result = |name| find(name).unwrap().result.clone().unwrap();
        let health = Health {
            status: HealthStatus::Ok,
            wire: 1,
            version: String::new(),
            service: Some(String::new()),
            contract: Some(String::new()),
            uptime_ms: 1,
        };
        same_names(&result(RPC_HEALTH), &json!(health));
        let method = MethodStats {
            name: String::new(),
            calls: 0,
            errors: 0,
            in_flight: 0,
            unreadable_for_old_clients: 0,
            p50_us: 0,
            p95_us: 0,
            p99_us: 0,
        };
        let stats = ServerStats {
            uptime_ms: 0,
            connections: 0,
            connections_accepted: 0,
            connections_refused: 0,
            in_flight: 0,
            malformed: 0,
            log_lines_dropped: 0,
            methods: Vec::new(),
        };
        same_names(&result(RPC_STATS)["properties"]["methods"]["items"], &json!(method));
        same_names(&result(RPC_STATS), &json!(stats));
        let line = LogLine {
            seq: 0,
            at_ms: 0,
            level: Level::Info,
            target: String::new(),
            message: String::new(),
            fields: [("n".to_owned(), 1.into())].into_iter().collect(),
        };
        same_names(&result(RPC_LOGS), &json!(line));
        let whoami = Whoami {
            auth: String::new(),
            name: Some(String::new()),
            roles: Vec::new(),
            services: Some(Vec::new()),
            hosts: vec![String::new()],
            expires_ms: Some(0),
        };
        same_names(&result(RPC_WHOAMI), &json!(whoami));
    }
}
