//! Runs a load test: the engine has its own threads and reports progress a few times a second.

use rpc_client::ClientOptions;
use rpc_load::Load;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::secrets::Secrets;
use rpc_console_core::message::{LoadUpdate, Msg};
use rpc_console_core::model::load::LoadRequest;

/// A running load test; dropping it stops it.
pub(super) struct Running {
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Running {
    /// Stops it now; its final progress is still reported.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }
}

/// Starts a load test that reports to `inbox`.
pub(super) fn start(
    request: LoadRequest,
    options: ClientOptions,
    inbox: mpsc::Sender<Msg>,
) -> Running {
    let stop = CancellationToken::new();
    tokio::spawn(run(request, options, inbox, stop.clone()));
    Running { _stop_on_drop: stop.clone().drop_guard(), stop }
}

async fn run(
    mut request: LoadRequest,
    mut options: ClientOptions,
    inbox: mpsc::Sender<Msg>,
    stop: CancellationToken,
) {
    let id = request.id;
    request.args = match Secrets::resolve(&request.args) {
        Ok((args, _)) => args,
        Err(why) => return drop(inbox.send(Msg::Load(id, LoadUpdate::Failed(why))).await),
    };
    // Of that service, the client calls those instances that have the method. The service of the
    // settings is not that of a method that has none.
    options.service = request.service.name().map(str::to_owned);
    // Starting threads may block.
    let started = tokio::task::spawn_blocking(move || {
        Load::start(request.target.clone(), options, request.plan())
            .map_err(|error| error.to_string())
    });
    let load = match started.await.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(load) => load,
        Err(error) => return drop(inbox.send(Msg::Load(id, LoadUpdate::Failed(error))).await),
    };
    let mut progress = load.progress();
    let mut stopping = false;
    loop {
        tokio::select! {
            changed = progress.changed() => {
                let now = progress.borrow_and_update().clone();
                let over = now.phase.is_over();
                // The engine may have exited: then this was its final progress.
                if over || changed.is_ok() {
                    let update = Msg::Load(id, LoadUpdate::Progress(now));
                    if inbox.send(update).await.is_err() || over {
                        return;
                    }
                } else {
                    let update = LoadUpdate::Failed("the load test ended unexpectedly".to_owned());
                    return drop(inbox.send(Msg::Load(id, update)).await);
                }
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                load.stop();
            }
        }
    }
}
