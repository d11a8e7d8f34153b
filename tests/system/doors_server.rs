//! Who may do what at a server's process: each role through the programs, tokens that are replaced under
//! load, older programs, and a secret that is nowhere to be seen.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rpc_client::{CallError, Client, ClientOptions, Code, Token};
use rpc_server::security::Role;
use rpc_server::security::secret::{self, ExposeSecret, SecretString};
use rpc_tests::daemon::Daemon;
use rpc_tests::pki::{Authority, Subject};
use rpc_tests::python::{has_python, old_client_results, old_server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::canary::files_below;

/// A folder with a server's tokens and the secrets of clients.
pub(crate) struct Keys {
    folder: tempfile::TempDir,
    lines: Mutex<Vec<String>>,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let keys = Self { folder: tempfile::tempdir().unwrap(), lines: Mutex::default() };
        keys.write();
        keys
    }

    /// A token more, and the file with its secret.
    pub(crate) fn add(&self, name: &str, roles: &[Role], limits: &str) -> (SecretString, PathBuf) {
        let secret = secret::generate();
        self.lines.lock().unwrap().push(format!("{} {limits}", secret::line(name, roles, &secret)));
        self.write();
        let own = self.folder.path().join(name);
        replace(&own, secret.expose_secret());
        (secret, own)
    }

    /// Leaves only the tokens of this name's latest secret.
    fn keep_last_of(&self, name: &str) {
        let mut lines = self.lines.lock().unwrap();
        let last = lines.iter().rposition(|line| line.starts_with(&format!("{name} "))).unwrap();
        *lines = vec![lines[last].clone()];
        drop(lines);
        self.write();
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.folder.path().join("tokens")
    }

    fn write(&self) {
        let lines = self.lines.lock().unwrap().join("\n");
        replace(&self.tokens(), &format!("# tokens\n{lines}\n"));
    }

    async fn server(&self, settings: &[(&str, &str)]) -> (Daemon, SocketAddr) {
        let tokens = self.tokens();
        let tokens = [("SECURITY_TOKENS", path(&tokens)), ("SERVER_ANNOUNCE", "false")];
        Daemon::server_with(&[&tokens, settings].concat(), &[]).await
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// As a careful program replaces a file: at once, and nobody else may read it.
fn replace(path: &Path, text: &str) {
    let next = path.with_extension("next");
    std::fs::write(&next, text).unwrap();
    std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(&next, path).unwrap();
}

/// Runs `rpcd` about that server: exit code, and all that it wrote.
async fn rpcd(settings: &[(&str, &str)], server: SocketAddr, line: &str) -> (i32, String) {
    let port = server.port().to_string();
    let arguments = line.split(' ').chain(["-i", "127.0.0.1", "-p", &port]);
    let mut rpcd = Daemon::rpcd_with(settings, arguments);
    let code = rpcd.exit_code().await;
    (code, rpcd.transcript())
}

async fn http(server: SocketAddr, path: &str, token: Option<&SecretString>) -> String {
    let bearer = token.map(|token| format!("Authorization: Bearer {}\r\n", token.expose_secret()));
    let bearer = bearer.unwrap_or_default();
    let mut stream = TcpStream::connect(server).await.unwrap();
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n{bearer}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn each_command_needs_its_role_and_says_which_is_missing() {
    let keys = Keys::new();
    let caller = keys.add("caller", &[Role::Call], "").1;
    let observer = keys.add("observer", &[Role::Observe], "").1;
    let both = keys.add("both", &[Role::Call, Role::Observe], "").1;
    let elsewhere = keys.add("elsewhere", &[Role::Call, Role::Observe], "services=stock").1;
    let (_server, address) = keys.server(&[]).await;
    for (line, needs) in [
        ("call add 1 2", "call"),
        ("methods", "observe"),
        ("stats", "observe"),
        ("call rpc.discover", "observe"),
        ("logs --no-follow", "observe"),
    ] {
        for (file, has) in [
            (None, ""),
            (Some(&caller), "call"),
            (Some(&observer), "observe"),
            (Some(&both), "call observe"),
            (Some(&elsewhere), ""),
        ] {
            let own = file.map(|file| ("CLIENT_TOKEN_FILE", path(file)));
            let (code, said) = rpcd(own.as_slice(), address, line).await;
            if has.contains(needs) {
                assert_eq!(code, 0, "{line} with {file:?}: {said}");
                continue;
            }
            assert_eq!(code, 1, "{line} with {file:?}: {said}");
            let why = match file {
                None => format!("needs a token with the role {needs}"),
                Some(file) if *file == elsewhere => "limited to other services".to_owned(),
                Some(_) => format!("lacks the role {needs}"),
            };
            assert!(said.contains(&why), "{line} with {file:?}: {said}");
        }
    }
    let secret = std::fs::read_to_string(&both).unwrap();
    let (code, said) = rpcd(&[("TOKEN", &secret)], address, "call rpc.whoami").await;
    assert!(code == 0 && said.contains("both"), "{said}");
}

#[tokio::test]
async fn a_file_that_others_can_read_is_no_token() {
    let keys = Keys::new();
    let (_, own) = keys.add("caller", &[Role::Call], "");
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o604)).unwrap();
    let (_server, address) = keys.server(&[]).await;
    let (code, said) = rpcd(&[("CLIENT_TOKEN_FILE", path(&own))], address, "call add 1 2").await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("chmod o-r"), "{said}");
}

#[tokio::test]
async fn a_token_is_replaced_under_load_without_a_failed_call_and_the_old_one_is_refused_in_2_s() {
    let keys = Keys::new();
    let (old, own) = keys.add("ci", &[Role::Call], "");
    let (_server, address) = keys.server(&[]).await;
    let read = own.clone();
    let token = Token::with_later(old.clone(), move || secret::read(&read).ok());
    let options = ClientOptions { token: Some(token), ..ClientOptions::default() };
    let client = Client::direct(address.to_string(), options).unwrap();
    let (done, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (client, done, calls) = (client.clone(), Arc::clone(&done), Arc::clone(&calls));
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    client.call("add", (1, 2)).await?;
                    calls.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, CallError>(())
            })
        })
        .collect();
    let stale = ClientOptions { token: Some(Token::new(old)), ..ClientOptions::default() };
    let stale = Client::direct(address.to_string(), stale).unwrap();
    assert!(stale.call("add", (1, 2)).await.is_ok());

    // As it should be done: the new one is known first, then shown, then the old one is taken away.
    let (_, _) = keys.add("ci", &[Role::Call], "");
    tokio::time::sleep(Duration::from_secs(2)).await;
    keys.keep_last_of("ci");
    let taken = Instant::now();
    let refused = loop {
        match stale.call("add", (1, 2)).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => break error,
        }
        assert!(taken.elapsed() < Duration::from_secs(10));
    };
    assert!(taken.elapsed() < Duration::from_secs(2), "{:?}", taken.elapsed());
    let CallError::Remote { fault, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(fault.code, Code::Unauthorised);
    let before = calls.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(calls.load(Ordering::Relaxed) > before, "calls go on");
    done.store(true, Ordering::Relaxed);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Ok(()));
    }
}

#[tokio::test]
async fn older_clients_call_a_default_server_and_a_secured_one_as_anonymous_says() {
    if !has_python() {
        return;
    }
    let keys = Keys::new();
    let refused = "needs a token with the role call";
    for (settings, expected) in [
        (&[("SECURITY_ANONYMOUS", "none")][..], refused),
        (&[("SECURITY_ANONYMOUS", "observe")], refused),
        (&[("SECURITY_ANONYMOUS", "call")], "13"),
        (&[("SECURITY_ANONYMOUS", "call"), ANYWHERE_ELSE], refused),
        (&[("SECURITY_ANONYMOUS", "call"), HERE], "13"),
        (&[("SECURITY_AUTH", "warn")], "13"),
    ] {
        let (_server, address) = keys.server(settings).await;
        let said = old_call(address).await;
        assert!(said.contains(expected), "{settings:?}: {said}");
    }
    let (_server, address) = Daemon::server_with(&[("SERVER_ANNOUNCE", "false")], &[]).await;
    assert_eq!(old_call(address).await, "13");
}

/// Networks of older programs.
const HERE: (&str, &str) = ("SECURITY_ANONYMOUS_NETWORKS", "127.0.0.0/8");
const ANYWHERE_ELSE: (&str, &str) = ("SECURITY_ANONYMOUS_NETWORKS", "10.0.0.0/8");

/// What an older client has for a result, which is the text of an error as well.
async fn old_call(server: SocketAddr) -> String {
    let port = server.port().to_string();
    let results = old_client_results(&["--port", &port, "call", "add", "[1, 2]"]).await;
    results.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn an_older_client_is_told_that_a_server_takes_tls_only_and_is_served_beside_tls() {
    if !has_python() {
        return;
    }
    let authority = Authority::new("a");
    let issued = authority.issue("server", &Subject::server(&[]));
    for (require, expected) in [("nothing", "13"), ("tls", "this server takes TLS only")] {
        let settings = [
            ("TLS_CERT", path(&issued.cert)),
            ("TLS_KEY", path(&issued.key)),
            ("TLS_REQUIRE", require),
            ("SERVER_ANNOUNCE", "false"),
        ];
        let (_server, address) = Daemon::server_with(&settings, &[]).await;
        let said = old_call(address).await;
        assert!(said.contains(expected), "{require}: {said}");
    }
}

#[tokio::test]
async fn an_older_server_is_called_with_a_token_set_and_never_sees_it() {
    if !has_python() {
        return;
    }
    let (server, address) = old_server(&[]).await;
    let secret = secret::generate();
    let token = [("TOKEN", secret.expose_secret())];
    let (code, said) = rpcd(&token, address, "call add 1 2").await;
    assert_eq!(code, 0, "{said}");
    assert!(!server.transcript().contains(secret.expose_secret()));
}

#[tokio::test]
async fn a_secret_is_in_no_output_no_log_no_metric_and_no_command_line() {
    let keys = Keys::new();
    let (secret, own) = keys.add("canary", &Role::ALL, "");
    let wrong = secret::generate();
    let (server, address) = keys.server(&[("LOG_LEVEL", "trace")]).await;
    let mut seen = Vec::new();
    for line in [
        "call add 1 2 -v",
        "call nope",
        "call add x y -v",
        "call rpc.whoami --json",
        "methods --json",
        "describe add",
        "stats --json",
        "logs --no-follow",
        "bench add 1 2 --duration 1s",
    ] {
        for set in [
            ("TOKEN", secret.expose_secret()),
            ("CLIENT_TOKEN_FILE", path(&own)),
            ("TOKEN", wrong.expose_secret()),
        ] {
            let settings = [set, ("LOG_LEVEL", "trace"), ("LOG_SAVE", "true")];
            let port = address.port().to_string();
            let arguments = line.split(' ').chain(["-i", "127.0.0.1", "-p", &port]);
            let mut rpcd = Daemon::rpcd_with(&settings, arguments);
            let running = format!("/proc/{}/cmdline", rpcd.pid());
            seen.push(std::fs::read_to_string(running).unwrap_or_default());
            rpcd.exit_code().await;
            seen.push(rpcd.transcript());
            seen.extend(files_below(rpcd.home().path()));
        }
    }
    for token in [None, Some(&secret), Some(&wrong)] {
        for path in ["/metrics", "/openrpc.json", "/healthz", "/nowhere"] {
            seen.push(http(address, path, token).await);
        }
    }
    seen.push(std::fs::read_to_string(format!("/proc/{}/cmdline", server.pid())).unwrap());
    seen.push(server.transcript());
    seen.extend(files_below(server.home().path()));
    assert!(seen.iter().any(|text| text.contains("canary")), "its name is known");
    for text in &seen {
        for secret in [&secret, &wrong] {
            assert!(!text.contains(secret.expose_secret()), "{text}");
        }
    }
}
