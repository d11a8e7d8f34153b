//! A load test: made by the engine on threads of its own; its progress is told a few times a second.

use rpc_client::ClientOptions;
use rpc_load::Load;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use rpc_console_core::message::{LoadNews, Msg};
use rpc_console_core::model::load::LoadRequest;

/// A load test under way; dropping it stops it.
pub(super) struct Runs {
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Runs {
    /// Has it end now; its last word still comes.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }
}

/// Begins a load test and tells the inbox how it is getting on.
pub(super) fn start(
    request: LoadRequest,
    options: ClientOptions,
    inbox: mpsc::Sender<Msg>,
) -> Runs {
    let stop = CancellationToken::new();
    tokio::spawn(run(request, options, inbox, stop.clone()));
    Runs { _stop_on_drop: stop.clone().drop_guard(), stop }
}

async fn run(
    request: LoadRequest,
    options: ClientOptions,
    inbox: mpsc::Sender<Msg>,
    stop: CancellationToken,
) {
    let id = request.id;
    // Threads are begun where a slow system holds nobody up.
    let begun = tokio::task::spawn_blocking(move || {
        Load::start(request.target.clone(), options, request.plan())
            .map_err(|error| error.to_string())
    });
    let load = match begun.await.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(load) => load,
        Err(error) => return drop(inbox.send(Msg::Load(id, LoadNews::Failed(error))).await),
    };
    let mut progress = load.progress();
    let mut stopping = false;
    loop {
        tokio::select! {
            changed = progress.changed() => {
                let now = progress.borrow_and_update().clone();
                let over = now.phase.is_over();
                // Its threads may be gone: then this was the last word.
                if over || changed.is_ok() {
                    let news = Msg::Load(id, LoadNews::Progress(now));
                    if inbox.send(news).await.is_err() || over {
                        return;
                    }
                } else {
                    let news = LoadNews::Failed("the load test ended unexpectedly".to_owned());
                    return drop(inbox.send(Msg::Load(id, news)).await);
                }
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                load.stop();
            }
        }
    }
}
