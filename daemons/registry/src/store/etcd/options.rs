//! Where an etcd cluster is, and every limit and time of its client.

use std::path::PathBuf;
use std::time::Duration;

/// An etcd cluster, version 3.4 or later, in which several registries keep what they know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdOptions {
    /// The URLs of its members, `http://HOST:PORT`; one is used while it answers: `http://127.0.0.1:2379`.
    pub endpoints: Vec<String>,
    /// What all keys begin with; nothing else may use such keys: `rpcd/`.
    pub prefix: String,
    /// The user, where etcd asks for one: none.
    pub user: Option<String>,
    /// The file that has the user's password: none.
    pub password_file: Option<PathBuf>,
    /// Timeout of a request to one member: 2 s.
    pub request_timeout: Duration,
    /// The instances of a registry that shows no sign of life for so long are taken over by the others: 5 s.
    /// Whole seconds, 2 s at least.
    pub lease_ttl: Duration,
    /// Bytes of a response, and of one line of a watch: 16 MiB.
    pub max_response_bytes: usize,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        Self {
            endpoints: vec!["http://127.0.0.1:2379".to_owned()],
            prefix: "rpcd/".to_owned(),
            user: None,
            password_file: None,
            request_timeout: Duration::from_secs(2),
            lease_ttl: Duration::from_secs(5),
            max_response_bytes: 16 << 20,
        }
    }
}
