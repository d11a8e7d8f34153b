//! Logging through `tracing`: to the terminal, to rolling files, and to bounded rings, one per
//! daemon in the process, that `rpc.logs` and `/v1/logs` stream.
//!
//! Writers never block the program: a line is dropped and counted if their queue is full. Untrusted
//! text is written with its control characters escaped; the rings keep it raw.

mod files;
mod format;
mod layer;
mod level;
mod line;
mod ring;
mod show;

use std::path::PathBuf;
use std::sync::Arc;

use rpc_wire::report::Level;
use tracing::{Dispatch, Span};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;

use files::DailyFile;
pub use format::LogFormat;
use layer::{LineLayer, Rings, Sink};
pub use level::{BadLevel, check_level};
pub use ring::{DEFAULT_RING_BYTES, Followed, LogFollower, LogRing};
use ring::{Lost, RingOptions};
pub use show::escape_controls;

/// What is logged and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// A level (`info`) or levels per target (`info,rpc_server=debug`). Default `info`.
    pub level: String,
    /// Format of lines on the terminal and in files. Default text.
    pub format: LogFormat,
    /// Whether lines go to the terminal (stderr). Default true; false for a program that draws
    /// there.
    pub terminal: bool,
    /// Whether daily files are written, readable for their owner only. Default false.
    pub save: bool,
    /// Their directory. Default `logs`.
    pub dir: PathBuf,
    /// Prefix of file names: `PREFIX.2026-11-22.log`. Default `rpcd`.
    pub file_prefix: String,
    /// Files kept. Default 7.
    pub max_files: usize,
    /// Maximum bytes of one file, also of a day that has several. Default 100 MiB.
    pub max_file_bytes: usize,
    /// Lines kept in each daemon's ring. Default 10,000.
    pub max_ring_lines: usize,
    /// Approximate bytes kept in each daemon's ring. Default 16 MiB.
    pub max_ring_bytes: usize,
    /// Lines waiting for the terminal or the file; further ones are dropped. Default 16,384.
    pub max_queued_lines: usize,
    /// Maximum bytes of one line's message and fields; the rest is cut off. Default 16 KiB.
    pub max_line_bytes: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
            terminal: true,
            save: false,
            dir: PathBuf::from("logs"),
            file_prefix: "rpcd".to_owned(),
            max_files: 7,
            max_file_bytes: 100 << 20,
            max_ring_lines: 10_000,
            max_ring_bytes: DEFAULT_RING_BYTES,
            max_queued_lines: 16_384,
            max_line_bytes: 16 * 1024,
        }
    }
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is invalid.
    #[error(transparent)]
    Level(#[from] BadLevel),
    /// The directory for log files cannot be used.
    #[error("cannot write log files in {}: {reason}; choose another directory", dir.display())]
    Files {
        /// The directory.
        dir: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Logging is already set up in this process.
    #[error("logging was set up already in this process")]
    AlreadySetUp,
}

/// Starts logging for the whole process.
///
/// # Errors
/// See [`LogError`].
pub fn init(options: &LogOptions) -> Result<Logging, LogError> {
    let (logging, dispatch) = Logging::build(options)?;
    tracing::dispatcher::set_global_default(dispatch).map_err(|_| LogError::AlreadySetUp)?;
    Ok(logging)
}

/// Running logging. Keep it until the end of main: dropping it writes the queued lines (for about a
/// second at most) and ends the followers of its rings.
#[derive(Debug)]
pub struct Logging {
    rings: Arc<Rings>,
    lost: Lost,
    _writers: Vec<WorkerGuard>,
}

impl Logging {
    /// Logging and its dispatcher, not installed: for tests, with
    /// [`tracing::dispatcher::with_default`].
    ///
    /// # Errors
    /// See [`LogError`].
    pub fn build(options: &LogOptions) -> Result<(Self, Dispatch), LogError> {
        let filter = level::filter(&options.level)?;
        let lost = Lost::default();
        let rings = Arc::new(Rings::new(RingOptions {
            lines: options.max_ring_lines,
            bytes: options.max_ring_bytes,
            level: level::lowest(&filter),
            lost: lost.clone(),
        }));
        let mut writers = Vec::new();
        let mut sinks = Vec::new();
        let mut queued = |writer: NonBlocking, guard: WorkerGuard, colour: bool| {
            lost.watch(writer.error_counter());
            writers.push(guard);
            sinks.push(Sink { writer, colour, format: options.format });
        };
        if options.terminal {
            let (writer, guard) = queue(options, "log-terminal", std::io::stderr());
            queued(writer, guard, show::wants_colour());
        }
        if let Some((writer, guard)) = files(options, &lost)? {
            queued(writer, guard, false);
        }
        let layer = LineLayer::new(Arc::clone(&rings), sinks, options.max_line_bytes, lost.clone());
        let dispatch = Dispatch::new(Registry::default().with(filter).with(layer));
        Ok((Self { rings, lost, _writers: writers }, dispatch))
    }

    /// The ring of the daemon with that name, as in [`daemon_span`]; created on first use.
    pub fn ring(&self, daemon: &str) -> LogRing {
        self.rings.of(daemon)
    }

    /// Lines that the terminal and the files lost.
    pub fn dropped(&self) -> u64 {
        self.lost.total()
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.rings.close();
    }
}

/// A span that names a daemon: events inside it (inside the innermost such span) go to the ring of
/// that name, all others to the ring named `""`.
///
/// Attach it to every task of the daemon (`tracing::Instrument`); a spawned task does not inherit.
pub fn daemon_span(daemon: &str) -> Span {
    // At the highest level, so that no filter separates a daemon from its ring.
    tracing::error_span!(target: layer::DAEMON_TARGET, layer::DAEMON_SPAN, daemon)
}

/// The level of a `tracing` event in the wire format.
pub(crate) fn wire_level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::TRACE => Level::Trace,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::INFO => Level::Info,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::ERROR => Level::Error,
    }
}

fn queue(
    options: &LogOptions,
    thread: &str,
    writer: impl std::io::Write + Send + 'static,
) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(options.max_queued_lines.max(1))
        .thread_name(thread)
        .finish(writer)
}

fn files(
    options: &LogOptions,
    lost: &Lost,
) -> Result<Option<(NonBlocking, WorkerGuard)>, LogError> {
    if !options.save {
        return Ok(None);
    }
    let dir = &options.dir;
    let cannot = |reason: String| LogError::Files { dir: dir.clone(), reason };
    let limits = (options.max_files.max(1), options.max_file_bytes as u64);
    let file = DailyFile::open(dir.clone(), options.file_prefix.clone(), limits, lost.clone())
        .map_err(|error| cannot(error.to_string()))?;
    Ok(Some(queue(options, "log-file", file)))
}

#[cfg(test)]
mod tests;
