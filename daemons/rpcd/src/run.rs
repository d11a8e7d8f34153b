//! Executes a plan: start the log, run the task, flush the log.

use std::time::Duration;

use rpc_host::logging::{self, Logging};

use crate::failure::{Exit, Failure};
use crate::plan::{Plan, Task};
use crate::{client, daemon, mcp, output, token};

/// Executes `plan`.
///
/// # Errors
/// It failed; the failure has the reason and the exit code.
pub fn run(plan: Plan) -> Result<(), Failure> {
    let logging = plan.log.as_ref().map(logging::init).transpose()?;
    let terminal = plan.log.as_ref().is_some_and(|log| log.terminal);
    for warning in &plan.warnings {
        tracing::warn!("{warning}");
        if !terminal {
            output::warn(warning);
        }
    }
    let runtime = match plan.task {
        Task::Serve(_) | Task::Registry(_) | Task::Mcp(_) => {
            tokio::runtime::Builder::new_multi_thread()
        }
        _ => tokio::runtime::Builder::new_current_thread(),
    }
    .enable_all()
    .build()
    .map_err(|error| Failure::new(Exit::Failed, format!("cannot start: {error}")))?;
    let done = runtime.block_on(execute(plan.task, logging.as_ref()));
    // A blocking method or name lookup must not keep the process alive.
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

async fn execute(task: Task, logging: Option<&Logging>) -> Result<(), Failure> {
    match task {
        Task::Serve(plan) => daemon::serve(*plan, logging).await,
        Task::Registry(plan) => daemon::registry(*plan, logging).await,
        Task::Mcp(plan) => mcp::serve(*plan).await,
        Task::Call(plan) => client::call(*plan).await,
        Task::Bench(plan) => client::bench(*plan).await,
        Task::Methods { ask, filter, openapi: true } => {
            client::openapi(*ask, filter.as_deref()).await
        }
        Task::Methods { ask, filter, openapi: false } => {
            client::methods(*ask, filter.as_deref()).await
        }
        Task::Describe { ask, method } => client::describe(*ask, &method).await,
        Task::Instances(ask) => client::instances(ask).await,
        Task::Watch { ask, beats, interval } => {
            output::while_read(client::watch(ask, beats, interval)).await
        }
        Task::Logs(plan) => output::while_read(client::logs(*plan)).await,
        Task::Stats { ask, instances } => client::stats(*ask, instances).await,
        Task::Override(plan) => client::overrides(*plan).await,
        Task::ReleaseBrake(ask) => client::release_brake(ask).await,
        Task::Token(action) => token::token(&action),
        Task::Health(plan) => client::health(&plan).await,
    }
}
