//! Commands for scripts, which need no terminal: `ls`, `methods`, `call` and `watch`.
//!
//! - `output`: writes results and errors.
//! - `watch`: prints the registry's events, one per line.

mod output;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use rpc_client::registry::{RegistryClient, RegistryClientError};
use rpc_client::{Args, Client, ClientOptions, Request};
use rpc_settings::Settings;
use rpc_wire::instance::{Instance, InstanceRecord};
use rpc_wire::paths::PROTO_JSON;
use rpc_wire::signature::{Signature, to_openrpc};
use serde_json::json;
use serde_json::value::RawValue;

pub use output::Failure;

use crate::options::{self, Command};
use output::{line, notice};
use rpc_console_core::text;

/// Runs a command against the registry at `registry`, and returns the exit code.
/// `shift_ms` is the offset of local time from UTC.
pub async fn run(
    command: &Command,
    registry: &str,
    settings: &Settings,
    shift_ms: i64,
) -> ExitCode {
    let done = match command {
        Command::Ls(args) => ls(args, registry, settings).await,
        Command::Methods(args) => methods(args, registry, settings).await,
        Command::Call(args) => call(args, registry, settings).await,
        Command::Watch(args) => watch::watch(args, registry, &settings.client, shift_ms).await,
    };
    output::finish(done)
}

async fn ls(args: &options::Ls, registry: &str, settings: &Settings) -> Result<(), Failure> {
    let options = settings.client.registry();
    let client = RegistryClient::new(registry, options)?;
    match client.instances(PROTO_JSON).await {
        Ok(mut records) => {
            records.sort_by_key(|record| record.instance.key());
            list(args.json, registry, &records, record_row)
        }
        Err(RegistryClientError::Unsupported { .. }) => {
            let mut instances = client.find_all(PROTO_JSON).await?;
            instances.sort_by_key(Instance::key);
            list(args.json, registry, &instances, |instance| instance.key().to_string())
        }
        Err(error) => Err(error.into()),
    }
}

fn list<T: serde::Serialize>(
    as_json: bool,
    registry: &str,
    items: &[T],
    row: impl Fn(&T) -> String,
) -> Result<(), Failure> {
    if as_json {
        return line(&json!(items).to_string());
    }
    if items.is_empty() {
        notice(&format!("no instances registered at {registry}"));
    }
    items.iter().try_for_each(|item| line(&row(item)))
}

/// `127.0.0.1:8089        up           heartbeat 1.2s ago (TTL 10s)  heartbeats 1604  registered 2h13m ago`.
fn record_row(record: &InstanceRecord) -> String {
    format!(
        "{:<21}  {:<11}  heartbeat {:<5} ago  heartbeats {}  registered {} ago",
        record.instance.key().to_string(),
        record.state.to_string(),
        text::age(Duration::from_millis(record.age_ms)),
        record.heartbeats,
        text::seconds(Duration::from_millis(record.registered_ms_ago)),
    )
}

async fn methods(
    args: &options::Methods,
    registry: &str,
    settings: &Settings,
) -> Result<(), Failure> {
    let client = client(registry, settings, args.timeout)?;
    let listed = match &args.on {
        Some(address) => client.methods_on(address).await,
        None => client.methods().await,
    };
    close(client).await;
    let methods = listed?;
    if args.json {
        return line(&to_openrpc(registry, env!("CARGO_PKG_VERSION"), &methods).to_string());
    }
    let calls: Vec<String> = methods.iter().map(usage_of).collect();
    let width = calls.iter().map(|call| text::width(call)).max().unwrap_or(0);
    methods.iter().zip(&calls).try_for_each(|(method, call)| {
        let doc = method.doc.lines().next().unwrap_or_default();
        line(format!("{}  {doc}", text::left(call, width)).trim_end())
    })
}

/// `add(a, b, c=10)`.
fn usage_of(method: &Signature) -> String {
    let parameters = method.parameters.iter().map(|parameter| match &parameter.default {
        Some(default) => format!("{}={default}", parameter.name),
        None => parameter.name.clone(),
    });
    let stream = if method.stream { " (stream)" } else { "" };
    format!("{}({}){stream}", method.name, parameters.collect::<Vec<_>>().join(", "))
}

async fn call(args: &options::Call, registry: &str, settings: &Settings) -> Result<(), Failure> {
    let request = Request {
        method: args.method.clone(),
        args: Args::from_words(&args.args)?,
        // Without a timeout given, a stream may run forever.
        timeout: args.timeout,
        idempotent: false,
        on: args.on.clone(),
        wire: None,
    };
    let client = client(registry, settings, args.timeout)?;
    let done = if args.stream {
        follow(&client, request, args.json).await
    } else {
        match client.request(request).await {
            Ok(response) => line(&printed(&response.value, args.json)),
            Err(error) => Err(error.into()),
        }
    };
    close(client).await;
    done
}

async fn follow(client: &Client, request: Request, as_json: bool) -> Result<(), Failure> {
    let mut items = client.stream_request(request).await?;
    while let Some(item) = items.next().await {
        let item = item?;
        if item.dropped > 0 {
            notice(&format!("{} items dropped here: the output was read too slowly", item.dropped));
        }
        line(&printed(&item.value, as_json))?;
    }
    Ok(())
}

/// A string without quotes, unless JSON is wanted; anything else as the JSON received.
fn printed(value: &RawValue, as_json: bool) -> String {
    let text = if as_json { None } else { serde_json::from_str::<String>(value.get()).ok() };
    text.unwrap_or_else(|| value.get().to_owned())
}

fn client(
    registry: &str,
    settings: &Settings,
    timeout: Option<Duration>,
) -> Result<Client, rpc_client::ClientError> {
    let options = settings.client.clone();
    let timeout = timeout.unwrap_or(options.timeout);
    // A shorter timeout for the call limits requests to the registry too.
    let registry_timeout = options.registry_timeout.min(timeout);
    let options = ClientOptions { timeout, registry_timeout, ..options };
    Client::through_registry(registry, options)
}

/// Closes a client, but does not wait long for a peer that does not close.
async fn close(client: Client) {
    let _ = tokio::time::timeout(Duration::from_secs(1), client.close()).await;
}
