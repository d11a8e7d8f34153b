//! What a command line means, together with environment and `config.ini`; then it is run.
mod bench;
mod settings;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use rpc_client::{ClientOptions, Target};
use rpc_host::config::Config;
use rpc_host::logging::{self, LogOptions, Logging};
use rpc_wire::call::Args;

use crate::cli::{self, Command, Common, Typed};
use crate::failure::{Exit, Failure};
use crate::{client, daemon};

pub use bench::BenchPlan;
pub use settings::{ServePlan, ServeRegistryPlan};

/// Everything a run needs to know.
#[derive(Debug)]
pub struct Plan {
    task: Task,
    /// `None`: nothing is logged.
    log: Option<LogOptions>,
    /// What was ignored in the environment.
    warnings: Vec<String>,
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
        target: Target,
        /// How.
        options: Box<ClientOptions>,
        /// As a document.
        json: bool,
    },
    /// List instances.
    Instances {
        /// The registry.
        url: String,
        /// How long to wait for it.
        options: rpc_client::registry::RegistryOptions,
        /// As JSON.
        json: bool,
    },
    /// Ask a daemon how it is.
    Health {
        /// `host:port`.
        address: String,
        /// How long to wait for it.
        timeout: Duration,
    },
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
    pub args: Args,
    /// The time each call has; a stream has none unless it was given one.
    pub timeout: Option<Duration>,
    /// How many times.
    pub repeat: u64,
    /// How many at once.
    pub concurrency: usize,
    /// Texts as JSON too.
    pub json: bool,
    /// Items of a stream.
    pub stream: bool,
}

impl Plan {
    /// What `typed` means in that environment.
    ///
    /// # Errors
    /// A setting is wrong or flags contradict each other: all of it exit code 2.
    pub fn new(
        typed: Typed,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Failure> {
        let common = match &typed.command {
            Command::Serve(typed) => &typed.common,
            Command::Registry(typed) => &typed.common,
            Command::Call(typed) => &typed.common,
            Command::Bench(typed) => &typed.common,
            Command::Methods(typed) => &typed.common,
            Command::Instances(typed) => &typed.common,
            Command::Health(typed) => return Self::health(typed),
        };
        let mut config = Config::load(common.config.as_deref(), environment)?;
        over_log(&mut config, common)?;
        let is_daemon = matches!(typed.command, Command::Serve(_) | Command::Registry(_));
        // A client's standard error is for its one line, unless a log was asked for.
        let terminal = is_daemon || common.log_level.is_some() || common.log_format.is_some();
        let prefix = match &typed.command {
            Command::Serve(_) => "rpcd-serve",
            Command::Registry(_) => "rpcd-registry",
            _ => "rpcd-client",
        };
        let log = log_options(&config, terminal, prefix);
        let task = match typed.command {
            Command::Serve(typed) => Task::Serve(Box::new(ServePlan::new(typed, &config)?)),
            Command::Registry(typed) => {
                Task::Registry(Box::new(ServeRegistryPlan::new(typed, &config)?))
            }
            Command::Call(typed) => Task::Call(Box::new(CallPlan::new(typed, &config)?)),
            Command::Bench(typed) => Task::Bench(Box::new(BenchPlan::new(*typed, &config)?)),
            Command::Methods(typed) => Task::Methods {
                target: target::of(&typed.direct, &config)?,
                options: Box::new(settings::client(&config, typed.timeout)),
                json: typed.json,
            },
            Command::Instances(typed) => Task::Instances {
                url: target::registry(&typed.through, &config)?,
                options: settings::registry_client(&config, typed.timeout),
                json: typed.json,
            },
            Command::Health(typed) => return Self::health(&typed),
        };
        let log = (log.terminal || log.save.is_some()).then_some(log);
        Ok(Self { task, log, warnings: config.warnings })
    }

    fn health(typed: &cli::Health) -> Result<Self, Failure> {
        // Read here so that a wrong address is a usage error and not an unreachable daemon.
        Target::direct(&typed.address)?;
        let task = Task::Health { address: typed.address.clone(), timeout: typed.timeout.0 };
        Ok(Self { task, log: None, warnings: Vec::new() })
    }

    /// What is to be done.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// Does it: log, run to the end, write out what is still to be logged.
    ///
    /// # Errors
    /// It was not done; the failure says why and carries the exit code.
    pub fn run(self) -> Result<(), Failure> {
        let logging = self.log.as_ref().map(logging::init).transpose()?;
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        let runtime = match self.task {
            Task::Serve(_) | Task::Registry(_) => tokio::runtime::Builder::new_multi_thread(),
            _ => tokio::runtime::Builder::new_current_thread(),
        }
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start: {error}")))?;
        let done = runtime.block_on(self.task.run(logging.as_ref()));
        // A method's body or a name look-up that still blocks must not keep the process.
        runtime.shutdown_timeout(Duration::from_millis(100));
        done
    }
}

impl Task {
    async fn run(self, logging: Option<&Logging>) -> Result<(), Failure> {
        match self {
            Self::Serve(plan) => daemon::serve(*plan, logging).await,
            Self::Registry(plan) => daemon::registry(*plan, logging).await,
            Self::Call(plan) => client::call(*plan).await,
            Self::Bench(plan) => client::bench(*plan).await,
            Self::Methods { target, options, json } => {
                client::methods(target, *options, json).await
            }
            Self::Instances { url, options, json } => client::instances(&url, options, json).await,
            Self::Health { address, timeout } => client::health(&address, timeout).await,
        }
    }
}

impl CallPlan {
    fn new(typed: cli::Call, config: &Config) -> Result<Self, Failure> {
        let mut options = settings::client(config, typed.timeout);
        if let Some(balance) = typed.balance {
            options.balance = settings::balance(balance);
        }
        Ok(Self {
            target: target::of(&typed.direct, config)?,
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

/// Puts the flags about the log over the settings.
fn over_log(config: &mut Config, common: &Common) -> Result<(), Failure> {
    if let Some(level) = &common.log_level {
        logging::check_level(level).map_err(|error| Failure::usage(error.to_string()))?;
        config.log.level.clone_from(level);
    }
    if let Some(dir) = &common.log_dir {
        config.log.dir.clone_from(dir);
        config.log.save = true;
    }
    if let Some(format) = common.log_format {
        config.log.format = format;
    }
    Ok(())
}

fn log_options(config: &Config, terminal: bool, prefix: &str) -> LogOptions {
    let log = &config.log;
    LogOptions {
        level: log.level.clone(),
        format: log.format,
        terminal,
        save: log.save.then(|| PathBuf::clone(&log.dir)),
        file_prefix: prefix.to_owned(),
        max_files: log.max_files,
        max_ring_lines: log.ring_lines,
        max_ring_bytes: log.ring_bytes,
        max_queued_lines: log.writer_lines,
        max_line_bytes: log.line_bytes,
    }
}

#[cfg(test)]
mod tests;
