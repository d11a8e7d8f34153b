//! Asks instances for their methods: a few at a time, within bounds that all of them share.

use std::sync::Arc;
use std::time::Duration;

use rpc_client::{CallError, Client, ClientOptions};
use rpc_console_core::model::methods::{MethodList, Room};
use rpc_wire::instance::InstanceKey;
use rpc_wire::signature::contract;
use tokio::sync::Semaphore;

use super::direct::Directory;

/// Instances asked at the same time; others wait: a list takes many times its size while it is read.
const MAX_ASKED: usize = 4;
/// Timeout of one list: a silent instance must not keep the others waiting.
const TIMEOUT: Duration = Duration::from_secs(5);
/// What a reply has beside the list.
const ENVELOPE_BYTES: usize = 64 * 1024;

/// The discovery of methods; clones share its bounds.
#[derive(Clone)]
pub(super) struct Discovery {
    turns: Arc<Semaphore>,
    room: Room,
    options: ClientOptions,
    directory: Directory,
}

/// The methods of an instance, and their contract.
#[derive(Debug)]
pub(super) struct Discovered {
    /// The digest of the methods that count.
    pub(super) digest: String,
    /// The methods.
    pub(super) methods: MethodList,
}

impl Discovery {
    /// Asks with these options, as far as they fit a list of methods.
    pub(super) fn new(options: &ClientOptions, directory: Directory) -> Self {
        let max_reply_bytes = options.max_method_list_bytes.saturating_add(ENVELOPE_BYTES);
        let options = ClientOptions {
            timeout: options.timeout.min(TIMEOUT),
            max_reply_bytes: options.max_reply_bytes.min(max_reply_bytes),
            ..options.clone()
        };
        let turns = Arc::new(Semaphore::new(MAX_ASKED));
        Self { turns, room: Room::default(), options, directory }
    }

    /// A client that is used for nothing else: its replies are small.
    pub(super) fn client(&self, key: &InstanceKey) -> Option<Client> {
        self.client_with(key, &self.options)
    }

    /// A client with other options.
    pub(super) fn client_with(&self, key: &InstanceKey, options: &ClientOptions) -> Option<Client> {
        self.directory.client(key, options)
    }

    /// Asks an instance.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn ask(&self, client: &Client) -> Result<Discovered, CallError> {
        let Ok(_turn) = self.turns.acquire().await else { return Err(CallError::Closed) };
        let methods = match self.directory.described() {
            Some(described) => described.to_vec(),
            None => client.methods().await?,
        };
        let reading = tokio::task::spawn_blocking(move || {
            let methods = MethodList::new(methods);
            Discovered { digest: contract(methods.signatures()), methods }
        });
        reading.await.map_err(|_| CallError::Closed)
    }

    /// Keeps a list, if there is room for it.
    ///
    /// # Errors
    /// Why it is not kept.
    pub(super) fn keep(&self, methods: MethodList) -> Result<Arc<MethodList>, String> {
        methods.kept_in(&self.room).map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::instance::Instance;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A server of the older system whose list has this many methods of 50 KB; returns its key.
    async fn hostile(count: usize) -> InstanceKey {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let default = vec!["[0]"; 10_000].join(", ");
        let method = |at: usize| {
            format!(
                r#"{{"method_name": "m{at}", "method_args": [], "method_kwargs": {{"a": [{default}]}}}}"#
            )
        };
        let methods: Vec<_> = (0..count).map(method).collect();
        let list = format!(r#"{{"res": [{}]}}"#, methods.join(", "));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let list = list.clone();
                tokio::spawn(async move {
                    let mut request = vec![0; 4096];
                    while let Ok(size @ 1..) = stream.read(&mut request).await {
                        let request = String::from_utf8_lossy(&request[..size]);
                        let reply = match request.contains("all_your_methods") {
                            true => &*list,
                            false => r#"{"res": "No service found for: rpc.discover"}"#,
                        };
                        let _ = stream.write_all(reply.as_bytes()).await;
                    }
                });
            }
        });
        Instance::new("127.0.0.1", port).key()
    }

    #[tokio::test]
    async fn lists_are_kept_while_there_is_room_for_all_and_refused_beyond_4_mib() {
        let discovery = Discovery {
            room: Room::new(12 << 20),
            ..Discovery::new(&ClientOptions::default(), Directory::default())
        };
        let client = discovery.client(&hostile(8).await).unwrap();
        let mut kept = Vec::new();
        let refused = loop {
            let found = discovery.ask(&client).await.unwrap();
            match discovery.keep(found.methods) {
                Ok(list) => kept.push(list),
                Err(refused) => break refused,
            }
        };
        assert!((1..4).contains(&kept.len()), "a list of 400 KB takes about 5 MB: {}", kept.len());
        assert!(refused.contains("those of all instances may take 12.0 MiB"), "{refused}");
        kept.clear();
        let found = discovery.ask(&client).await.unwrap();
        assert!(discovery.keep(found.methods).is_ok(), "there is room again");

        let client = discovery.client(&hostile(100).await).unwrap();
        let error = discovery.ask(&client).await.unwrap_err().to_string();
        assert!(error.contains("127.0.0.1"), "{error}");
    }

    #[tokio::test]
    async fn few_are_asked_at_once_and_a_silent_one_does_not_keep_the_others_waiting_for_ever() {
        let options = ClientOptions { timeout: Duration::from_millis(300), ..Default::default() };
        let discovery = Discovery::new(&options, Directory::default());
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent = Instance::new("127.0.0.1", silent.local_addr().unwrap().port()).key();
        for _ in 0..MAX_ASKED {
            let (discovery, client) = (discovery.clone(), discovery.client(&silent).unwrap());
            tokio::spawn(async move { discovery.ask(&client).await.map(drop) });
        }
        while discovery.turns.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let honest = discovery.client(&hostile(1).await).unwrap();
        assert_eq!(discovery.ask(&honest).await.unwrap().methods.len(), 1);
    }
}
