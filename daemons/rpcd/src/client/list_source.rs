//! What is said of a registry that cannot be reached: which list calls go by, or that they wait.

use std::pin::pin;

use rpc_client::{Client, ListSource, ListStatus};
use rpc_load::show;

use crate::output;

/// Does `work` with the client. Meanwhile it says once that calls go by the list on disk, and shows on a terminal that
/// the registry is waited for.
pub(super) async fn said_during<T>(client: &Client, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let (mut is_said, mut is_shown) = (false, false);
    loop {
        let done = tokio::select! {
            biased;
            done = &mut work => Some(done),
            () = client.list_refreshed() => None,
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
    }
}
