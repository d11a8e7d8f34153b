//! `#[rpc_service]` as its users write it: one trait, served, called and called in process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use rpc_client::{CallError, CallOptions, Client, ClientOptions, ServiceError};
use rpc_server::schemars::JsonSchema;
use rpc_server::service::Service;
use rpc_server::{Call, Code, Failure, Method, Server, Stream, rpc_service};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

/// Keeps things in stock.
#[rpc_service(name = "stock", version = "1.2")]
trait Stock {
    /// Takes some of an item.
    ///
    /// As many as there are.
    #[rpc(idempotent)]
    #[example("two of them": "bolt", 2)]
    async fn take(
        &self,
        item: String,
        #[default(1)] count: u32,
        #[default] note: Option<String>,
        #[default("box")] r#in: String,
    ) -> Result<Taken, StockError>;

    #[rpc(read_only)]
    async fn price(&self, item: String) -> f64;

    /// The names of the items.
    fn items(&self, after: usize) -> impl Stream<Item = String>;

    fn countdown(&self, from: u8) -> impl Stream<Item = Result<u8, String>>;

    #[rpc(blocking, name = "checksum")]
    #[deprecated]
    fn sum(&self) -> u64;

    #[rpc(blocking)]
    fn parse(&self, text: String) -> Result<u64, String>;

    async fn wait(&self) {
        std::future::pending().await
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "rpc_server::schemars")]
struct Taken {
    item: String,
    count: u32,
    note: Option<String>,
    packed: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum StockError {
    Unknown,
    Only { left: u32 },
}

struct Shelf {
    items: Vec<(String, u32)>,
}

impl Stock for Shelf {
    async fn take(
        &self,
        item: String,
        count: u32,
        note: Option<String>,
        packed: String,
    ) -> Result<Taken, StockError> {
        tokio::task::yield_now().await;
        let found = self.items.iter().find(|(name, _)| *name == item).ok_or(StockError::Unknown)?;
        if found.1 < count {
            return Err(StockError::Only { left: found.1 });
        }
        Ok(Taken { item, count, note, packed })
    }

    async fn price(&self, item: String) -> f64 {
        item.len() as f64 / 2.0
    }

    // It borrows from the shelf.
    fn items(&self, after: usize) -> impl Stream<Item = String> {
        stream::iter(&self.items[after..]).map(|(name, _)| name.clone())
    }

    fn countdown(&self, from: u8) -> impl Stream<Item = Result<u8, String>> {
        let numbers = (1..=from).rev().map(Ok);
        stream::iter(numbers.chain([Err("lift-off".to_owned())]))
    }

    fn sum(&self) -> u64 {
        self.items.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    fn parse(&self, text: String) -> Result<u64, String> {
        text.parse().map_err(|_| format!("{text} is no number"))
    }
}

fn shelf() -> Shelf {
    Shelf { items: [("bolt", 3), ("nut", 5)].map(|(name, count)| (name.to_owned(), count)).into() }
}

/// A client of the shelf on a server of its own.
async fn served() -> (StockClient, Client) {
    let server = Server::builder().service(StockService::new(shelf()));
    let server = server.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = server.local_addr().to_string();
    tokio::spawn(server.serve(std::future::pending()));
    let client = Client::direct(address, ClientOptions::default()).unwrap();
    (StockClient::new(client.clone()), client)
}

/// What must hold of the shelf on a server and in process alike.
async fn behaves_like_a_shelf(stock: &StockClient) {
    let bolt = || "bolt".to_owned();
    let taken = stock.take(bolt(), None, None, None).await.unwrap();
    let packed = "box".to_owned();
    assert_eq!(taken, Taken { item: bolt(), count: 1, note: None, packed });
    let taken = stock.take(bolt(), 2, Some("soon".to_owned()), "bag".to_owned()).await.unwrap();
    assert_eq!((taken.count, taken.note.as_deref(), &*taken.packed), (2, Some("soon"), "bag"));
    let error = stock.take(bolt(), 4, None, None).await.unwrap_err();
    assert_eq!(error, ServiceError::Service(StockError::Only { left: 3 }));
    let error = stock.take("cog".to_owned(), None, None, None).await.unwrap_err();
    assert_eq!(error, ServiceError::Service(StockError::Unknown));

    assert_eq!(stock.price(bolt()).await, Ok(2.0));
    #[expect(deprecated, reason = "it can still be called")]
    let sum = stock.sum().await;
    assert_eq!(sum, Ok(8));
    assert_eq!(stock.parse("17".to_owned()).await, Ok(17));
    let error = stock.parse("x".to_owned()).await.unwrap_err();
    assert_eq!(error, ServiceError::Service("x is no number".to_owned()));

    let items: Vec<_> = stock.items(1).await.unwrap().collect().await;
    assert_eq!(items, [Ok("nut".to_owned())]);
    let mut numbers = stock.countdown(2).await.unwrap();
    assert_eq!(numbers.next().await, Some(Ok(2)));
    assert_eq!(numbers.next().await, Some(Ok(1)));
    let last = Err(ServiceError::Service("lift-off".to_owned()));
    assert_eq!(numbers.next().await, Some(last));
    assert_eq!(numbers.next().await, None);

    let hurried = stock.with(CallOptions::default().timeout(Duration::from_millis(20)));
    let error = hurried.wait().await.unwrap_err();
    let is_timeout = error.kind() == rpc_client::ErrorKind::Timeout;
    assert!(is_timeout, "{error}");
}

#[tokio::test]
async fn a_service_is_called_the_same_way_on_a_server_and_in_process() {
    behaves_like_a_shelf(&served().await.0).await;
    behaves_like_a_shelf(&StockClient::in_process(shelf())).await;
    behaves_like_a_shelf(&StockClient::in_process(Arc::new(shelf()))).await;
}

#[tokio::test]
async fn other_callers_see_ordinary_methods_and_the_error_as_data() {
    let (_, client) = served().await;
    let taken = client.call("take", json!({"item": "nut", "in": "bag"})).await.unwrap();
    assert_eq!(taken, json!({"item": "nut", "count": 1, "note": null, "packed": "bag"}));
    assert_eq!(client.call("checksum", ()).await, Ok(json!(8)));
    let CallError::Remote { fault, .. } = client.call("take", ("nut", 9)).await.unwrap_err() else {
        panic!("an error of the method is expected")
    };
    assert_eq!(fault.code, Code::MethodFailed);
    assert_eq!(fault.message, r#"{"Only":{"left":5}}"#);
    assert_eq!(fault.data, Some(json!({"Only": {"left": 5}})));
    let CallError::Remote { fault, .. } = client.call("parse", ("x",)).await.unwrap_err() else {
        panic!("an error of the method is expected")
    };
    assert_eq!((&*fault.message, fault.data), ("x is no number", Some(json!("x is no number"))));
}

#[tokio::test]
async fn discovery_shows_docs_defaults_and_properties() {
    let (_, client) = served().await;
    let methods = client.methods().await.unwrap();
    let named = |name: &str| methods.iter().find(|method| method.name == name).unwrap();
    let take = named("take");
    assert_eq!(take.doc, "Takes some of an item.\n\nAs many as there are.");
    let parameters = take.parameters.iter().map(|it| (&*it.name, it.default.clone()));
    assert_eq!(
        parameters.collect::<Vec<_>>(),
        [
            ("item", None),
            ("count", Some(json!(1))),
            ("note", Some(Value::Null)),
            ("in", Some(json!("box"))),
        ]
    );
    assert_eq!(take.examples[0].name, "two of them");
    assert_eq!(take.examples[0].arguments[1], ("count".to_owned(), json!(2)));
    assert!(take.effect.is_idempotent() && !take.effect.is_read_only());
    assert!(named("price").effect.is_read_only());
    assert!(named("checksum").deprecated && !named("take").deprecated);
    assert!(named("items").stream && named("countdown").stream);
    assert_eq!(named("countdown").result.as_ref().unwrap()["type"], "integer");
}

/// The methods of the trait, written by hand.
fn by_hand() -> Vec<Method> {
    let never = || async { Err::<Taken, _>(Failure::new("")) };
    vec![
        Method::named("take")
            .doc("Another text, which does not count.")
            .idempotent()
            .parameters(["item", "count", "note", "in"])
            .default("count", 1)
            .default("note", None::<String>)
            .default("in", "box")
            .asynchronous(move |_: String, _: u32, _: Option<String>, _: String| never()),
        Method::named("price").read_only().parameters(["item"]).sync(|_: String| 0.0),
        Method::named("items").parameters(["after"]).stream(|_: usize| stream::empty::<String>()),
        Method::named("countdown").parameters(["from"]).stream(|_: u8| stream::empty::<u8>()),
        Method::named("checksum").parameters([]).sync(|| 0_u64),
        Method::named("parse").parameters(["text"]).sync(|_: String| 0_u64),
        Method::named("wait").parameters([]).sync(|| ()),
    ]
}

#[test]
fn the_contract_is_that_of_the_same_methods_written_by_hand() {
    let contract =
        |methods: &[Method]| rpc_wire::signature::contract(methods.iter().map(Method::signature));
    let hand = by_hand();
    let service = StockService::new(shelf()).methods();
    for (hand, service) in hand.iter().zip(&service) {
        let (hand, service) = (hand.signature(), service.signature());
        assert_eq!(contract_of(hand), contract_of(service), "{}", hand.name);
    }
    assert_eq!(contract(&hand), contract(&service));
}

fn contract_of(signature: &rpc_wire::signature::Signature) -> String {
    rpc_wire::signature::contract([signature])
}

#[tokio::test]
async fn the_service_names_the_server_unless_it_has_a_name() {
    let service = || StockService::new(shelf());
    let health = async |builder: rpc_server::ServerBuilder| {
        let server = builder.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = server.local_addr().to_string();
        tokio::spawn(server.serve(std::future::pending()));
        let client = Client::direct(address, ClientOptions::default()).unwrap();
        let health = client.call("rpc.health", ()).await.unwrap();
        (health["service"].clone(), health["version"].clone())
    };
    assert_eq!(health(Server::builder().service(service())).await, (json!("stock"), json!("1.2")));
    let named = Server::builder().name("shop").service(service()).version("7");
    assert_eq!(health(named).await, (json!("shop"), json!("7")));
}

/// Counts how often it is serialised, and cannot be deserialised.
#[derive(Debug, JsonSchema)]
#[schemars(crate = "rpc_server::schemars")]
struct Counted;

static SERIALISED: AtomicUsize = AtomicUsize::new(0);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SERIALISED.fetch_add(1, Ordering::SeqCst);
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("deserialised")
    }
}

#[rpc_service(name = "echo")]
trait Echo {
    async fn echo(&self, value: Counted) -> Result<Counted, Counted>;
    fn twice(&self, value: Counted) -> impl Stream<Item = Counted>;
}

struct Mirror;

impl Echo for Mirror {
    async fn echo(&self, value: Counted) -> Result<Counted, Counted> {
        Err(value)
    }

    fn twice(&self, value: Counted) -> impl Stream<Item = Counted> {
        stream::iter([value, Counted])
    }
}

#[tokio::test]
async fn nothing_is_serialised_in_process() {
    let echo = EchoClient::in_process(Mirror);
    assert!(matches!(echo.echo(Counted).await, Err(ServiceError::Service(Counted))));
    assert_eq!(echo.twice(Counted).await.unwrap().count().await, 2);
    assert_eq!(SERIALISED.load(Ordering::SeqCst), 0);
    // The counter counts: the same call of a server serialises.
    let server = Server::builder().service(EchoService::new(Mirror));
    let server = server.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = Client::direct(server.local_addr().to_string(), ClientOptions::default()).unwrap();
    tokio::spawn(server.serve(std::future::pending()));
    EchoClient::new(client).echo(Counted).await.unwrap_err();
    assert_eq!(SERIALISED.load(Ordering::SeqCst), 1);
}

#[rpc_service(name = "context")]
trait Context {
    async fn facts(&self, call: Call, #[default(0)] service: u8) -> String;
    fn until_cancelled(&self, call: Call) -> impl Stream<Item = ()>;
    #[rpc(blocking)]
    fn block(&self, call: Call) -> bool;
}

/// Keeps the call that it served last.
#[derive(Default)]
struct Witness(Mutex<Option<Call>>);

impl Context for Witness {
    async fn facts(&self, call: Call, service: u8) -> String {
        let left = call.remaining().map(|left| left.as_secs());
        format!("{} {:?} {left:?} {service}", call.method(), call.dialect())
    }

    fn until_cancelled(&self, call: Call) -> impl Stream<Item = ()> {
        *self.0.lock().unwrap() = Some(call);
        stream::iter([()]).chain(stream::pending())
    }

    fn block(&self, call: Call) -> bool {
        while !call.is_cancelled() {
            *self.0.lock().unwrap() = Some(call.clone());
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }
}

#[tokio::test]
async fn the_call_is_known_on_a_server_and_in_process() {
    let server = Server::builder().service(ContextService::new(Witness::default()));
    let server = server.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = Client::direct(server.local_addr().to_string(), ClientOptions::default()).unwrap();
    tokio::spawn(server.serve(std::future::pending()));
    let options = || CallOptions::default().timeout(Duration::from_millis(70_500));
    let remote = ContextClient::new(client).with(options());
    assert_eq!(remote.facts(7).await.unwrap(), "facts Extended Some(70) 7");
    let local = ContextClient::in_process(Witness::default());
    assert_eq!(local.with(options()).facts(None).await.unwrap(), "facts InProcess Some(70) 0");
    assert_eq!(local.facts(None).await.unwrap(), "facts InProcess None 0");
}

#[tokio::test]
async fn a_call_in_process_is_cancelled_when_nobody_waits_for_it() {
    let witness = Arc::new(Witness::default());
    let local = ContextClient::in_process(Arc::clone(&witness));
    let seen = || witness.0.lock().unwrap().clone();
    let mut items = local.until_cancelled().await.unwrap();
    assert!(matches!(items.next().await, Some(Ok(()))));
    let call = seen().unwrap();
    assert!(!call.is_cancelled());
    drop(items);
    assert!(call.is_cancelled());

    *witness.0.lock().unwrap() = None;
    let blocked = tokio::spawn(async move { local.block().await });
    let call = loop {
        match seen() {
            Some(call) => break call,
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    };
    assert!(!call.is_cancelled());
    blocked.abort();
    call.cancelled().await;
}

#[tokio::test]
async fn a_typed_client_is_cheap_to_clone_and_says_what_it_calls() {
    let stock = StockClient::in_process(shelf());
    assert!(format!("{:?}", stock.clone()).contains("in process"));
    assert!(format!("{:?}", StockService::new(shelf())).starts_with("StockService"));
}

/// Only the server's side, with its own types only.
mod server_only {
    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[schemars(crate = "rpc_server::schemars")]
    struct Read(u8);

    #[derive(Serialize, JsonSchema)]
    #[schemars(crate = "rpc_server::schemars")]
    struct Written(u8);

    #[rpc_service(name = "doubles", server)]
    trait Doubles {
        async fn new(&self, of: Read) -> Written;
    }

    struct Doubler;

    impl Doubles for Doubler {
        async fn new(&self, of: Read) -> Written {
            Written(of.0 * 2)
        }
    }

    #[tokio::test]
    async fn a_server_needs_no_client() {
        let mut server =
            Server::builder().service(DoublesService::new(Doubler)).in_memory().unwrap();
        let request = br#"{"id":1,"method_name":"new","method_args":[4],"method_kwargs":{}}"#;
        assert_eq!(server.answer(request).await, b"{\"id\":1,\"res\":8}\n");
    }
}
