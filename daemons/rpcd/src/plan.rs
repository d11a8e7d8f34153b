//! What a command line means, together with environment and files.

mod bench;
mod client;
mod data;
mod mcp;
mod options;
mod target;

use std::time::Duration;

use rpc_host::logging::LogOptions;
use rpc_settings::{Security, Settings, Sources};

use crate::cli::{Command, Common, Direct, TokenAction, Typed, Via};
use crate::failure::Failure;

pub use bench::BenchPlan;
pub use client::{Ask, AskRegistry, CallPlan, HealthPlan, LogsPlan, OverridePlan, REGISTRY};
pub use data::Described;
pub use mcp::McpPlan;
pub use options::{ServePlan, ServeRegistryPlan, WorkerPlan};

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
    /// Serve methods as tools.
    Mcp(Box<McpPlan>),
    /// Call a method.
    Call(Box<CallPlan>),
    /// Load-test a method.
    Bench(Box<BenchPlan>),
    /// List methods.
    Methods {
        /// The target.
        ask: Box<Ask>,
        /// Only those with this text in their names.
        filter: Option<String>,
        /// As an OpenAPI document.
        openapi: bool,
    },
    /// Describe a method.
    Describe {
        /// The target.
        ask: Box<Ask>,
        /// Its name.
        method: String,
    },
    /// List instances.
    Instances(AskRegistry),
    /// Print changes of instances.
    Watch {
        /// The target.
        ask: AskRegistry,
        /// Whether to include heartbeats.
        beats: bool,
        /// Between two polls of an older registry.
        interval: Duration,
    },
    /// Print logs.
    Logs(Box<LogsPlan>),
    /// Print statistics.
    Stats {
        /// The target.
        ask: Box<Ask>,
        /// `host:port` of those that are asked; none: all.
        instances: Vec<String>,
    },
    /// Take an instance out of use, or bring it back.
    Override(Box<OverridePlan>),
    /// End the registry's brake on mass expiry.
    ReleaseBrake(AskRegistry),
    /// Make and look at tokens.
    Token(TokenAction),
    /// Check a daemon's health.
    Health(HealthPlan),
}

impl Plan {
    /// What `typed` means with the settings of `sources`.
    ///
    /// # Errors
    /// A setting is invalid or flags contradict each other: exit code 2.
    pub fn new(typed: Typed, sources: Sources) -> Result<Self, Failure> {
        if let Command::Health(health) = &typed.command
            && let Some(plan) = HealthPlan::without_settings(health, &sources)?
        {
            return Ok(Self { task: Task::Health(plan), log: None, warnings: Vec::new() });
        }
        if let Command::Token(token) = typed.command {
            let warnings = check_warning(&token.action, sources)?.into_iter().collect();
            return Ok(Self { task: Task::Token(token.action), log: None, warnings });
        }
        let common = typed.command.common().cloned().unwrap_or_default();
        let common = &common;
        let mut settings = Settings::load(common.config.as_deref(), sources)?;
        override_log(&mut settings.log, common);
        if let Some(direct) = typed.command.direct() {
            override_tls(&mut settings, direct);
        }
        let is_daemon = matches!(typed.command, Command::Serve(_) | Command::Registry(_));
        let shown_to = match &typed.command {
            Command::Serve(typed) if typed.no_registry => None,
            Command::Serve(typed) => {
                target::of_settings_through(typed.registry.as_deref(), &settings)
            }
            command => {
                let direct = command.direct();
                direct.and_then(|direct| target::of_settings(direct, &settings))
            }
        };
        let typed_registry = match &typed.command {
            Command::Serve(typed) => typed.registry.as_deref(),
            command => command.direct().and_then(|direct| direct.through.registry.as_deref()),
        };
        let named = typed_registry.and_then(|name| Some((name, settings.registries.get(name)?)));
        let typed_url = match (typed_registry, named) {
            (Some(text), None) => target::named_or_url(text, &settings).ok(),
            _ => None,
        };
        let withheld =
            shown_to.and_then(|registry| settings.withheld(registry, typed_url.as_deref()));
        if !is_daemon {
            settings.client.token = match named {
                Some((name, registry)) if registry.token_file.is_some() => {
                    settings.registry_token(registry, &format!("registry.{name}"))?
                }
                _ => settings.client_token(shown_to)?,
            };
        }
        // A client command logs only on request: its errors go to standard error as one line.
        let logs = is_daemon || matches!(typed.command, Command::Mcp(_));
        let terminal = logs || common.log_level.is_some() || common.log_format.is_some();
        let file_prefix = match &typed.command {
            Command::Serve(_) => "rpcd-serve",
            Command::Registry(_) => "rpcd-registry",
            Command::Mcp(_) => "rpcd-mcp",
            _ => "rpcd-client",
        };
        let log =
            LogOptions { terminal, file_prefix: file_prefix.to_owned(), ..settings.log.clone() };
        let task = Task::new(typed.command, &settings)?;
        let log = (log.terminal || log.save).then_some(log);
        settings.warnings.extend(withheld);
        if let (true, Some(tokens)) = (is_daemon, settings.security.tokens.as_deref()) {
            settings.warnings.extend(Security::unasked_certificates(tokens, &settings.tls));
        }
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
            Command::Mcp(typed) => Self::Mcp(Box::new(McpPlan::new(*typed, settings)?)),
            Command::Call(typed) => Self::Call(Box::new(CallPlan::new(*typed, settings)?)),
            Command::Bench(typed) => Self::Bench(Box::new(BenchPlan::new(*typed, settings)?)),
            Command::Methods(typed) => Self::Methods {
                ask: Box::new(Ask::described(&typed.asking, &typed.described, settings)?),
                filter: typed.filter,
                openapi: typed.openapi,
            },
            Command::Describe(typed) => Self::Describe {
                ask: Box::new(Ask::described(&typed.asking, &typed.described, settings)?),
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
                instances: client::instances(typed.instances, &typed.asking, None)?,
                ask: Box::new(Ask::new(&typed.asking, settings)?),
            },
            Command::Drain(typed) => {
                Self::Override(Box::new(OverridePlan::drain(typed, settings)?))
            }
            Command::Undrain(typed) => {
                Self::Override(Box::new(OverridePlan::undrain(&typed, settings)?))
            }
            Command::ReleaseBrake(typed) => {
                Self::ReleaseBrake(AskRegistry::operated(&typed.asking, settings)?)
            }
            Command::Token(typed) => Self::Token(typed.action),
            Command::Health(typed) => Self::Health(HealthPlan::new(typed, settings)?),
        })
    }
}

/// What a daemon with these settings would say of the file that is checked.
fn check_warning(action: &TokenAction, sources: Sources) -> Result<Option<String>, Failure> {
    let TokenAction::Check { file, config, .. } = action else { return Ok(None) };
    match (Settings::load(config.as_deref(), sources), config) {
        (Ok(settings), _) => Ok(Security::unasked_certificates(file, &settings.tls)),
        (Err(error), Some(_)) => Err(error.into()),
        // Nobody has asked about these.
        (Err(_), None) => Ok(None),
    }
}

/// Flags over the settings, in which a registry may have TLS of its own.
fn override_tls(settings: &mut Settings, direct: &Direct) {
    let through = &direct.through;
    if !direct.has_address() && direct.mode != Some(Via::Server) {
        let of_name = |name: &String| settings.registries.get(name);
        let registry = through.registry.as_ref().map_or(Some(&settings.registry), of_name);
        if let Some(registry) = registry {
            settings.client = settings.client_of(registry);
        }
    }
    settings.client.tls |= through.tls;
    if let Some(file) = &through.tls_ca {
        settings.client.tls_files.ca = Some(file.clone());
    }
    settings.settle_tls();
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
