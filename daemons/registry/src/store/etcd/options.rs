//! Where an etcd cluster is, and every limit and time of its client.

use std::path::PathBuf;
use std::time::Duration;

use rpc_security::secret::SecretString;

/// An etcd cluster, version 3.4 or later, in which several registries keep what they know.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// The URLs of its members, `https://HOST:PORT`, or all of them `http`; one is used while it answers:
    /// `http://127.0.0.1:2379`.
    pub endpoints: Vec<String>,
    /// What all keys begin with; nothing else may use such keys: `rpcd/`.
    pub prefix: String,
    /// The PEM file with the certificates that sign those of members: none, for those that this machine trusts.
    pub ca: Option<PathBuf>,
    /// The PEM file with the certificate of this registry, where etcd asks for one: none.
    pub cert: Option<PathBuf>,
    /// The PEM file with its private key, which its owner alone may read: none.
    pub key: Option<PathBuf>,
    /// The user, where etcd asks for one: none.
    pub user: Option<String>,
    /// The file that has the user's password, which its owner alone may read: none.
    pub password_file: Option<PathBuf>,
    /// The password, where no file has it: none.
    pub password: Option<SecretString>,
    /// Whether user and password may travel to other machines in plain text: false.
    pub allow_plaintext_password: bool,
    /// Timeout of a request to one member: 2 s.
    pub request_timeout: Duration,
    /// A watch that tells nothing for this long is opened anew, from where it was: 10 s.
    pub watch_timeout: Duration,
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
            ca: None,
            cert: None,
            key: None,
            user: None,
            password_file: None,
            password: None,
            allow_plaintext_password: false,
            request_timeout: Duration::from_secs(2),
            watch_timeout: Duration::from_secs(10),
            lease_ttl: Duration::from_secs(5),
            max_response_bytes: 16 << 20,
        }
    }
}
