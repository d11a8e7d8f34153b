//! Callers in an open loop, where each call is made when it is due, however the others fare; or in a closed
//! one, where each caller makes its next call when its last has ended.

mod older;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rpc_client::{ArgsError, AttemptLog, Balance, CallError, Client, ClientOptions, Request};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::outcome::{Fate, Method, Outcome, Why};

pub use older::{OLDER_PROGRAMS, OlderCallers, script};

/// Texts of errors of a kind that are kept, for the report of a failure.
const KEPT: usize = 3;
/// How much later than its timeout a call may end.
const GRACE: Duration = Duration::from_secs(20);

/// What all callers of a trial share: the start of time, and ids.
#[derive(Debug)]
pub struct Clock {
    began: Instant,
    next_id: AtomicU64,
}

impl Clock {
    /// It begins now.
    #[expect(clippy::new_without_default, reason = "each begins at another time")]
    pub fn new() -> Self {
        Self { began: Instant::now(), next_id: AtomicU64::new(0) }
    }

    /// Microseconds since the start.
    pub fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    fn at(&self, instant: Instant) -> u64 {
        micros(instant.saturating_duration_since(self.began))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What is called, and how often.
#[derive(Debug, Clone)]
pub struct Load {
    /// The URL of the registry.
    pub registry: String,
    /// When calls are made.
    pub pace: Pace,
    /// The timeout of a call.
    pub timeout: Duration,
    /// What is called, each of these as often.
    pub methods: Vec<Method>,
    /// How many milliseconds those take that take some.
    pub takes: Range<u64>,
    /// A client for each, in turn.
    pub policies: Vec<Balance>,
    /// Whether attempts are noted.
    pub notes_attempts: bool,
}

/// When calls are made.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// So many per second, of all clients.
    Open(f64),
    /// One after the other by each of so many callers.
    Closed(usize),
}

impl Load {
    /// Calls of all kinds by four clients, one for each policy.
    pub fn of_all_kinds(registry: String, rate: f64, timeout: Duration) -> Self {
        use Method::{Look, Put, Run, RunFor};
        let methods = vec![Run, Run, Run, Run, Run, RunFor, Put, Look];
        let policies = Balance::ALL.map(|(_, policy)| policy).to_vec();
        let pace = Pace::Open(rate);
        Self { registry, pace, timeout, methods, takes: 1..20, policies, notes_attempts: false }
    }
}

/// What callers were told.
#[derive(Debug, Default)]
pub struct Called {
    /// Calls that were made.
    pub calls: u64,
    /// Those that have ended, in the order of their ends.
    pub outcomes: Vec<Outcome>,
    /// The attempts of these, where they are noted.
    pub attempts: Vec<Attempt>,
    /// Errors, the first few of each kind, with whether the call may be repeated.
    pub errors: Vec<((Why, bool), String)>,
    /// Retries.
    pub retries: u64,
    /// The most attempts of one call.
    pub most_attempts: usize,
    /// The longest time by which a call was made later than it was due: the machine is too slow.
    pub late: Duration,
}

impl Called {
    /// What these callers were told, and others.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.calls += other.calls;
        self.outcomes.extend(other.outcomes);
        self.attempts.extend(other.attempts);
        self.errors.extend(other.errors);
        self.retries += other.retries;
        self.most_attempts = self.most_attempts.max(other.most_attempts);
        self.late = self.late.max(other.late);
        self
    }

    /// Keeps the text of an error, unless there are enough of its kind.
    fn keep(&mut self, why: Why, method: Method, text: impl FnOnce() -> String) {
        let kind = (why, method.may_repeat());
        if self.errors.iter().filter(|(kept, _)| *kept == kind).count() < KEPT {
            self.errors.push((kind, text()));
        }
    }
}

/// A call was sent to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The port of the instance.
    pub port: u16,
    /// When, in microseconds since the start.
    pub at: u64,
}

/// Callers at work. Dropping them ends them.
#[derive(Debug)]
pub struct Callers {
    stop: CancellationToken,
    issuing: tokio::task::JoinHandle<Issued>,
    calls: TaskTracker,
    clients: Vec<Client>,
    told: Arc<Mutex<Called>>,
    timeout: Duration,
}

#[derive(Debug, Default)]
struct Issued {
    calls: u64,
    late: Duration,
}

impl Callers {
    /// Starts them.
    ///
    /// # Errors
    /// There is no client for the registry.
    pub fn start(load: Load, clock: Arc<Clock>, seed: u64) -> anyhow::Result<Self> {
        let client = |balance: &Balance| {
            let options =
                ClientOptions { timeout: load.timeout, balance: *balance, ..Default::default() };
            Client::through_registry(&load.registry, options)
        };
        let clients: Vec<_> = load.policies.iter().map(client).collect::<Result<_, _>>()?;
        ensure!(!clients.is_empty() && !load.methods.is_empty(), "a load without calls");
        let (stop, calls) = (CancellationToken::new(), TaskTracker::new());
        let told = Arc::new(Mutex::new(Called::default()));
        let timeout = load.timeout;
        let caller = Caller {
            load: Arc::new(load),
            clock,
            told: Arc::clone(&told),
            random: SmallRng::seed_from_u64(seed),
        };
        let issuing = match caller.load.pace {
            Pace::Open(rate) => {
                let issuing = open(caller, rate, clients.clone(), calls.clone(), stop.clone());
                tokio::spawn(issuing)
            }
            Pace::Closed(callers) => {
                let issuing = closed(caller, callers, clients.clone(), stop.clone());
                tokio::spawn(issuing)
            }
        };
        Ok(Self { stop, issuing, calls, clients, told, timeout })
    }

    /// The clients, one for each policy.
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// Calls that have ended since the start, and those of them that failed.
    pub fn so_far(&self) -> (usize, usize) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = told.outcomes.iter().filter(|outcome| outcome.fate != Fate::Ok).count();
        (told.outcomes.len(), failed)
    }

    /// Makes no more calls, and waits until those in flight have ended.
    ///
    /// # Errors
    /// The task that makes them has failed.
    pub async fn end(mut self) -> anyhow::Result<Called> {
        self.stop.cancel();
        let issued = (&mut self.issuing).await.context("making calls")?;
        self.calls.close();
        // Those that have not ended by then are missing in what was told.
        let _ = tokio::time::timeout(self.timeout + GRACE, self.calls.wait()).await;
        let retries = self.clients.iter().map(|client| client.stats().retries).sum();
        for client in &self.clients {
            client.close().await;
        }
        let told = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Called { calls: issued.calls, retries, late: issued.late, ..told })
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.issuing.abort();
    }
}

async fn open(
    mut caller: Caller,
    rate: f64,
    clients: Vec<Client>,
    calls: TaskTracker,
    stop: CancellationToken,
) -> Issued {
    let began = Instant::now();
    let mut issued = Issued::default();
    for client in clients.iter().cycle() {
        let due = began + Duration::from_secs_f64(issued.calls as f64 / rate);
        if due > Instant::now() {
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {}
                () = stop.cancelled() => return issued,
            }
        } else if stop.is_cancelled() {
            break;
        }
        issued.late = issued.late.max(due.elapsed());
        issued.calls += 1;
        calls.spawn(caller.call(client.clone(), due));
    }
    issued
}

async fn closed(
    mut caller: Caller,
    callers: usize,
    clients: Vec<Client>,
    stop: CancellationToken,
) -> Issued {
    let mut calling = JoinSet::new();
    for client in clients.iter().cycle().take(callers) {
        let (mut caller, client, stop) = (caller.split(), client.clone(), stop.clone());
        calling.spawn(async move {
            let mut calls = 0;
            while !stop.is_cancelled() {
                calls += 1;
                caller.call(client.clone(), Instant::now()).await;
            }
            calls
        });
    }
    let mut issued = Issued::default();
    while let Some(calls) = calling.join_next().await {
        issued.calls += calls.unwrap_or(0);
    }
    issued
}

struct Caller {
    load: Arc<Load>,
    clock: Arc<Clock>,
    told: Arc<Mutex<Called>>,
    random: SmallRng,
}

impl Caller {
    /// Another one, whose calls follow from the same seed.
    fn split(&mut self) -> Self {
        Self {
            load: Arc::clone(&self.load),
            clock: Arc::clone(&self.clock),
            told: Arc::clone(&self.told),
            random: SmallRng::seed_from_u64(self.random.random()),
        }
    }

    /// Makes a call, and notes what came of it.
    fn call(&mut self, client: Client, due: Instant) -> impl Future<Output = ()> + use<> {
        let id = self.clock.next_id.fetch_add(1, Ordering::Relaxed);
        let method = self.load.methods.choose(&mut self.random).copied().unwrap_or(Method::Run);
        let request = request(method, id, self.random.random_range(self.load.takes.clone()));
        let (told, clock) = (Arc::clone(&self.told), Arc::clone(&self.clock));
        let (log, notes_attempts) = (AttemptLog::new(), self.load.notes_attempts);
        async move {
            let made = clock.now();
            let reply = match request {
                Ok(request) => client.request(request.attempts(log.clone())).await,
                Err(error) => Err(CallError::BadArguments(error.to_string())),
            };
            let (fate, peer) = match &reply {
                Ok(response) => (Fate::Ok, Some(response.peer.as_str())),
                Err(error) => (Fate::from(error), error.peer()),
            };
            let port = peer.map_or(0, port_of);
            let (due, took) = (clock.at(due), micros(due.elapsed()));
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            told.most_attempts = told.most_attempts.max(log.attempts().len());
            told.outcomes.push(Outcome { id, method, due, took, port, fate });
            if notes_attempts {
                told.attempts.extend(log.attempts().iter().map(|attempt| Attempt {
                    port: port_of(&attempt.instance),
                    at: made + micros(attempt.began),
                }));
            }
            if let (Err(error), Fate::Failed { why, .. }) = (reply, fate) {
                told.keep(why, method, || {
                    let seconds = (due + took) as f64 / 1e6;
                    let mut text = format!("{seconds:.3} s, {} {id}: {error}", method.name());
                    for attempt in log.attempts() {
                        text += &format!("\n    {attempt}");
                    }
                    text
                });
            }
        }
    }
}

/// 0 if there is none.
fn port_of(instance: &str) -> u16 {
    instance.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0)
}

fn request(method: Method, id: u64, milliseconds: u64) -> Result<Request, ArgsError> {
    match method {
        Method::RunFor | Method::LookFor => Request::new(method.name(), (id, milliseconds)),
        Method::Put => Request::new(method.name(), (id,)).map(Request::idempotent),
        Method::Run | Method::Look => Request::new(method.name(), (id,)),
    }
}
