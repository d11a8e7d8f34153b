//! What is said of a registry that cannot be reached: which list calls go by, or that they wait.

use std::pin::pin;

use rpc_client::{Client, ListProblem, ListSource, ListStatus};
use rpc_load::show;

use crate::output;

/// Does `work` with the client, and says meanwhile, in one line for each, that the registry is waited for and that
/// calls go by the list on disk.
pub(super) async fn said_during<T>(client: &Client, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut said = ListSource::Registry;
    loop {
        let done = tokio::select! {
            biased;
            done = &mut work => Some(done),
            () = client.list_refreshed() => None,
        };
        let status = client.list_status();
        // What has failed says so itself.
        if let Some(status) = status.filter(|it| done.is_none() || it.source == ListSource::Disk)
            && status.source != said
            && let Some(line) = line(&status)
        {
            output::say(&line);
            said = status.source;
        }
        if let Some(done) = done {
            return done;
        }
    }
}

fn line(status: &ListStatus) -> Option<String> {
    let problem = status.problem.as_ref()?;
    match (status.source, problem) {
        (ListSource::Disk, problem) => {
            let age = show::seconds(status.age.unwrap_or_default());
            Some(format!("{problem}; meanwhile calls go by its list of {age} ago"))
        }
        (ListSource::None, ListProblem::Registry(error)) if error.is_transient() => {
            Some(format!("{problem}; waiting for it"))
        }
        _ => None,
    }
}
