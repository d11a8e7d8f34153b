//! What a daemon counts, and the two texts in which monitoring systems read it.
//!
//! In reading order:
//!
//! - [`Counter`], [`Gauge`], [`Seconds`]: numbers that many threads write without a lock;
//!   [`Counters`]: one for each value of a [`Label`].
//! - [`Histogram`]: how long something takes, in the buckets of [`BOUNDS`].
//! - [`Format`]: Prometheus' text format or OpenMetrics, as a reader's `Accept` asks.
//! - [`Page`]: families of samples, written in either.
//!
//! ```
//! use rpc_metrics::{Counter, Format, Page};
//!
//! let heartbeats = Counter::default();
//! heartbeats.inc();
//! let mut page = Page::new(Format::for_accept(["*/*"]));
//! page.counter("heartbeats_total", "Heartbeats received").value(heartbeats.get());
//! assert_eq!(
//!     page.finish(),
//!     "# HELP heartbeats_total Heartbeats received\n# TYPE heartbeats_total counter\nheartbeats_total 1\n"
//! );
//! ```
//!
//! Both formats are written here because no library writes both: `prometheus-client` knows OpenMetrics
//! only, `prometheus` the text format only.
//!
//! Needs Rust 1.95 or later.

mod format;
mod histogram;
mod number;
mod page;

pub use format::Format;
pub use histogram::{BOUNDS, Bound, Buckets, Histogram};
pub use number::{Counter, Counters, Gauge, Label, Seconds};
pub use page::{Family, HistogramFamily, Page, Value};
