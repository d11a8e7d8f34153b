//! Our own client library under load, and a bare tokio socket as its limit. Not rpc-load: these
//! rows are the cost of `call_as`, every result is decoded and checked, and the processor time is
//! that of exactly the measured calls, as with bare sockets.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rpc_client::{Client, ClientOptions, blocking};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;

use super::{Shape, TIMEOUT, Window};
use crate::exchange::Exchange;
use crate::measure::Figures;

/// A caller that makes one call after another.
pub trait Caller: Sized + 'static {
    /// Calls once and checks the result.
    fn call(&mut self) -> impl Future<Output = anyhow::Result<()>>;

    /// Another caller on the same connection; `None` if there cannot be one.
    fn beside(&self) -> Option<Self>;

    /// Closes the connection.
    fn close(self) -> impl Future<Output = ()>;
}

/// Runs callers on one current-thread runtime (so that they use at most one processor) until the
/// window has closed. `connect` makes one caller per connection.
///
/// # Errors
/// A reply is wrong or late, or the server is gone.
pub fn run<C, F>(shape: Shape, window: Window, connect: impl Fn() -> F) -> anyhow::Result<Figures>
where
    C: Caller,
    F: Future<Output = anyhow::Result<C>>,
{
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let limit = window.warm_up + window.length + 3 * TIMEOUT;
    // A timeout can be created inside the runtime only.
    let load = async move {
        timeout(limit, load(shape, window, connect)).await.context("the load does not stop")?
    };
    LocalSet::new().block_on(&runtime, load)
}

async fn load<C, F>(
    shape: Shape,
    window: Window,
    connect: impl Fn() -> F,
) -> anyhow::Result<Figures>
where
    C: Caller,
    F: Future<Output = anyhow::Result<C>>,
{
    if shape.reconnect {
        return reconnecting(window, connect).await;
    }
    let mut callers = Vec::new();
    for _ in 0..shape.connections {
        let mut first = connect().await?;
        // The first call learns the peer's dialect; it counts as connecting.
        first.call().await?;
        for _ in 1..shape.in_flight {
            callers.push(first.beside().context("this client makes one call at a time")?);
        }
        callers.push(first);
    }
    let meter = Rc::new(RefCell::new(window.start()?));
    let mut tasks = JoinSet::new();
    for mut caller in callers {
        let meter = Rc::clone(&meter);
        tasks.spawn_local(async move {
            loop {
                let began = Instant::now();
                caller.call().await?;
                if meter.borrow_mut().done(began, Instant::now())? {
                    return anyhow::Ok(caller);
                }
            }
        });
    }
    // Callers share connections: none is closed before all have stopped.
    let mut done = Vec::new();
    while let Some(caller) = tasks.join_next().await {
        done.push(caller??);
    }
    for caller in done {
        caller.close().await;
    }
    Rc::into_inner(meter).context("a caller has not stopped")?.into_inner().finish()
}

async fn reconnecting<C, F>(window: Window, connect: impl Fn() -> F) -> anyhow::Result<Figures>
where
    C: Caller,
    F: Future<Output = anyhow::Result<C>>,
{
    let mut meter = window.start()?;
    loop {
        let began = Instant::now();
        let mut caller = connect().await?;
        caller.call().await?;
        caller.close().await;
        if meter.done(began, Instant::now())? {
            return meter.finish();
        }
    }
}

/// The blocking façade, one call at a time.
///
/// # Errors
/// A reply is wrong or late, or the server is gone.
pub fn run_blocking(address: SocketAddr, window: Window) -> anyhow::Result<Figures> {
    let client = blocking::Client::direct(address.to_string(), ClientOptions::default())?;
    check(client.call_as("add", (1, 2))?)?;
    let mut meter = window.start()?;
    loop {
        let began = Instant::now();
        check(client.call_as("add", (1, 2))?)?;
        if meter.done(began, Instant::now())? {
            client.close();
            return meter.finish();
        }
    }
}

/// The call that the library makes.
#[derive(Debug, Clone)]
pub enum Call {
    /// `add(1, 2)`, which is 13.
    Add,
    /// `echo(text)`.
    Echo(Rc<str>),
}

/// The client library.
pub struct Library {
    client: Client,
    call: Call,
}

impl Library {
    /// A client of one server.
    ///
    /// # Errors
    /// Never for an address.
    pub fn direct(address: SocketAddr, call: Call) -> anyhow::Result<Self> {
        let client = Client::direct(address.to_string(), ClientOptions::default())?;
        Ok(Self { client, call })
    }

    /// A client of the instances of a registry; returns once there is one.
    ///
    /// # Errors
    /// No instance registers in time.
    pub async fn through_registry(url: &str, call: Call) -> anyhow::Result<Self> {
        let client = Client::through_registry(url, ClientOptions::default())?;
        let deadline = Instant::now() + TIMEOUT;
        while client.instances().is_empty() {
            if Instant::now() > deadline {
                bail!("the registry at {url} lists no server");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { client, call })
    }
}

impl Caller for Library {
    async fn call(&mut self) -> anyhow::Result<()> {
        match &self.call {
            Call::Add => check(self.client.call_as("add", (1, 2)).await?),
            Call::Echo(text) => {
                let reply: String = self.client.call_as("echo", (&**text,)).await?;
                ensure!(*reply == **text, "echo returned {} bytes of another text", reply.len());
                Ok(())
            }
        }
    }

    fn beside(&self) -> Option<Self> {
        Some(Self { client: self.client.clone(), call: self.call.clone() })
    }

    async fn close(self) {
        self.client.close().await;
    }
}

fn check(reply: i64) -> anyhow::Result<()> {
    ensure!(reply == 13, "add(1, 2) returned {reply}");
    Ok(())
}

/// A tokio socket without any protocol: the upper limit of an asynchronous client.
pub struct Socket {
    stream: TcpStream,
    exchange: Exchange,
    buffer: Vec<u8>,
}

impl Socket {
    /// Connects.
    ///
    /// # Errors
    /// The server does not accept it.
    pub async fn connect(address: SocketAddr, exchange: Exchange) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, exchange, buffer: vec![0; 4096] })
    }
}

impl Caller for Socket {
    async fn call(&mut self) -> anyhow::Result<()> {
        self.stream.write_all(&self.exchange.request).await?;
        let reply = &self.exchange.reply;
        let mut position = 0;
        while position < reply.length() {
            let read = self.stream.read(&mut self.buffer).await?;
            ensure!(read > 0, "the server closed the connection");
            ensure!(reply.agrees(position, &self.buffer[..read]), "a wrong reply");
            position += read;
        }
        Ok(())
    }

    fn beside(&self) -> Option<Self> {
        None
    }

    async fn close(self) {}
}
