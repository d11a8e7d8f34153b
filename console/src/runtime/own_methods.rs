//! The methods of one instance as it replies itself: where no contract is listed, or the listed one
//! is in doubt.

use std::sync::Arc;
use std::time::Duration;

use rpc_client::{Client, Dialect};
use rpc_wire::instance::{Instance, InstanceKey};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::discovery::Discovery;
use rpc_console_core::message::{InstanceUpdate, Msg};
use rpc_console_core::model::instances;
use rpc_console_core::model::methods::MethodList;
use rpc_console_core::text;

/// Interval of attempts, until one succeeds; as any wait here, it ends when a probe says another contract.
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
/// of its listed contract: these are discovered once for all instances of a contract. Tells, too, that it speaks
/// JSON-RPC, which no registry does.
pub(super) async fn follow(
    instance: &Instance,
    discovery: &Discovery,
    client: &Client,
    mut said: watch::Receiver<Said>,
    inbox: &mpsc::Sender<Msg>,
) {
    let (key, listed) = (instance.key(), instance.contract());
    let send = async |update| {
        let _ = inbox.send(Msg::Instance(key.clone(), update)).await;
    };
    let tell = async |methods| send(InstanceUpdate::Methods(methods)).await;
    let mut speaks_json_rpc = false;
    let mut believed = listed.map(str::to_owned);
    let mut is_confirmed = false;
    let mut told: Option<Arc<MethodList>> = None;
    loop {
        if let Some(digest) = &believed
            && said.wait_for(|said| said.doubts(digest, is_confirmed)).await.is_err()
        {
            return;
        }
        // What a probe says while it is asked may be newer than its reply.
        let before = said.borrow_and_update().clone();
        let asked = discovery.ask(client).await;
        if let Some(dialect) = client.dialect()
            && (dialect == Dialect::JsonRpc) != speaks_json_rpc
        {
            speaks_json_rpc = !speaks_json_rpc;
            send(InstanceUpdate::Dialect(shown(dialect))).await;
        }
        let wait = match asked {
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
        let is_news = |now: &Said| *now != before && matches!(now, Said::Contract(_));
        if let Ok(Err(_)) = timeout(wait, said.wait_for(is_news)).await {
            return;
        }
    }
}

/// A dialect, as it is shown.
fn shown(dialect: Dialect) -> instances::Dialect {
    match dialect {
        Dialect::Extended => instances::Dialect::Extended,
        Dialect::JsonRpc => instances::Dialect::JsonRpc,
        Dialect::Classic => instances::Dialect::Classic,
    }
}

#[cfg(test)]
mod tests {
    use super::super::direct::Directory;
    use super::*;
    use rpc_client::ClientOptions;
    use rpc_console_core::model::calls::CallRequest;
    use rpc_server::{Server, builtin};
    use rpc_wire::signature::contract;
    use serde_json::json;
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

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

    /// A server of the older system that has another method each time that it is asked; returns its key.
    async fn changing_server() -> InstanceKey {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let asked = Arc::clone(&asked);
                tokio::spawn(async move {
                    let mut request = vec![0; 4096];
                    while let Ok(size @ 1..) = stream.read(&mut request).await {
                        let request = String::from_utf8_lossy(&request[..size]);
                        let reply = match request.contains("all_your_methods") {
                            true => {
                                let name = format!("m{}", asked.fetch_add(1, Relaxed));
                                json!({"res": [
                                    {"method_name": name, "method_args": [], "method_kwargs": {}}
                                ]})
                            }
                            false => json!({"res": "No service found for: rpc.discover"}),
                        };
                        let _ = stream.write_all(reply.to_string().as_bytes()).await;
                    }
                });
            }
        });
        Instance::new("127.0.0.1", port).key()
    }

    #[tokio::test]
    async fn an_instance_is_asked_as_soon_as_its_probe_says_another_contract() {
        let key = changing_server().await;
        let discovery = Discovery::new(&ClientOptions::default(), Directory::default());
        let client = discovery.client(&key).unwrap();
        let (inbox, mut messages) = mpsc::channel(16);
        let (sender, said) = watch::channel(Said::Nothing);
        let instance = Instance::new(&*key.host, key.port);
        tokio::spawn(async move { follow(&instance, &discovery, &client, said, &inbox).await });
        for (at, name) in ["m0", "m1", "m2"].into_iter().enumerate() {
            let next = timeout(REPEAT / 3, messages.recv()).await;
            let Msg::Instance(_, InstanceUpdate::Methods(Ok(methods))) =
                next.expect("it waits for the next time").unwrap()
            else {
                panic!("no methods")
            };
            assert!(methods.signatures().all(|method| method.name == name), "{name}");
            sender.send_replace(Said::Contract(format!("contract {at}")));
        }
    }

    /// A JSON-RPC server that has `add` and tells no methods; returns its key.
    async fn json_rpc_server() -> InstanceKey {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (read, mut write) = stream.into_split();
                    let mut lines = BufReader::new(read).lines();
                    while let Ok(Some(line)) = lines.next_line().await {
                        let request: serde_json::Value = serde_json::from_str(&line).unwrap();
                        let mut reply = json!({"jsonrpc": "2.0", "id": request["id"]});
                        match request["method"] == "add" {
                            true => reply["result"] = json!(3),
                            false => reply["error"] = json!({"code": -32601, "message": "none"}),
                        }
                        let _ = write.write_all(format!("{reply}\n").as_bytes()).await;
                    }
                });
            }
        });
        Instance::new("127.0.0.1", port).key()
    }

    async fn until_json_rpc(messages: mpsc::Receiver<Msg>) {
        tokio::time::timeout(Duration::from_secs(20), json_rpc_told(messages)).await.unwrap();
    }

    async fn json_rpc_told(mut messages: mpsc::Receiver<Msg>) {
        let is_told = |msg: &Msg| {
            let json_rpc = instances::Dialect::JsonRpc;
            matches!(msg, Msg::Instance(_, InstanceUpdate::Dialect(told)) if *told == json_rpc)
        };
        while !is_told(&messages.recv().await.expect("it was told nowhere")) {}
    }

    #[tokio::test]
    async fn that_a_listed_server_speaks_json_rpc_is_told_when_it_is_asked_for_its_methods() {
        let key = json_rpc_server().await;
        let discovery = Discovery::new(&ClientOptions::default(), Directory::of_registry());
        let client = discovery.client(&key).unwrap();
        let (inbox, messages) = mpsc::channel(16);
        let (_sender, said) = watch::channel(Said::NoContract);
        let instance = Instance::new(&*key.host, key.port);
        tokio::spawn(async move { follow(&instance, &discovery, &client, said, &inbox).await });
        until_json_rpc(messages).await;
    }

    #[tokio::test]
    async fn that_a_server_speaks_json_rpc_is_told_when_it_was_called() {
        for method in ["add", "nothing"] {
            let key = json_rpc_server().await;
            let client = Client::direct(key.to_string(), ClientOptions::default()).unwrap();
            let (inbox, messages) = mpsc::channel(16);
            let discovery = Discovery::new(&ClientOptions::default(), Directory::default());
            let attempts = super::super::calls::Attempts::new();
            let senders =
                super::super::calls::Senders { own: None, single: vec![(key.clone(), client)] };
            let request = request(method, key);
            super::super::calls::call(request, senders, attempts, discovery, inbox).await;
            until_json_rpc(messages).await;
        }
    }

    fn request(method: &str, key: InstanceKey) -> CallRequest {
        CallRequest {
            id: 1,
            service: Default::default(),
            method: method.to_owned(),
            args: rpc_wire::call::Args::none(),
            written: rpc_wire::call::Args::none(),
            candidates: vec![key],
            timeout: Duration::from_secs(5),
            stream: false,
        }
    }

    #[tokio::test]
    async fn an_instance_that_has_not_what_it_is_listed_with_is_asked_again() {
        let (client, _) = serve(2).await;
        let port = client.instances()[0].instance.port;
        let key = Instance::new("127.0.0.1", port).key();
        let (inbox, mut messages) = mpsc::channel(16);
        let request = request("nothing", key.clone());
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
