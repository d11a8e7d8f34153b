//! Registries whose instances reply with the port of their registry.

use rpc_tests::fakes::{Do, Peer, extended, failure, result};
use rpc_tests::recording_registry::RecordingRegistry;
use rpc_tests::terminal::Tty;

/// The registry of a program without settings. Nothing listens there.
pub(crate) const DEFAULT_REGISTRY: &str = "127.0.0.1:9999";

/// Each lists one instance, whose replies name the port of its registry.
pub(crate) struct Registries(Vec<(RecordingRegistry, Peer)>);

impl Registries {
    pub(crate) async fn start(number: usize) -> Self {
        let mut registries = Vec::new();
        for _ in 0..number {
            let registry = RecordingRegistry::start().await;
            let port = registry.address().port();
            let peer = extended(move |message| {
                Do::Write(match message["method_name"].as_str() {
                    Some("tick") => result(message, &format!("\"from_{port}\"")),
                    Some("rpc.discover") => {
                        let method = format!(r#"{{"name":"from_{port}","params":[]}}"#);
                        result(message, &format!(r#"{{"methods":[{method}]}}"#))
                    }
                    _ => failure(message, -32601),
                })
            })
            .await;
            registry.list(&[peer.address]);
            registries.push((registry, peer));
        }
        Self(registries)
    }

    /// The port of one registry.
    pub(crate) fn port(&self, at: usize) -> String {
        self.0[at].0.address().port().to_string()
    }

    /// All ports.
    pub(crate) fn ports<const N: usize>(&self) -> [String; N] {
        assert_eq!(self.0.len(), N);
        std::array::from_fn(|at| self.port(at))
    }

    /// How many servers have registered with each.
    pub(crate) fn registered(&self) -> Vec<usize> {
        self.0.iter().map(|(registry, _)| registry.count("register")).collect()
    }

    /// The port of the registry whose instance replied with `text` or is named in it; 9999 if `text`
    /// names the default registry.
    pub(crate) fn named_in(&self, text: &str) -> Option<String> {
        let ours = (0..self.0.len()).find(|at| {
            text.contains(&format!("from_{}", self.port(*at)))
                || text.contains(&self.0[*at].1.address.to_string())
        });
        let default = || text.contains(DEFAULT_REGISTRY).then(|| "9999".to_owned());
        ours.map(|at| self.port(at)).or_else(default)
    }

    /// The same of a console's list of instances.
    pub(crate) fn on_the_screen(&self, tty: &Tty) -> String {
        tty.until_so("an instance, or the default registry", |tty| {
            self.named_in(&tty.screen()).is_some()
        });
        self.named_in(&tty.screen()).unwrap()
    }
}
