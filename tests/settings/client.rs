//! `[client]`: how the programs call, and how they query the registry.

pub(crate) mod console;
pub(crate) mod rpcd;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rpc_tests::eventually::eventually;
use rpc_tests::fakes::{Peer, scripted, scripted_on};
use tokio::io::AsyncReadExt;

/// Replies at once.
const AT_ONCE: Duration = Duration::from_millis(1);
/// Long enough for calls started at the same time to overlap.
const TOGETHER: Duration = Duration::from_millis(150);
/// The error of an overloaded server: the call was not executed.
const OVERLOADED: i64 = -32002;
/// The error of a method that failed.
const FAILED_METHOD: i64 = -32603;

/// A server that accepts connections and sends nothing.
async fn silent() -> Peer {
    scripted(|_, mut socket, _| async move {
        // Until the client closes it.
        while matches!(socket.read(&mut [0; 1024]).await, Ok(1..)) {}
    })
    .await
}

/// When servers were probed, each for the first time after its first connection.
#[derive(Default)]
struct Probed(Mutex<Vec<Instant>>);

impl Probed {
    /// The time between the first two.
    async fn gap_of_the_first_two(&self) -> Duration {
        eventually("two probes", async || self.0.lock().unwrap().len() >= 2).await;
        let at = self.0.lock().unwrap();
        at[1] - at[0]
    }
}

/// Three servers that close the first connection that is used, and send nothing on the others.
async fn closed_at_once() -> ([Peer; 3], Arc<Probed>) {
    let probed = Arc::new(Probed::default());
    let server = async || {
        let (probed, used) = (Arc::clone(&probed), Arc::new(AtomicUsize::new(0)));
        // They come after others in sorted lists.
        scripted_on("127.0.0.2:0", move |_, mut socket, _| {
            let (probed, used) = (Arc::clone(&probed), Arc::clone(&used));
            async move {
                if !matches!(socket.read(&mut [0; 1024]).await, Ok(1..)) {
                    return;
                }
                match used.fetch_add(1, SeqCst) {
                    0 => return,
                    1 => probed.0.lock().unwrap().push(Instant::now()),
                    _ => {}
                }
                while matches!(socket.read(&mut [0; 1024]).await, Ok(1..)) {}
            }
        })
        .await
    };
    ([server().await, server().await, server().await], probed)
}

/// Seconds until the system's keepalive probe on a connection to `server`, which is due after a
/// quarter of `tcp_user_timeout`. `None` if the system does not publish its timers.
fn keepalive_seconds(server: SocketAddr) -> Option<u64> {
    let Ok(table) = std::fs::read_to_string("/proc/net/tcp") else {
        println!("skipped: timers of connections are read from /proc/net/tcp");
        return None;
    };
    let IpAddr::V4(ip) = server.ip() else { panic!("{server} is not in that table") };
    let remote = format!("{:08X}:{:04X}", u32::from(ip).swap_bytes(), server.port());
    let seconds = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Timer 2 is the keepalive timer; it counts hundredths of a second.
        let left = fields.get(5)?.strip_prefix("02:")?;
        (fields.get(2) == Some(&remote.as_str()))
            .then(|| u64::from_str_radix(left, 16).unwrap() / 100)
    });
    Some(seconds.max().unwrap_or(0))
}
