//! What a command line means, together with environment and files.

mod bench;
mod options;
mod target;

use std::time::Duration;

use rpc_client::{ClientOptions, Target};
use rpc_host::logging::LogOptions;
use rpc_settings::{Settings, Sources};
use rpc_wire::call::Args;

use crate::cli::{self, Command, Common, Typed};
use crate::failure::Failure;

pub use bench::BenchPlan;
pub use options::{ServePlan, ServeRegistryPlan};

/// Everything a run needs.
#[derive(Debug)]
pub struct Plan {
    /// What to do.
    pub task: Task,
    /// How to log; `None`: no log.
    pub log: Option<LogOptions>,
    /// What was ignored in files and environment, one line each.
    pub warnings: Vec<String>,
}

/// What to do.
#[derive(Debug)]
pub enum Task {
    /// Serve methods.
    Serve(Box<ServePlan>),
    /// Serve a registry.
    Registry(Box<ServeRegistryPlan>),
    /// Call a method.
    Call(Box<CallPlan>),
    /// Load-test a method.
    Bench(Box<BenchPlan>),
    /// List methods.
    Methods {
        /// The target.
        target: Target,
        /// The client's options.
        options: Box<ClientOptions>,
        /// Whether to print an OpenRPC document.
        json: bool,
    },
    /// List instances.
    Instances {
        /// The registry.
        url: String,
        /// The registry client's options.
        options: rpc_client::registry::RegistryClientOptions,
        /// Whether to print JSON.
        json: bool,
    },
    /// Check a daemon's health.
    Health {
        /// `host:port`.
        address: String,
        /// Its timeout.
        timeout: Duration,
    },
}

/// Calls to make.
#[derive(Debug)]
pub struct CallPlan {
    /// The target.
    pub target: Target,
    /// The client's options.
    pub options: ClientOptions,
    /// The method.
    pub method: String,
    /// Its arguments.
    pub args: Args,
    /// The timeout of each call; a stream has none unless one is given.
    pub timeout: Option<Duration>,
    /// Number of calls.
    pub repeat: u64,
    /// Calls in flight at once.
    pub concurrency: usize,
    /// Whether to print JSON (strings quoted).
    pub json: bool,
    /// Whether the method is a stream.
    pub stream: bool,
}

impl Plan {
    /// What `typed` means with the settings of `sources`.
    ///
    /// # Errors
    /// A setting is invalid or flags contradict each other: exit code 2.
    pub fn new(typed: Typed, sources: Sources) -> Result<Self, Failure> {
        let common = match &typed.command {
            Command::Serve(typed) => &typed.common,
            Command::Registry(typed) => &typed.common,
            Command::Call(typed) => &typed.common,
            Command::Bench(typed) => &typed.common,
            Command::Methods(typed) => &typed.common,
            Command::Instances(typed) => &typed.common,
            Command::Health(typed) => return Self::health(typed),
        };
        let mut settings = Settings::load(common.config.as_deref(), sources)?;
        override_log(&mut settings.log, common);
        let is_daemon = matches!(typed.command, Command::Serve(_) | Command::Registry(_));
        // A client command logs only on request: its errors go to standard error as one line.
        let terminal = is_daemon || common.log_level.is_some() || common.log_format.is_some();
        let file_prefix = match &typed.command {
            Command::Serve(_) => "rpcd-serve",
            Command::Registry(_) => "rpcd-registry",
            _ => "rpcd-client",
        };
        let log =
            LogOptions { terminal, file_prefix: file_prefix.to_owned(), ..settings.log.clone() };
        let task = match typed.command {
            Command::Serve(typed) => Task::Serve(Box::new(ServePlan::new(typed, &settings)?)),
            Command::Registry(typed) => {
                Task::Registry(Box::new(ServeRegistryPlan::new(typed, &settings)?))
            }
            Command::Call(typed) => Task::Call(Box::new(CallPlan::new(typed, &settings)?)),
            Command::Bench(typed) => Task::Bench(Box::new(BenchPlan::new(*typed, &settings)?)),
            Command::Methods(typed) => Task::Methods {
                target: target::of(&typed.direct, &settings)?,
                options: Box::new(options::client(&settings, typed.timeout)),
                json: typed.json,
            },
            Command::Instances(typed) => Task::Instances {
                url: target::registry(&typed.through, &settings)?,
                options: options::registry_client(&settings, typed.timeout),
                json: typed.json,
            },
            Command::Health(typed) => return Self::health(&typed),
        };
        let log = (log.terminal || log.save).then_some(log);
        Ok(Self { task, log, warnings: settings.warnings })
    }

    fn health(typed: &cli::Health) -> Result<Self, Failure> {
        // Parsed here so that an invalid address is a usage error and not an unreachable daemon.
        Target::direct(&typed.address)?;
        let task = Task::Health { address: typed.address.clone(), timeout: typed.timeout.0 };
        Ok(Self { task, log: None, warnings: Vec::new() })
    }
}

impl CallPlan {
    fn new(typed: cli::Call, settings: &Settings) -> Result<Self, Failure> {
        let mut options = options::client(settings, typed.timeout);
        if let Some(balance) = typed.balance {
            options.balance = balance;
        }
        Ok(Self {
            target: target::of(&typed.direct, settings)?,
            args: Args::from_words(&typed.args)?,
            method: typed.method,
            timeout: typed.timeout.map(|time| time.0),
            repeat: typed.repeat.unwrap_or(typed.concurrency.into()),
            concurrency: usize::try_from(typed.concurrency).unwrap_or(usize::MAX),
            json: typed.json,
            stream: typed.stream,
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
