//! Whoever makes the calls of a run: a connection, or a stand-in in tests.

use std::time::Duration;

use rpc_client::{CallError, Client, ClientError, ClientOptions, Request, Target};

use super::run::Run;

/// Makes calls, any number at the same time.
pub(super) trait Caller: Clone + Send + Sync + 'static {
    fn call(&self) -> impl Future<Output = Outcome> + Send;
}

/// How a call ended.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Who answered, or was to; `None` where only the error may know.
    pub(super) peer: Option<String>,
    /// Attempts beyond the first.
    pub(super) retries: u32,
    pub(super) error: Option<CallError>,
}

/// A client of its own, and so a connection of its own to each server.
#[derive(Debug, Clone)]
pub(super) struct Line {
    client: Client,
    request: Request,
    /// The only one it can reach.
    only: Option<String>,
}

/// The connections of thread `index`. They belong to the runtime this is called in.
pub(super) fn lines(
    run: &Run,
    index: usize,
    target: &Target,
    options: &ClientOptions,
) -> Result<Vec<Line>, ClientError> {
    let plan = &run.plan;
    if let Some(on) = &plan.on {
        Target::direct(on)?;
    }
    let request = Request {
        method: plan.method.clone(),
        args: plan.args.clone(),
        timeout: plan.timeout,
        idempotent: false,
        on: plan.on.clone(),
    };
    let only = match (&plan.on, target) {
        (Some(on), _) => Some(on.clone()),
        (None, Target::Direct { .. }) => Some(target.to_string()),
        (None, Target::Registry { .. }) => None,
    };
    let line = || {
        let client = Client::new(target.clone(), options.clone())?;
        Ok(Line { client, request: request.clone(), only: only.clone() })
    };
    (0..run.share(plan.connections, index)).map(|_| line()).collect()
}

/// Ends them; a peer that does not let go must not keep the thread.
pub(super) async fn close(lines: Vec<Line>) {
    let all = lines.iter().map(|line| line.client.close());
    let _ = tokio::time::timeout(Duration::from_secs(1), futures_util::future::join_all(all)).await;
}

impl Caller for Line {
    async fn call(&self) -> Outcome {
        match self.client.request(self.request.clone()).await {
            Ok(response) => Outcome {
                peer: Some(response.peer),
                retries: response.attempts.saturating_sub(1),
                error: None,
            },
            Err(error) => Outcome { peer: self.only.clone(), retries: 0, error: Some(error) },
        }
    }
}
