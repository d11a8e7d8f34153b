//! The entrance of a daemon by TLS: handshakes within bounds, and files that are replaced while it serves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use rpc_security::tls::{ServerTls, TlsError, explain};
use rpc_security::{PeerCertificate, Require, TlsOptions};
use rpc_socket::{HandshakeError, Socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// A handshake that takes longer is given up, and its connection closed.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long, and how much, is read of a peer whose handshake failed: closing at once would reset the connection,
/// and the peer would not learn why.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 64 * 1024;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long before its end a certificate's age is a warning, and how often it is said.
const NOTICE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
const EACH_NOTICE: Duration = Duration::from_secs(24 * 60 * 60);

/// The entrance of a daemon by TLS.
#[derive(Debug)]
pub struct TlsEntrance {
    tls: ServerTls,
    /// Told of when other files hold.
    replaced: watch::Sender<()>,
    handshakes: AtomicU64,
    handshakes_failed: AtomicU64,
}

/// What has happened at an entrance, for metrics.
#[derive(Debug, Clone, Copy)]
pub struct TlsFigures {
    /// Handshakes that were completed.
    pub handshakes: u64,
    /// Handshakes that were not.
    pub handshakes_failed: u64,
    /// When the own certificate expires.
    pub not_after: SystemTime,
}

impl TlsFigures {
    /// When the own certificate expires, in seconds since 1970.
    pub fn not_after_seconds(&self) -> u64 {
        self.not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
    }
}

/// Who has come in.
#[derive(Debug)]
pub struct Entered {
    /// The connection.
    pub socket: Socket,
    /// The certificate that the peer showed, which was verified; `None` where it did not have to show one.
    pub certificate: Option<Arc<PeerCertificate>>,
}

impl TlsEntrance {
    /// Reads the files; `None` without a certificate.
    ///
    /// # Errors
    /// See [`ServerTls::load`].
    pub async fn open(options: TlsOptions) -> Result<Option<Arc<Self>>, TlsError> {
        let loading = tokio::task::spawn_blocking(move || ServerTls::load(&options));
        let loaded = loading.await.unwrap_or_else(|error| Err(TlsError::Setup(error.to_string())));
        let entrance = |tls| {
            let (handshakes, handshakes_failed) = Default::default();
            let replaced = watch::Sender::new(());
            Arc::new(Self { tls, replaced, handshakes, handshakes_failed })
        };
        Ok(loaded?.map(entrance))
    }

    /// Whether plain text is refused.
    pub fn is_only(&self) -> bool {
        self.tls.requires() != Require::Nothing
    }

    /// What has happened so far.
    pub fn figures(&self) -> TlsFigures {
        TlsFigures {
            handshakes: self.handshakes.load(Relaxed),
            handshakes_failed: self.handshakes_failed.load(Relaxed),
            not_after: self.tls.not_after(),
        }
    }

    /// Serves the handshake of a connection of which the `first` bytes were read already. `None`: it failed, which
    /// the peer was told, and is logged.
    pub async fn enter(
        &self,
        stream: TcpStream,
        first: &[u8],
        peer: SocketAddr,
    ) -> Option<Entered> {
        let accepting = rpc_socket::accept(stream, first, self.tls.config());
        let why = match timeout(HANDSHAKE_TIMEOUT, accepting).await {
            Ok(Ok(socket)) => match self.certificate(&socket) {
                Ok(certificate) => {
                    self.handshakes.fetch_add(1, Relaxed);
                    return Some(Entered { socket, certificate });
                }
                Err(why) => format!("its certificate is refused: {why}"),
            },
            Ok(Err(HandshakeError::Tls(error, stream))) => {
                linger(stream).await;
                let explained = explain(&error);
                let about =
                    if explained.is_certificate { "its certificate is refused: " } else { "" };
                format!("{about}{}", explained.text)
            }
            Ok(Err(HandshakeError::Io(error))) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        self.handshakes_failed.fetch_add(1, Relaxed);
        tracing::debug!(%peer, why, "TLS handshake failed");
        None
    }

    fn certificate(&self, socket: &Socket) -> Result<Option<Arc<PeerCertificate>>, String> {
        let Some(chain) = socket.peer_certificates() else { return Ok(None) };
        self.tls.client(&chain, SystemTime::now()).map(Arc::new).map(Some)
    }

    /// Waits until a certificate that was accepted is no more, since it has expired or was revoked, and says why.
    pub async fn until_refused(&self, certificate: &PeerCertificate) -> String {
        let mut replaced = self.replaced.subscribe();
        loop {
            let now = SystemTime::now();
            if let Err(why) = self.tls.accepts(certificate, now) {
                return why;
            }
            let left = certificate.not_after().duration_since(now).unwrap_or_default();
            // The clock of the wall may be set.
            let left = left.clamp(Duration::from_secs(1), Duration::from_secs(60 * 60));
            // Never an error: the sender is borrowed.
            let _ = timeout(left, replaced.changed()).await;
        }
    }

    /// Has files that are replaced hold from then on, and says when the own certificate ends, as long as the daemon
    /// serves.
    pub async fn watch(self: Arc<Self>) {
        let mut next_notice = SystemTime::UNIX_EPOCH;
        loop {
            let now = SystemTime::now();
            let not_after = self.tls.not_after();
            if next_notice <= now && say_when_it_ends(not_after, now) {
                next_notice = notice_after(not_after, now);
            }
            sleep(LOOK).await;
            let entrance = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || entrance.tls.reload()).await {
                Ok(Ok(true)) => {
                    let until = humantime::format_rfc3339_seconds(self.tls.not_after());
                    tracing::info!(%until, "the files for TLS were replaced");
                    self.replaced.send_replace(());
                    next_notice = SystemTime::UNIX_EPOCH;
                }
                Ok(Ok(false)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the new files for TLS are not used; those of before hold on");
                }
                Err(error) => tracing::warn!(%error, "the files for TLS cannot be looked at"),
            }
        }
    }
}

/// When to warn again: once a day, and when the certificate ends, from when on nobody accepts it.
fn notice_after(not_after: SystemTime, now: SystemTime) -> SystemTime {
    let next = now + EACH_NOTICE;
    if not_after > now { next.min(not_after) } else { next }
}

/// Warns of a certificate that ends soon, or has ended.
fn say_when_it_ends(not_after: SystemTime, now: SystemTime) -> bool {
    let until = humantime::format_rfc3339_seconds(not_after);
    match not_after.duration_since(now) {
        Err(_) => {
            tracing::error!(%until, "the certificate has expired: clients refuse it; replace it")
        }
        Ok(left) if left <= NOTICE => {
            let days = left.as_secs() / (24 * 60 * 60);
            tracing::warn!(%until, days, "the certificate expires soon; replace it");
        }
        Ok(_) => return false,
    }
    true
}

async fn linger(mut stream: TcpStream) {
    let discarded = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // The peer has gone, or keeps sending: it may lose what it was told.
    let _ = timeout(LINGER, discarded).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_ends_is_said_once_a_day_and_when_it_ends() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (before, next) in [(EACH_NOTICE * 2, EACH_NOTICE), (EACH_NOTICE / 2, Duration::ZERO)] {
            assert_eq!(notice_after(end, end - before), end - next);
        }
        assert_eq!(notice_after(end, end), end + EACH_NOTICE);
    }
}
