//! Scenarios run one after another, round after round, so that changes on the machine affect all of
//! them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::clients::Window;
use crate::measure::Figures;
use crate::pin::{Placement, on_cpu};
use crate::plan::Options;
use crate::process::Server;
use crate::table::{self, Head, Table};
use crate::{place, procfs};

/// A scenario: rows that belong together; the others are compared with the first.
pub struct Scenario<F = Figures> {
    /// Its short name, for `--only`.
    pub key: String,
    /// Its description.
    pub title: String,
    /// Measures every row once.
    pub measure: Box<Measure<F>>,
}

/// Measures every wanted row of a scenario once.
pub type Measure<F> = dyn Fn(&mut Round<'_, F>) -> anyhow::Result<()>;

/// One scenario in one round.
pub struct Round<'a, F = Figures> {
    bench: &'a Bench,
    key: &'a str,
    rows: Vec<(&'static str, Row<F>)>,
}

/// The outcome of a row.
#[derive(Debug)]
pub enum Row<F> {
    /// It was measured.
    Measured(F),
    /// It cannot be measured here, and why.
    Skipped(String),
}

/// What every scenario needs.
pub struct Bench {
    /// How to measure.
    pub options: Options,
    window: Duration,
    placement: Placement,
    rpcd: PathBuf,
    own: PathBuf,
    open_files: u64,
}

/// Measures `scenarios`, prints the table and writes it as JSON; a row's window is `usual_window`
/// long unless an option sets it. Returns whether all succeeded.
///
/// # Errors
/// Nothing could be measured.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is the product")]
pub fn run<F: table::Figures>(
    group: &str,
    scenarios: &[Scenario<F>],
    usual_window: Duration,
    options: Options,
) -> anyhow::Result<bool> {
    let bench = Bench {
        window: options.measure.unwrap_or(usual_window),
        placement: options.pin.placement()?,
        rpcd: place::rpcd()?,
        own: std::env::current_exe()?,
        open_files: raise_open_files()?,
        options,
    };
    let options = &bench.options;
    let wanted = || scenarios.iter().filter(|one| options.wants_scenario(&one.key));
    if wanted().next().is_none() {
        let keys: Vec<_> = scenarios.iter().map(|one| one.key.as_str()).collect();
        bail!("--only names none of the scenarios {}", keys.join(", "));
    }
    let pin = serde_json::to_value(options.pin)?;
    let pin = pin.as_str().unwrap_or_default();
    let mut table = Table::new(Head::new(group, pin, options, bench.window, &bench.rpcd));
    let began = Instant::now();
    for number in 1..=options.runs {
        for scenario in wanted() {
            eprintln!(
                "round {number} of {}, {:.0?}: {}: {}",
                options.runs,
                began.elapsed(),
                scenario.key,
                scenario.title
            );
            let mut round = Round { bench: &bench, key: &scenario.key, rows: Vec::new() };
            let done = (scenario.measure)(&mut round);
            table.add(scenario, round.rows, number);
            if let Err(error) = done {
                eprintln!("failed: {error:#}");
                table.fail(scenario, &format!("{error:#}"));
            }
        }
    }
    println!("{}", table.markdown());
    let file = match &options.json {
        Some(file) => file.clone(),
        None => place::results()?.join(format!("{group}-{pin}.json")),
    };
    std::fs::write(&file, table.json()?).with_context(|| format!("writing {}", file.display()))?;
    eprintln!("written to {}", file.display());
    Ok(!table.has_failures())
}

impl<'a, F> Round<'a, F> {
    /// What every scenario needs.
    pub fn bench(&self) -> &'a Bench {
        self.bench
    }

    /// The row that others are compared with; always measured.
    ///
    /// # Errors
    /// Those of `measure`.
    pub fn baseline(
        &mut self,
        name: &'static str,
        measure: impl FnOnce(&Bench) -> anyhow::Result<F>,
    ) -> anyhow::Result<()> {
        let figures = measure(self.bench).with_context(|| name.to_owned())?;
        self.rows.push((name, Row::Measured(figures)));
        Ok(())
    }

    /// A row, measured if it is selected.
    ///
    /// # Errors
    /// Those of `measure`.
    pub fn row(
        &mut self,
        name: &'static str,
        measure: impl FnOnce(&Bench) -> anyhow::Result<F>,
    ) -> anyhow::Result<()> {
        if self.bench.options.wants_row(self.key, name) {
            self.baseline(name, measure)?;
        }
        Ok(())
    }

    /// A row that cannot be measured here.
    pub fn skip(&mut self, name: &'static str, reason: impl Into<String>) {
        self.rows.push((name, Row::Skipped(reason.into())));
    }
}

impl Bench {
    /// rpcd with these arguments, on a free port of 127.0.0.1, otherwise with default settings.
    ///
    /// # Errors
    /// It does not start.
    pub fn rpcd(&self, arguments: &[&str]) -> anyhow::Result<Server> {
        self.rpcd_on(self.placement.server, arguments)
    }

    fn rpcd_on(&self, cpu: Option<usize>, arguments: &[&str]) -> anyhow::Result<Server> {
        let (command, further) = arguments.split_first().context("a command of rpcd")?;
        let arguments = [&[*command, "-p", "0", "-l", "127.0.0.1"], further].concat();
        Server::start(&self.rpcd, &arguments, b"", cpu)
    }

    /// A server that does not register.
    ///
    /// # Errors
    /// It does not start.
    pub fn server(&self) -> anyhow::Result<Server> {
        self.rpcd(&["serve", "--no-registry"])
    }

    /// A registry for a server under load, on the processor of that load.
    ///
    /// # Errors
    /// It does not start.
    pub fn registry_beside_load(&self) -> anyhow::Result<Server> {
        self.rpcd_on(self.placement.load, &["registry"])
    }

    /// A server that registers at `registry`.
    ///
    /// # Errors
    /// It does not start.
    pub fn registered(&self, registry: &Server) -> anyhow::Result<Server> {
        self.rpcd(&["serve", "--registry", &url(registry)])
    }

    /// The library with a method that computes, registered at `registry`.
    ///
    /// # Errors
    /// It does not start.
    pub fn burning(&self, registry: &Server) -> anyhow::Result<Server> {
        let arguments = ["burn", "--registry", &url(registry)];
        Server::start(&self.own, &arguments, b"", self.placement.server)
    }

    /// The library with many methods or servers: arguments of the benchmark's own `many`.
    ///
    /// # Errors
    /// It does not start.
    pub fn many(&self, arguments: &[&str]) -> anyhow::Result<Server> {
        let arguments = [&["many"], arguments].concat();
        Server::start(&self.own, &arguments, b"", self.placement.server)
    }

    /// `rpcd mcp` before that server, by HTTP.
    ///
    /// # Errors
    /// It does not start.
    pub fn gateway(&self, server: &Server) -> anyhow::Result<Server> {
        let (host, port) = (server.address().ip().to_string(), server.address().port().to_string());
        let arguments = ["mcp", "--listen", "0", "-i", &host, "-p", &port];
        Server::start(&self.rpcd, &arguments, b"", self.placement.server)
    }

    /// rpcd itself.
    pub fn program(&self) -> &Path {
        &self.rpcd
    }

    /// The limit: an echo without a protocol.
    ///
    /// # Errors
    /// It does not start.
    pub fn echo(&self) -> anyhow::Result<Server> {
        Server::start(&self.own, &["raw"], b"", self.placement.server)
    }

    /// The limit inside TLS: an echo without a protocol.
    ///
    /// # Errors
    /// It does not start.
    pub fn echo_in_tls(&self, cert: &str, key: &str) -> anyhow::Result<Server> {
        Server::start(&self.own, &["raw", "--tls", cert, key], b"", self.placement.server)
    }

    /// The limit of HTTP: axum, which echoes.
    ///
    /// # Errors
    /// It does not start.
    pub fn axum(&self) -> anyhow::Result<Server> {
        Server::start(&self.own, &["axum"], b"", self.placement.server)
    }

    /// The limit of requests and replies of different lengths: a socket that replies to every
    /// `request_bytes` with `reply`.
    ///
    /// # Errors
    /// It does not start.
    pub fn canned(&self, request_bytes: usize, reply: &[u8]) -> anyhow::Result<Server> {
        let arguments = ["raw", "--request-bytes", &request_bytes.to_string()];
        Server::start(&self.own, &arguments, reply, self.placement.server)
    }

    /// The limit of notifying many: as [`canned`](Self::canned), but every connection gets the
    /// reply.
    ///
    /// # Errors
    /// It does not start.
    pub fn canned_to_all(&self, request_bytes: usize, reply: &[u8]) -> anyhow::Result<Server> {
        let arguments = ["raw", "--to-all", "--request-bytes", &request_bytes.to_string()];
        Server::start(&self.own, &arguments, reply, self.placement.server)
    }

    /// Runs a load on its processor.
    ///
    /// # Errors
    /// Those of the load.
    pub fn load<T: Send>(
        &self,
        load: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        on_cpu(self.placement.load, load)
    }

    /// The window of a run against `server`.
    pub fn window(&self, server: &Server) -> Window {
        Window { server: server.pid(), warm_up: self.options.warm_up, length: self.window }
    }

    /// The window of a run in which every call leaves a port in TIME_WAIT: short, and only once
    /// enough ports are free, since otherwise the search for a free one would be measured.
    pub fn window_of_reconnecting(&self, server: &Server) -> Window {
        const LONGEST: Duration = Duration::from_millis(800);
        const WARM_UP: Duration = Duration::from_millis(200);
        const WAITING: u64 = 50_000;
        /// Duration of TIME_WAIT.
        const MINUTE: Duration = Duration::from_secs(60);
        let began = Instant::now();
        while procfs::time_wait_sockets() > WAITING && began.elapsed() < MINUTE {
            std::thread::sleep(Duration::from_millis(500));
        }
        let window = self.window(server);
        Window {
            warm_up: window.warm_up.min(WARM_UP),
            length: window.length.min(LONGEST),
            ..window
        }
    }

    /// The limit of open files.
    pub fn open_files(&self) -> u64 {
        self.open_files
    }
}

fn url(registry: &Server) -> String {
    format!("http://{}", registry.address())
}

/// Raises the soft limit to the hard one, for this process and the servers it starts.
fn raise_open_files() -> anyhow::Result<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .context("raising the limit of open files")?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}
