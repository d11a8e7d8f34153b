//! `[client]`: how calls are made, and the registry is asked.

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
/// Long enough that calls made at the same time are there together.
const TOGETHER: Duration = Duration::from_millis(150);
/// The fault of a server that has too much to do: the call was not executed.
const OVERLOADED: i64 = -32002;

/// A server that takes connections and says nothing.
async fn silent() -> Peer {
    scripted(|_, mut socket, _| async move {
        // Until the client gives it up.
        while matches!(socket.read(&mut [0; 1024]).await, Ok(1..)) {}
    })
    .await
}

/// When servers were asked, each for the first time after its first connection, whether they serve
/// again.
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

/// Three servers that close the first connection that somebody uses, and say nothing on the others.
async fn at_once_closed() -> ([Peer; 3], Arc<Probed>) {
    let probed = Arc::new(Probed::default());
    let server = async || {
        let (probed, used) = (Arc::clone(&probed), Arc::new(AtomicUsize::new(0)));
        // Behind others in lists that are sorted.
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

/// The seconds until the system asks on a connection to `server` whether it is still there: what is
/// left of a quarter of `tcp_user_timeout`. `None` where the system tells nobody.
fn keepalive_seconds(server: SocketAddr) -> Option<u64> {
    let Ok(table) = std::fs::read_to_string("/proc/net/tcp") else {
        println!("skipped: without /proc/net/tcp nobody knows the timers of connections");
        return None;
    };
    let IpAddr::V4(ip) = server.ip() else { panic!("{server} is not in that table") };
    let remote = format!("{:08X}:{:04X}", u32::from(ip).swap_bytes(), server.port());
    let seconds = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Timer 2 is that of a silent connection; it counts hundredths.
        let left = fields.get(5)?.strip_prefix("02:")?;
        (fields.get(2) == Some(&remote.as_str()))
            .then(|| u64::from_str_radix(left, 16).unwrap() / 100)
    });
    Some(seconds.max().unwrap_or(0))
}
