//! What is said of a registry that cannot be reached: which list calls go by, or that they wait.

use std::pin::pin;
use std::time::{Duration, Instant};

use rpc_client::{Client, ListSource, ListStatus, Target};
use rpc_load::show;

use crate::failure::{Exit, Failure};
use crate::output;

/// A registry that has not replied for this long is said to be waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Does `work` with the client. Meanwhile it says once that calls go by the list on disk, and shows on a terminal that
/// the registry is waited for.
pub(super) async fn said_during<T>(client: &Client, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut patience = pin!(tokio::time::sleep(PATIENCE));
    let (mut is_said, mut is_shown) = (false, false);
    loop {
        let done = tokio::select! {
            biased;
            done = &mut work => Some(done),
            () = client.list_refreshed() => None,
            () = &mut patience, if !patience.is_elapsed() => None,
        };
        if std::mem::take(&mut is_shown) {
            output::clear_status();
        }
        if let Some(ListStatus { source, problem: Some(problem), age, .. }) = client.list_status() {
            match source {
                ListSource::Disk if !is_said => {
                    let age = show::seconds(age.unwrap_or_default());
                    output::say(&format!("{problem}; meanwhile calls go by its list of {age} ago"));
                    is_said = true;
                }
                ListSource::None if done.is_none() => {
                    output::status(&format!("{problem}; waiting for it"));
                    is_shown = true;
                }
                _ => {}
            }
        }
        if let Some(done) = done {
            return done;
        }
        if !is_shown && patience.is_elapsed() && has_no_list(client) {
            output::status(&format!("no reply from the {} yet; waiting for it", name(client)));
            is_shown = true;
        }
    }
}

fn has_no_list(client: &Client) -> bool {
    client.list_status().is_some_and(|status| status.source == ListSource::None)
}

fn name(client: &Client) -> String {
    match client.target() {
        Target::Registry { url } => format!("registry at {url}"),
        server @ (Target::Direct { .. } | Target::JsonRpc { .. }) => format!("server at {server}"),
    }
}

/// The failure with how long the registry was waited for, if that is why, since there is no list of it.
pub(super) fn explained(failure: Failure, client: &Client, began: Instant) -> Failure {
    let status = client.list_status();
    let is_refused = status.and_then(|it| it.problem).is_some_and(|problem| problem.is_refusal());
    if failure.exit != Exit::Unreachable || is_refused || !has_no_list(client) {
        return failure;
    }
    let waited = show::seconds(began.elapsed());
    let why = format!("; waited {waited} for it, and no list of its instances is kept on disk");
    let message = match failure.message.rsplit_once("; check ") {
        Some((what, advice)) => format!("{what}{why}; check {advice}"),
        None => format!("{}{why}", failure.message),
    };
    Failure { message, ..failure }
}
