//! A listener in a process without a file left. The limit is the whole process's, so this is one test
//! in a program of its own.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rpc_host::net::{Accepted, listen};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn it_accepts_on_the_file_it_kept_and_otherwise_waits_for_one_without_spinning() {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut listener = listen(any, 16, Duration::from_secs(50)).unwrap();
    let address = listener.local_addr().unwrap();
    let mut peers = Vec::new();
    for _ in 0..6 {
        peers.push(TcpStream::connect(address).await.unwrap());
    }
    let Accepted::Connection(served, _) = listener.accept().await.unwrap() else {
        panic!("there are files")
    };
    let mut taken = take_all_files();

    // Each has the file that was kept, and gives it back.
    for refused in 1..=2 {
        let accepted = timeout(SOON, listener.accept()).await.unwrap().unwrap();
        assert!(matches!(accepted, Accepted::Surplus(..)), "{accepted:?}");
        assert_eq!(listener.failures(), refused);
    }

    // One that is not closed leaves no file for the next.
    let kept = timeout(SOON, listener.accept()).await.unwrap().unwrap();
    let before = listener.failures();
    let some_time = Duration::from_millis(500);
    assert!(timeout(some_time, listener.accept()).await.is_err());
    let attempts = listener.failures() - before;
    assert!((1..=10).contains(&attempts), "{attempts} attempts in {some_time:?}");
    drop(kept);
    let accepted = timeout(SOON, listener.accept()).await.unwrap().unwrap();
    assert!(matches!(accepted, Accepted::Surplus(..)), "{accepted:?}");
    drop(accepted);

    // With files, it is as before.
    drop(served);
    taken.truncate(taken.len() - 4);
    let accepted = timeout(SOON, listener.accept()).await.unwrap().unwrap();
    assert!(matches!(accepted, Accepted::Connection(..)), "{accepted:?}");
}

/// Lowers the limit, so that few files are needed, and opens files until there is none left.
fn take_all_files() -> Vec<File> {
    let limit = Rlimit { current: Some(64), maximum: getrlimit(Resource::Nofile).maximum };
    assert_eq!(setrlimit(Resource::Nofile, limit), Ok(()));
    let files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(files.len() > 8, "there were {} files left", files.len());
    files
}
