//! What a command line means, together with environment and files.

mod bench;
mod data;
mod options;
mod target;

use std::time::Duration;

use rpc_client::registry::RegistryOptions;
use rpc_client::{ClientOptions, Target};
use rpc_host::logging::LogOptions;
use rpc_settings::{Settings, Sources};
use rpc_wire::instance::host_port;
use rpc_wire::report::Level;

use crate::arguments::Arguments;
use crate::cli::{self, Command, Common, Typed};
use crate::failure::Failure;

pub use bench::BenchPlan;
pub use options::{ServePlan, ServeRegistryPlan};

/// The word for the registry among instances.
pub const REGISTRY: &str = "registry";

/// Everything a run needs to know.
#[derive(Debug)]
pub struct Plan {
    /// What is to be done.
    pub task: Task,
    /// How it is logged; `None`: not at all.
    pub log: Option<LogOptions>,
    /// What was ignored in files and environment, a line each.
    pub warnings: Vec<String>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Task {
    /// Serve methods.
    Serve(Box<ServePlan>),
    /// Serve a registry.
    Registry(Box<ServeRegistryPlan>),
    /// Call a method.
    Call(Box<CallPlan>),
    /// Call a method many times and measure.
    Bench(Box<BenchPlan>),
    /// List methods.
    Methods {
        /// Whom to ask.
        ask: Box<Ask>,
        /// Only those with this text in their names.
        filter: Option<String>,
    },
    /// Describe a method.
    Describe {
        /// Whom to ask.
        ask: Box<Ask>,
        /// Its name.
        method: String,
    },
    /// List instances.
    Instances(AskRegistry),
    /// Print changes of instances.
    Watch {
        /// Whom to ask.
        ask: AskRegistry,
        /// Heartbeats too.
        beats: bool,
        /// Between two polls of an older registry.
        interval: Duration,
    },
    /// Print logs.
    Logs(Box<LogsPlan>),
    /// Print statistics.
    Stats {
        /// Whom to ask.
        ask: Box<Ask>,
        /// `host:port` of those that are asked; none: all.
        instances: Vec<String>,
    },
    /// Check a daemon's health.
    Health {
        /// `host:port`.
        address: String,
        /// How long to wait for it.
        timeout: Duration,
        /// As JSON.
        json: bool,
    },
}

/// Whom to ask, how, and how to print it.
#[derive(Debug)]
pub struct Ask {
    /// One server, or a registry.
    pub target: Target,
    /// How.
    pub options: ClientOptions,
    /// As JSON.
    pub json: bool,
}

/// The same for what only a registry knows.
#[derive(Debug)]
pub struct AskRegistry {
    /// The registry.
    pub url: String,
    /// How long to wait for it.
    pub options: RegistryOptions,
    /// As JSON.
    pub json: bool,
}

/// Logs to print.
#[derive(Debug)]
pub struct LogsPlan {
    /// Whom to ask.
    pub ask: Ask,
    /// How long to wait for the registry.
    pub registry: RegistryOptions,
    /// `host:port`, or `registry`; none: all.
    pub instances: Vec<String>,
    /// Minimum level.
    pub level: Level,
    /// Only lines with this text.
    pub contains: String,
    /// Recent lines of each.
    pub recent: u32,
    /// Until interrupted.
    pub follow: bool,
}

/// Calls to make.
#[derive(Debug)]
pub struct CallPlan {
    /// Whom to call.
    pub target: Target,
    /// How.
    pub options: ClientOptions,
    /// What.
    pub method: String,
    /// With what.
    pub arguments: Arguments,
    /// The time each call has; a stream has none unless it was given one.
    pub timeout: Option<Duration>,
    /// How many times.
    pub repeat: u64,
    /// How many at once.
    pub concurrency: usize,
    /// Whether executing it twice does no harm.
    pub idempotent: bool,
    /// Strings as JSON too.
    pub json: bool,
    /// Items of a stream, whatever discovery says.
    pub stream: bool,
    /// Says who replied and how long it took.
    pub verbose: bool,
}

impl Plan {
    /// What `typed` means with the settings of `sources`.
    ///
    /// # Errors
    /// A setting is wrong or flags contradict each other: all of it exit code 2.
    pub fn new(typed: Typed, sources: Sources) -> Result<Self, Failure> {
        if let Command::Health(health) = &typed.command
            && let Some(task) = without_settings(health)?
        {
            return Ok(Self { task, log: None, warnings: Vec::new() });
        }
        let common = typed.command.common();
        let mut settings = Settings::load(common.config.as_deref(), sources)?;
        override_log(&mut settings.log, common);
        let is_daemon = matches!(typed.command, Command::Serve(_) | Command::Registry(_));
        // A client prints one line on standard error, unless a log was asked for.
        let terminal = is_daemon || common.log_level.is_some() || common.log_format.is_some();
        let file_prefix = match &typed.command {
            Command::Serve(_) => "rpcd-serve",
            Command::Registry(_) => "rpcd-registry",
            _ => "rpcd-client",
        };
        let log =
            LogOptions { terminal, file_prefix: file_prefix.to_owned(), ..settings.log.clone() };
        let task = Task::new(typed.command, &settings)?;
        let log = (log.terminal || log.save).then_some(log);
        Ok(Self { task, log, warnings: settings.warnings })
    }
}

impl Task {
    fn new(command: Command, settings: &Settings) -> Result<Self, Failure> {
        Ok(match command {
            Command::Serve(typed) => Self::Serve(Box::new(ServePlan::new(typed, settings)?)),
            Command::Registry(typed) => {
                Self::Registry(Box::new(ServeRegistryPlan::new(typed, settings)?))
            }
            Command::Call(typed) => Self::Call(Box::new(CallPlan::new(*typed, settings)?)),
            Command::Bench(typed) => Self::Bench(Box::new(BenchPlan::new(*typed, settings)?)),
            Command::Methods(typed) => Self::Methods {
                ask: Box::new(Ask::new(&typed.asking, settings)?),
                filter: typed.filter,
            },
            Command::Describe(typed) => Self::Describe {
                ask: Box::new(Ask::new(&typed.asking, settings)?),
                method: typed.method,
            },
            Command::Instances(typed) => {
                Self::Instances(AskRegistry::new(&typed.asking, settings)?)
            }
            Command::Watch(typed) => Self::Watch {
                ask: AskRegistry::new(&typed.asking, settings)?,
                beats: typed.beats,
                interval: settings.client.refresh_interval,
            },
            Command::Logs(typed) => Self::Logs(Box::new(LogsPlan::new(typed, settings)?)),
            Command::Stats(typed) => Self::Stats {
                instances: instances(typed.instances, &typed.asking.direct, None)?,
                ask: Box::new(Ask::new(&typed.asking, settings)?),
            },
            Command::Health(typed) => Self::Health {
                address: match typed.address {
                    Some(address) => address,
                    None => target::address(&target::of(&typed.direct, settings)?),
                },
                timeout: typed.timeout.0,
                json: typed.json,
            },
        })
    }
}

/// A health check whose address is on the command line: it depends on nothing else.
fn without_settings(typed: &cli::Health) -> Result<Option<Task>, Failure> {
    let common = &typed.common;
    let wants_settings = common.config.is_some()
        || common.log_level.is_some()
        || common.log_dir.is_some()
        || common.log_format.is_some();
    let address = match (&typed.address, &typed.direct) {
        (Some(address), _) => {
            // Read here so that a wrong address is a usage error and not an unreachable daemon.
            Target::direct(address)?;
            address.clone()
        }
        (None, cli::Direct { host, port: Some(port), .. }) => {
            host_port(host.as_deref().unwrap_or("127.0.0.1"), *port)
        }
        _ => return Ok(None),
    };
    let task = Task::Health { address, timeout: typed.timeout.0, json: typed.json };
    Ok((!wants_settings && typed.direct.mode.is_none()).then_some(task))
}

/// Named instances, each of them an address, or the word that stands for another daemon.
fn instances(
    typed: Vec<String>,
    direct: &cli::Direct,
    word: Option<&str>,
) -> Result<Vec<String>, Failure> {
    if !typed.is_empty() && (direct.host.is_some() || direct.port.is_some()) {
        return Err(Failure::usage("name instances, or one server by -i and -p, not both"));
    }
    for address in typed.iter().filter(|address| Some(address.as_str()) != word) {
        Target::direct(address)?;
    }
    Ok(typed)
}

impl Ask {
    fn new(typed: &cli::Asking, settings: &Settings) -> Result<Self, Failure> {
        Ok(Self {
            target: target::of(&typed.direct, settings)?,
            options: options::client(settings, typed.timeout),
            json: typed.json,
        })
    }
}

impl AskRegistry {
    fn new(typed: &cli::AskingRegistry, settings: &Settings) -> Result<Self, Failure> {
        Ok(Self {
            url: target::registry(&typed.through, settings)?,
            options: options::registry_client(settings, typed.timeout),
            json: typed.json,
        })
    }
}

impl LogsPlan {
    fn new(typed: cli::Logs, settings: &Settings) -> Result<Self, Failure> {
        Ok(Self {
            instances: instances(typed.instances, &typed.asking.direct, Some(REGISTRY))?,
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
    fn new(typed: cli::Call, settings: &Settings) -> Result<Self, Failure> {
        let mut options = options::client(settings, typed.asking.timeout);
        if let Some(balance) = typed.balance {
            options.balance = balance;
        }
        Ok(Self {
            target: target::of(&typed.asking.direct, settings)?,
            arguments: data::arguments(&typed.given)?,
            method: typed.given.method,
            timeout: typed.asking.timeout.map(|time| time.0),
            repeat: typed.repeat.unwrap_or(typed.concurrency.into()),
            concurrency: usize::try_from(typed.concurrency).unwrap_or(usize::MAX),
            idempotent: typed.idempotent,
            json: typed.asking.json,
            stream: typed.stream,
            verbose: typed.verbose,
            options,
        })
    }
}

/// Flags over the settings.
fn override_log(log: &mut LogOptions, common: &Common) {
    if let Some(level) = &common.log_level {
        log.level.clone_from(level);
    }
    if let Some(dir) = &common.log_dir {
        log.dir.clone_from(dir);
        log.save = true;
    }
    if let Some(format) = common.log_format {
        log.format = format;
    }
}

#[cfg(test)]
mod tests;
