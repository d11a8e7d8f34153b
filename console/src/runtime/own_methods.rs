//! The methods of one instance as it replies itself: where no contract is listed, or the listed one
//! is in doubt.

use std::sync::Arc;
use std::time::Duration;

use rpc_client::Client;
use rpc_wire::instance::{Instance, InstanceKey};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::discovery::Discovery;
use rpc_console_core::message::{InstanceUpdate, Msg};
use rpc_console_core::model::methods::MethodList;
use rpc_console_core::text;

/// Interval of attempts, until one succeeds.
const RETRY: Duration = Duration::from_secs(10);
/// Interval of requests to a server that does not say its contract: a restart on the same address
/// looks unchanged.
const REPEAT: Duration = Duration::from_secs(30);

/// What the latest successful probe said of the methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// There was none yet.
    Nothing,
    /// An older server: it does not say its contract.
    NoContract,
    /// The contract of its methods.
    Contract(String),
}

impl Said {
    /// Whether the methods may be others than those of this contract; `is_confirmed`: they were those
    /// that are listed, and a restart lists it again.
    fn doubts(&self, digest: &str, is_confirmed: bool) -> bool {
        match self {
            Self::Nothing => false,
            Self::NoContract => !is_confirmed,
            Self::Contract(said) => said != digest,
        }
    }
}

/// Asks an instance that has said that it has not what it is listed with.
pub(super) async fn correct(key: InstanceKey, discovery: Discovery, inbox: mpsc::Sender<Msg>) {
    let Some(client) = discovery.client(&key) else { return };
    if let Ok(found) = discovery.ask(&client).await {
        let methods = discovery.keep(found.methods);
        let _ = inbox.send(Msg::Instance(key, InstanceUpdate::Methods(methods))).await;
    }
}

/// Asks an instance whenever its methods may be others than known, and tells those that are not
/// of its listed contract: these are discovered once for all instances of a contract.
pub(super) async fn follow(
    instance: &Instance,
    discovery: &Discovery,
    client: &Client,
    mut said: watch::Receiver<Said>,
    inbox: &mpsc::Sender<Msg>,
) {
    let (key, listed) = (instance.key(), instance.contract());
    let tell = async |methods| {
        let update = InstanceUpdate::Methods(methods);
        let _ = inbox.send(Msg::Instance(key.clone(), update)).await;
    };
    let mut believed = listed.map(str::to_owned);
    let mut is_confirmed = false;
    let mut told: Option<Arc<MethodList>> = None;
    loop {
        if let Some(digest) = &believed
            && said.wait_for(|said| said.doubts(digest, is_confirmed)).await.is_err()
        {
            return;
        }
        let wait = match discovery.ask(client).await {
            Ok(found) => {
                is_confirmed = listed == Some(&*found.digest);
                let is_known = told.is_none() && is_confirmed;
                if !is_known && told.as_deref() != Some(&found.methods) {
                    let kept = discovery.keep(found.methods);
                    told = kept.as_ref().ok().cloned();
                    tell(kept).await;
                }
                believed = Some(found.digest);
                REPEAT
            }
            Err(error) => {
                if believed.is_none() {
                    tell(Err(text::note(&error.to_string()))).await;
                }
                RETRY
            }
        };
        sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::direct::Directory;
    use super::*;
    use rpc_client::ClientOptions;
    use rpc_server::{Server, builtin};
    use rpc_wire::signature::contract;
    use std::net::Ipv4Addr;

    const LISTED: &str = "00000000000000000000000000000000";

    /// A client of a server with some of the built-in methods, and their contract.
    async fn serve(count: usize) -> (Client, String) {
        let methods: Vec<_> = builtin::methods().into_iter().take(count).collect();
        let digest = contract(methods.iter().map(|method| method.signature()));
        let server = Server::builder().methods(methods);
        let server = server.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = server.local_addr().to_string();
        tokio::spawn(server.serve(std::future::pending()));
        (Client::direct(address, ClientOptions::default()).unwrap(), digest)
    }

    /// Number of methods of each list that is told within a moment.
    async fn told(listed: &str, client: &Client, said: Said) -> Vec<usize> {
        let mut instance = Instance::new("127.0.0.1", 1);
        instance.parameters.insert("contract".to_owned(), listed.into());
        let (inbox, mut messages) = mpsc::channel(16);
        let (_sender, said) = watch::channel(said);
        let discovery = Discovery::new(&ClientOptions::default(), Directory::default());
        let follow = follow(&instance, &discovery, client, said, &inbox);
        let _ = tokio::time::timeout(Duration::from_millis(300), follow).await;
        let mut told = Vec::new();
        while let Ok(msg) = messages.try_recv() {
            let Msg::Instance(_, InstanceUpdate::Methods(Ok(methods))) = msg else {
                panic!("{msg:?}")
            };
            told.push(methods.len());
        }
        told
    }

    #[tokio::test]
    async fn an_instance_is_asked_itself_where_its_listed_contract_is_in_doubt() {
        let (client, own) = serve(2).await;
        let other = || Said::Contract(own.clone());
        assert_eq!(told(LISTED, &client, other()).await, [2], "it says another contract");
        assert_eq!(told(LISTED, &client, Said::NoContract).await, [2], "it is an older server");
        assert!(told(LISTED, &client, Said::Nothing).await.is_empty(), "it was not probed");
        let same = Said::Contract(LISTED.to_owned());
        assert!(told(LISTED, &client, same).await.is_empty(), "it says the listed contract");
        let confirmed = told(&own, &client, Said::NoContract).await;
        assert!(confirmed.is_empty(), "what the contract says needs no list of its own");
    }

    #[tokio::test]
    async fn an_instance_that_has_not_what_it_is_listed_with_is_asked_again() {
        use rpc_console_core::model::calls::CallRequest;
        let (client, _) = serve(2).await;
        let port = client.instances()[0].instance.port;
        let key = Instance::new("127.0.0.1", port).key();
        let (inbox, mut messages) = mpsc::channel(16);
        let request = CallRequest {
            id: 1,
            service: Default::default(),
            method: "nothing".to_owned(),
            args: rpc_wire::call::Args::none(),
            written: rpc_wire::call::Args::none(),
            candidates: vec![key.clone()],
            timeout: Duration::from_secs(5),
            stream: false,
        };
        let discovery = Discovery::new(&ClientOptions::default(), Directory::default());
        let attempts = super::super::calls::Attempts::new();
        let senders =
            super::super::calls::Senders { own: None, single: vec![(key.clone(), client)] };
        super::super::calls::call(request, senders, attempts, discovery, inbox).await;
        let corrected = loop {
            let msg = messages.recv().await.unwrap();
            if let Msg::Instance(of, InstanceUpdate::Methods(Ok(methods))) = msg {
                break (of, methods);
            }
        };
        assert_eq!((corrected.0, corrected.1.len()), (key, 2));
    }
}
