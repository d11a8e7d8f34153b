//! What the client's commands do.

use std::time::Duration;

use rpc_client::registry::RegistryClientOptions;
use rpc_client::{ClientOptions, ClientTlsOptions, Target};
use rpc_settings::{Settings, Sources};
use rpc_wire::instance::{
    Instance, InstanceKey, MAX_REASON_BYTES, OverrideRequest, OverrideState, host_port,
};
use rpc_wire::report::Level;
use rpc_wire::target::parse_address;

use super::{Described, data, options, target};
use crate::arguments::Arguments;
use crate::cli;
use crate::failure::Failure;

/// The word for the registry among instances.
pub const REGISTRY: &str = "registry";

/// The target, the client's options and the output.
#[derive(Debug)]
pub struct Ask {
    /// The flags that chose the target.
    pub typed: String,
    /// One server, or a registry.
    pub target: Target,
    /// The client's options.
    pub options: ClientOptions,
    /// The methods of the one server, where an OpenRPC document says them.
    pub described: Option<Described>,
    /// Whether to print JSON.
    pub json: bool,
}

/// The same for what only a registry knows.
#[derive(Debug)]
pub struct AskRegistry {
    /// The registry.
    pub url: String,
    /// Only instances of this service; `None`: of any.
    pub service: Option<String>,
    /// Its timeout.
    pub options: RegistryClientOptions,
    /// Whether to print JSON.
    pub json: bool,
}

/// Logs to print.
#[derive(Debug)]
pub struct LogsPlan {
    /// The target.
    pub ask: Ask,
    /// The registry client's options.
    pub registry: RegistryClientOptions,
    /// `host:port`, or `registry`; none: all.
    pub instances: Vec<String>,
    /// Minimum level.
    pub level: Level,
    /// Only lines with this text.
    pub contains: String,
    /// Recent lines of each.
    pub recent: u32,
    /// Whether to follow until interrupted.
    pub follow: bool,
}

/// An operator's override to set or to take back.
#[derive(Debug)]
pub struct OverridePlan {
    /// The registry.
    pub ask: AskRegistry,
    /// Of which instance.
    pub key: InstanceKey,
    /// What to set, without who asks; `None`: take back what stands.
    pub asked: Option<OverrideRequest>,
}

/// Calls to make.
#[derive(Debug)]
pub struct CallPlan {
    /// The target.
    pub target: Target,
    /// The client's options.
    pub options: ClientOptions,
    /// The methods of the one server, where an OpenRPC document says them.
    pub described: Option<Described>,
    /// The method.
    pub method: String,
    /// Its arguments.
    pub arguments: Arguments,
    /// The timeout of each call; a stream has none unless one is given.
    pub timeout: Option<Duration>,
    /// Number of calls.
    pub repeat: u64,
    /// Calls in flight at once.
    pub concurrency: usize,
    /// Whether executing it twice does no harm.
    pub idempotent: bool,
    /// Whether to print JSON (strings quoted).
    pub json: bool,
    /// Whether the method is a stream, whatever discovery says.
    pub stream: bool,
    /// Whether no reply is wanted.
    pub notify: bool,
    /// Whether to print who replied and how long it took.
    pub verbose: bool,
}

/// A daemon whose health is asked for.
#[derive(Debug)]
pub struct HealthPlan {
    /// `host:port`.
    pub address: String,
    /// Whom to trust, and who this side is, inside TLS; `None`: plain text.
    pub tls: Option<ClientTlsOptions>,
    /// Its timeout.
    pub timeout: Duration,
    /// Whether to print JSON.
    pub json: bool,
}

impl HealthPlan {
    pub(super) fn new(typed: cli::Health, settings: &Settings) -> Result<Self, Failure> {
        let target = match &typed.address {
            Some(address) => Target::direct(address)?,
            None => target::of(&typed.direct, settings)?,
        };
        let by_tls = match &target {
            Target::Direct { .. } => settings.client.tls,
            Target::Registry { url } | Target::JsonRpc { url } => url.starts_with("https://"),
        };
        Ok(Self {
            address: target::address(&target),
            tls: by_tls.then(|| settings.client.tls_files.clone()),
            timeout: typed.timeout.0,
            json: typed.json,
        })
    }

    /// One that depends on the command line. Of the settings only TLS counts, and only if they can be read: what is
    /// wrong with them must not make a daemon look ill. `None`: the command line needs them.
    ///
    /// # Errors
    /// The address is none.
    pub(super) fn without_settings(
        typed: &cli::Health,
        sources: &Sources,
    ) -> Result<Option<Self>, Failure> {
        let Some(address) = health_without_settings(typed)? else { return Ok(None) };
        let settings = Settings::load(None, sources.clone()).ok();
        let client = settings.map(|settings| settings.client).filter(|client| client.tls);
        let tls = client.map(|client| client.tls_files);
        Ok(Some(Self { address, tls, timeout: typed.timeout.0, json: typed.json }))
    }
}

/// The address of a health check that depends on nothing but the command line.
///
/// # Errors
/// The address is none.
fn health_without_settings(typed: &cli::Health) -> Result<Option<String>, Failure> {
    let through = &typed.direct.through;
    let common = &typed.common;
    let wants_settings = through.tls
        || through.tls_ca.is_some()
        || common.config.is_some()
        || common.log_level.is_some()
        || common.log_dir.is_some()
        || common.log_format.is_some();
    let address = match (&typed.address, &typed.direct) {
        (Some(address), _) => {
            // Parsed here so that an invalid address is a usage error and not an unreachable daemon.
            is_address(address)?;
            address.clone()
        }
        (None, cli::Direct { host, port: Some(port), .. }) => {
            host_port(host.as_deref().unwrap_or("127.0.0.1"), *port)
        }
        _ => return Ok(None),
    };
    Ok((!wants_settings && typed.direct.mode.is_none()).then_some(address))
}

/// Named instances, each of them an address, or the word that stands for another daemon.
pub(super) fn instances(
    typed: Vec<String>,
    asking: &cli::Asking,
    word: Option<&str>,
) -> Result<Vec<String>, Failure> {
    if !typed.is_empty() && asking.direct.has_address() {
        return Err(Failure::usage("name instances, or one server by -i and -p, not both"));
    }
    if !typed.is_empty() && asking.service.is_some() {
        return Err(Failure::usage("name instances, or all of one by --service, not both"));
    }
    for address in typed.iter().filter(|address| Some(address.as_str()) != word) {
        is_address(address)?;
    }
    Ok(typed)
}

/// Whether it is `host:port`; a port alone is usual elsewhere, and here an option.
fn is_address(text: &str) -> Result<(), Failure> {
    match Target::direct(text) {
        Ok(_) => Ok(()),
        Err(_) if text.parse::<u16>().is_ok() => Err(Failure::usage(format!(
            "{text} is a port without a host; write -p {text}, or HOST:{text}"
        ))),
        Err(error) => Err(error.into()),
    }
}

impl Ask {
    pub(super) fn new(typed: &cli::Asking, settings: &Settings) -> Result<Self, Failure> {
        Ok(Self {
            typed: typed.target_as_typed(),
            target: target::of_call(typed, settings)?,
            options: options::client(settings, typed),
            described: None,
            json: typed.json,
        })
    }

    /// The same of a server whose methods a document may say.
    pub(super) fn described(
        typed: &cli::Asking,
        described: &cli::Described,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let ask = Self::new(typed, settings)?;
        let described = Described::read(described, &ask.target, &ask.options)?;
        let flag = described.as_ref().map(Described::flag).unwrap_or_default();
        Ok(Self { described, typed: ask.typed + &flag, ..ask })
    }
}

impl AskRegistry {
    pub(super) fn new(typed: &cli::Asking, settings: &Settings) -> Result<Self, Failure> {
        Ok(Self {
            url: target::registry_itself(&typed.direct, settings)?,
            service: options::service(settings, typed),
            options: options::registry_client(settings, typed.timeout),
            json: typed.json,
        })
    }

    /// The registry that an operator tells something.
    pub(super) fn operated(
        typed: &cli::AskingRegistry,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        Ok(Self {
            url: target::registry_itself(&typed.direct, settings)?,
            service: None,
            options: options::registry_client(settings, typed.timeout),
            json: typed.json,
        })
    }
}

impl OverridePlan {
    pub(super) fn drain(typed: cli::Drain, settings: &Settings) -> Result<Self, Failure> {
        let state = match typed.maintenance {
            true => OverrideState::Maintenance,
            false => OverrideState::Draining,
        };
        let reason = typed.reason.filter(|reason| !reason.is_empty());
        if let Some(reason) = reason.as_deref().filter(|reason| reason.len() > MAX_REASON_BYTES) {
            let bytes = reason.len();
            return Err(Failure::usage(format!(
                "the reason has {bytes} bytes; at most {MAX_REASON_BYTES} fit, shorten it"
            )));
        }
        let duration = typed.duration.map(|time| humantime::format_duration(time).to_string());
        let asked = OverrideRequest { state, reason, duration, by: None };
        Self::new(&typed.instance, &typed.asking, Some(asked), settings)
    }

    pub(super) fn undrain(typed: &cli::Undrain, settings: &Settings) -> Result<Self, Failure> {
        Self::new(&typed.instance, &typed.asking, None, settings)
    }

    fn new(
        instance: &str,
        asking: &cli::AskingRegistry,
        asked: Option<OverrideRequest>,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        is_address(instance)?;
        let (host, port) = parse_address(instance)?;
        let ask = AskRegistry::operated(asking, settings)?;
        Ok(Self { ask, key: Instance::new(host, port).key(), asked })
    }
}

impl LogsPlan {
    pub(super) fn new(typed: cli::Logs, settings: &Settings) -> Result<Self, Failure> {
        Ok(Self {
            instances: instances(typed.instances, &typed.asking, Some(REGISTRY))?,
            ask: Ask::new(&typed.asking, settings)?,
            registry: options::registry_client(settings, typed.asking.timeout),
            level: typed.level,
            contains: typed.contains,
            recent: typed.lines,
            follow: !typed.no_follow,
        })
    }
}

impl CallPlan {
    pub(super) fn new(typed: cli::Call, settings: &Settings) -> Result<Self, Failure> {
        let mut options = options::client(settings, &typed.asking);
        if let Some(balance) = typed.balance {
            options.balance = balance;
        }
        let target = target::of_call(&typed.asking, settings)?;
        Ok(Self {
            described: Described::read(&typed.described, &target, &options)?,
            target,
            arguments: data::arguments(&typed.given, options.timeout)?,
            method: typed.given.method,
            timeout: typed.asking.timeout.map(|time| time.0),
            repeat: typed.repeat.unwrap_or(typed.concurrency.into()),
            concurrency: usize::try_from(typed.concurrency).unwrap_or(usize::MAX),
            idempotent: typed.idempotent,
            json: typed.asking.json,
            stream: typed.stream,
            notify: typed.notify,
            verbose: typed.verbose,
            options,
        })
    }
}
