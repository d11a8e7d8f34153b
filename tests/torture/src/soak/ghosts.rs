//! Instances that nobody calls, and that fall silent all at once: for these the brake is there.

use std::net::TcpListener;
use std::time::Duration;

use rpc_client::registry::RegistryClient;
use rpc_wire::instance::Instance;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

/// They accept connections and never answer.
pub(super) struct Ghosts {
    silent: watch::Sender<bool>,
    _listeners: Vec<TcpListener>,
    _beating: AbortOnDropHandle<()>,
}

/// How many.
const GHOSTS: usize = 4;

impl Ghosts {
    pub(super) fn appear(registry: RegistryClient) -> anyhow::Result<Self> {
        let (mut instances, mut listeners) = (Vec::new(), Vec::new());
        for _ in 0..GHOSTS {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let mut instance = Instance::new("127.0.0.1", listener.local_addr()?.port());
            instance.protocol = "ghost".to_owned();
            // So that a probe asks them for an answer.
            instance.parameters.insert("wire".to_owned(), rpc_wire::WIRE_VERSION.into());
            instances.push(instance);
            listeners.push(listener);
        }
        let (silent, is_silent) = watch::channel(false);
        let beating = tokio::spawn(async move {
            loop {
                if !*is_silent.borrow() {
                    for instance in &instances {
                        // The registry may be away.
                        let _ = registry.register(instance).await;
                    }
                }
                sleep(Duration::from_millis(500)).await;
            }
        });
        let beating = AbortOnDropHandle::new(beating);
        Ok(Self { silent, _listeners: listeners, _beating: beating })
    }

    pub(super) fn are_silent(&self, silent: bool) {
        self.silent.send_replace(silent);
    }
}
