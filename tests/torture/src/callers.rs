//! Callers in an open loop: each call is made when it is due, however the others fare.

mod older;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rpc_client::{ArgsError, AttemptLog, Balance, CallError, Client, ClientOptions, Request};
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
    /// Calls per second, of all clients.
    pub rate: f64,
    /// The timeout of a call.
    pub timeout: Duration,
    /// What is called, each of these as often.
    pub methods: Vec<Method>,
    /// A client for each, in turn.
    pub policies: Vec<Balance>,
}

impl Load {
    /// Calls of all kinds by four clients, one for each policy.
    pub fn of_all_kinds(registry: String, rate: f64, timeout: Duration) -> Self {
        use Method::{Look, Put, Run, RunFor};
        let methods = vec![Run, Run, Run, Run, Run, RunFor, Put, Look];
        let policies = Balance::ALL.map(|(_, policy)| policy).to_vec();
        Self { registry, rate, timeout, methods, policies }
    }
}

/// What callers were told.
#[derive(Debug, Default)]
pub struct Called {
    /// Calls that were made.
    pub calls: u64,
    /// Those that have ended, in the order of their ends.
    pub outcomes: Vec<Outcome>,
    /// Errors, the first few of each kind.
    pub errors: Vec<(Why, String)>,
    /// Retries.
    pub retries: u64,
    /// The longest time by which a call was made later than it was due: the machine is too slow.
    pub late: Duration,
}

impl Called {
    /// Keeps the text of an error, unless there are enough of its kind.
    fn keep(&mut self, why: Why, text: impl FnOnce() -> String) {
        if self.errors.iter().filter(|(kept, _)| *kept == why).count() < KEPT {
            self.errors.push((why, text()));
        }
    }
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
        let issuing = Issuing {
            load,
            clock,
            clients: clients.clone(),
            calls: calls.clone(),
            told: Arc::clone(&told),
            random: SmallRng::seed_from_u64(seed),
        };
        let issuing = tokio::spawn(issuing.run(stop.clone()));
        Ok(Self { stop, issuing, calls, clients, told, timeout })
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

struct Issuing {
    load: Load,
    clock: Arc<Clock>,
    clients: Vec<Client>,
    calls: TaskTracker,
    told: Arc<Mutex<Called>>,
    random: SmallRng,
}

impl Issuing {
    async fn run(mut self, stop: CancellationToken) -> Issued {
        let began = Instant::now();
        let mut issued = Issued::default();
        for client in self.clients.clone().iter().cycle() {
            let due = began + Duration::from_secs_f64(issued.calls as f64 / self.load.rate);
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
            self.make(client.clone(), due);
        }
        issued
    }

    fn make(&mut self, client: Client, due: Instant) {
        let id = self.clock.next_id.fetch_add(1, Ordering::Relaxed);
        let method = self.load.methods.choose(&mut self.random).copied().unwrap_or(Method::Run);
        let log = AttemptLog::new();
        let request = request(method, id, self.random.random_range(1..20))
            .map(|request| request.attempts(log.clone()));
        let (told, clock) = (Arc::clone(&self.told), Arc::clone(&self.clock));
        self.calls.spawn(async move {
            let reply = match request {
                Ok(request) => client.request(request).await,
                Err(error) => Err(CallError::BadArguments(error.to_string())),
            };
            let (fate, peer) = match &reply {
                Ok(response) => (Fate::Ok, Some(response.peer.as_str())),
                Err(error) => (Fate::from(error), error.peer()),
            };
            let port = peer.and_then(|peer| peer.rsplit_once(':')?.1.parse().ok()).unwrap_or(0);
            let (due, took) = (clock.at(due), micros(due.elapsed()));
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            told.outcomes.push(Outcome { id, method, due, took, port, fate });
            if let (Err(error), Fate::Failed { why, .. }) = (reply, fate) {
                told.keep(why, || {
                    let seconds = (due + took) as f64 / 1e6;
                    let mut text = format!("{seconds:.3} s, {} {id}: {error}", method.name());
                    for attempt in log.attempts() {
                        text += &format!("\n    {attempt}");
                    }
                    text
                });
            }
        });
    }
}

fn request(method: Method, id: u64, milliseconds: u64) -> Result<Request, ArgsError> {
    match method {
        Method::RunFor => Request::new(method.name(), (id, milliseconds)),
        Method::Put => Request::new(method.name(), (id,)).map(Request::idempotent),
        Method::Run | Method::Look => Request::new(method.name(), (id,)),
    }
}
