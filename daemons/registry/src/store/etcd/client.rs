//! Requests to a cluster: to the member in use, and to the next ones while that does not answer.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use reqwest::{Response, header};
use serde_json::{Value, json};
use url::Url;

use super::message::{self, KeyValue, Range};
use super::watch::Watch;
use super::{EtcdError, EtcdOptions, Lease, Txn, TxnOutcome};

/// The keys of a page of a long range.
const PAGE: usize = 1000;
/// A longer file has no password.
const MAX_PASSWORD_BYTES: u64 = 4096;

/// A cluster. It keeps connections open to the member in use.
#[derive(Debug)]
pub(crate) struct Etcd {
    http: reqwest::Client,
    options: EtcdOptions,
    members: Vec<Url>,
    in_use: AtomicUsize,
    /// What it gave for user and password.
    token: Mutex<Option<String>>,
}

impl Etcd {
    /// A client of the cluster. Nothing is sent.
    ///
    /// # Errors
    /// An endpoint is not an `http` URL, or there is none.
    pub(crate) fn new(options: EtcdOptions) -> Result<Self, String> {
        let member = |text: &String| {
            let url = Url::parse(text).ok();
            let url = url.filter(|url| url.scheme() == "http" && url.host().is_some());
            url.ok_or_else(|| {
                format!("{text:?} is not the URL of an etcd member; write http://HOST:PORT")
            })
        };
        let members = options.endpoints.iter().map(member).collect::<Result<Vec<_>, _>>()?;
        if members.is_empty() {
            return Err("there are no endpoints; write http://HOST:PORT, …".to_owned());
        }
        // Without no_proxy a proxy of the environment would capture its traffic.
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.request_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(options.request_timeout)
            .build()
            .map_err(|error| error.to_string())?;
        let (in_use, token) = (AtomicUsize::new(0), Mutex::default());
        Ok(Self { http, options, members, in_use, token })
    }

    pub(crate) fn options(&self) -> &EtcdOptions {
        &self.options
    }

    /// Which member is in use: a watch of another one may be silent for ever.
    pub(crate) fn member(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    /// All keys that begin with `prefix`, as of one revision, which is returned, too.
    ///
    /// # Errors
    /// See [`EtcdError`].
    pub(crate) async fn read_all(&self, prefix: &[u8]) -> Result<(Vec<KeyValue>, i64), EtcdError> {
        let end = message::end_of(prefix);
        let (mut all, mut first, mut at) = (Vec::new(), prefix.to_vec(), 0);
        loop {
            let asked = message::range(&first, &end, at, PAGE);
            let page = self.call("/v3/kv/range", &asked, message::read_range).await?;
            let Range { entries, revision, is_cut } = page;
            if at == 0 {
                at = revision;
            }
            let Some(last) = entries.last().filter(|_| is_cut) else {
                all.extend(entries);
                return Ok((all, at));
            };
            if *last.key < *first {
                return Err(EtcdError::BadReply("a range out of order".to_owned()));
            }
            first = last.key.to_vec();
            first.push(0);
            all.extend(entries);
        }
    }

    /// Changes a key if another one, usually the same, is as it should be. After an error it may have done so.
    ///
    /// # Errors
    /// See [`EtcdError`].
    pub(crate) async fn txn(&self, txn: &Txn) -> Result<TxnOutcome, EtcdError> {
        self.call("/v3/kv/txn", &message::txn(txn), message::read_txn).await
    }

    /// A new lease of [`lease_ttl`](EtcdOptions::lease_ttl).
    ///
    /// # Errors
    /// See [`EtcdError`].
    pub(crate) async fn grant(&self) -> Result<Lease, EtcdError> {
        let seconds = self.options.lease_ttl.as_secs().to_string();
        self.call("/v3/lease/grant", &json!({"TTL": seconds}), message::read_lease).await
    }

    /// Has a lease go on for its whole time.
    ///
    /// # Errors
    /// [`EtcdError::LeaseEnded`] if it has; else see [`EtcdError`].
    pub(crate) async fn keep_alive(&self, lease: i64) -> Result<Lease, EtcdError> {
        let asked = json!({"ID": lease.to_string()});
        self.call("/v3/lease/keepalive", &asked, message::read_kept_lease).await
    }

    /// Ends a lease, and deletes its keys.
    ///
    /// # Errors
    /// See [`EtcdError`].
    pub(crate) async fn revoke(&self, lease: i64) -> Result<(), EtcdError> {
        let asked = json!({"ID": lease.to_string()});
        self.call("/v3/lease/revoke", &asked, |_| Ok(())).await
    }

    /// The changes of keys that begin with `prefix`, from a revision on.
    ///
    /// # Errors
    /// See [`EtcdError`]; a revision that is not kept any more is found by the first messages.
    pub(crate) async fn watch(&self, prefix: &[u8], from: i64) -> Result<Watch, EtcdError> {
        let asked = message::watch(prefix, from);
        let timeout = self.options.request_timeout;
        // Only its start has a time: changes may be far apart.
        let asked = &asked;
        let opened = self.at_a_member(|member| async move {
            let opening = self.open(member, "/v3/watch", asked);
            let late = || EtcdError::Unavailable(format!("{member} does not answer"));
            tokio::time::timeout(timeout, opening).await.unwrap_or_else(|_| Err(late()))
        });
        Ok(Watch::new(opened.await?, self.options.max_response_bytes))
    }

    /// The reply to a request, as `read` understands it.
    async fn call<T>(
        &self,
        path: &str,
        asked: &Value,
        read: impl Fn(&[u8]) -> Result<T, EtcdError>,
    ) -> Result<T, EtcdError> {
        let (asked, read) = (&asked, &read);
        self.at_a_member(|member| async move { read(&self.ask(member, path, asked).await?) }).await
    }

    /// Does something with the member in use, and while that does not answer with the others. Each request
    /// may be repeated: a transaction that was done finds that its comparison does not hold any more.
    async fn at_a_member<'a, T, F>(&'a self, ask: impl Fn(&'a Url) -> F) -> Result<T, EtcdError>
    where
        F: Future<Output = Result<T, EtcdError>>,
    {
        let first = self.member();
        let mut failed = None;
        let in_turn = self.members.iter().enumerate().cycle().skip(first);
        for (at, member) in in_turn.take(self.members.len()) {
            let mut outcome = ask(member).await;
            if matches!(outcome, Err(EtcdError::Denied(_))) && self.authenticate(member).await? {
                outcome = ask(member).await;
            }
            match outcome {
                Err(error @ (EtcdError::Unavailable(_) | EtcdError::BadReply(_))) => {
                    failed.get_or_insert(error);
                }
                other => {
                    self.in_use.store(at, Ordering::Relaxed);
                    return other;
                }
            }
        }
        // The next request begins with another one.
        self.in_use.store((first + 1) % self.members.len(), Ordering::Relaxed);
        Err(failed.unwrap_or_else(|| EtcdError::Unavailable("there is none".to_owned())))
    }

    /// Has the user's token made anew; `false` if there is no user.
    async fn authenticate(&self, member: &Url) -> Result<bool, EtcdError> {
        let Some(user) = &self.options.user else { return Ok(false) };
        let password = match &self.options.password_file {
            Some(file) => read_password(file).map_err(EtcdError::Denied)?,
            None => String::new(),
        };
        self.set_token(None);
        let asked = json!({"name": user, "password": password});
        let reply = self.ask(member, "/v3/auth/authenticate", &asked).await?;
        self.set_token(Some(message::read_token(&reply)?));
        Ok(true)
    }

    fn set_token(&self, token: Option<String>) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    async fn ask(&self, member: &Url, path: &str, asked: &Value) -> Result<Bytes, EtcdError> {
        let asking = async {
            let mut response = self.open(member, path, asked).await?;
            let status = response.status();
            let body = read_body(&mut response, self.options.max_response_bytes).await?;
            match status.is_success() {
                true => Ok(body.into()),
                false => Err(message::refusal(status.as_u16(), &body)),
            }
        };
        match tokio::time::timeout(self.options.request_timeout, asking).await {
            Ok(answer) => answer,
            Err(_late) => Err(EtcdError::Unavailable(format!("{member} does not answer"))),
        }
    }

    async fn open(&self, member: &Url, path: &str, asked: &Value) -> Result<Response, EtcdError> {
        let mut url = member.clone();
        url.set_path(path);
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut request = self
            .http
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            // A member that is cut off from the others says so instead of waiting.
            .header("Grpc-Metadata-hasleader", "true")
            .body(asked.to_string());
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        request.send().await.map_err(|error| EtcdError::of(&error, member))
    }
}

/// A whole body, up to a limit.
async fn read_body(response: &mut Response, max_bytes: usize) -> Result<Vec<u8>, EtcdError> {
    let member = response.url().clone();
    let mut body = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| EtcdError::of(&error, &member))?
    {
        if body.len() + chunk.len() > max_bytes {
            return Err(EtcdError::TooLarge(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn read_password(file: &Path) -> Result<String, String> {
    let wrong = |what: String| format!("{}: {what}", file.display());
    let metadata = fs::metadata(file).map_err(|error| wrong(error.to_string()))?;
    if !metadata.is_file() || metadata.len() > MAX_PASSWORD_BYTES {
        return Err(wrong("it is not a file with a password".to_owned()));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(wrong("others can read it; chmod 600".to_owned()));
    }
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A member that gives each request this reply, or none; its URL, and how many requests came.
    async fn member(reply: Option<&'static str>) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    while stream.read(&mut request).await.is_ok_and(|bytes| bytes > 0) {
                        counted.fetch_add(1, Ordering::Relaxed);
                        let Some(reply) = reply else { continue };
                        let head =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", reply.len());
                        stream.write_all(format!("{head}{reply}").as_bytes()).await.unwrap();
                    }
                });
            }
        });
        (url, count)
    }

    fn cluster(endpoints: Vec<String>) -> Etcd {
        let request_timeout = Duration::from_millis(300);
        let options = EtcdOptions {
            endpoints,
            request_timeout,
            max_response_bytes: 1000,
            ..EtcdOptions::default()
        };
        Etcd::new(options).unwrap()
    }

    const EMPTY: &str = r#"{"header":{"revision":"7"}}"#;

    #[tokio::test]
    async fn a_member_that_does_not_answer_or_is_none_is_left_for_the_next_one() {
        for bad in [None, Some("<html>")] {
            let ((bad, asked), (good, _)) = (member(bad).await, member(Some(EMPTY)).await);
            let etcd = cluster(vec![bad, good]);
            assert_eq!(etcd.read_all(b"p/").await.unwrap(), (vec![], 7));
            assert_eq!(etcd.member(), 1);
            let before = asked.load(Ordering::Relaxed);
            etcd.read_all(b"p/").await.unwrap();
            assert_eq!(asked.load(Ordering::Relaxed), before, "it is not asked again");
        }
        let (silent, _) = member(None).await;
        let error = cluster(vec![silent]).read_all(b"p/").await.unwrap_err();
        assert!(matches!(error, EtcdError::Unavailable(_)), "{error}");
    }

    #[tokio::test]
    async fn a_response_that_is_too_long_is_not_read() {
        let long = Box::leak(" ".repeat(2000).into_boxed_str());
        let (url, _) = member(Some(long)).await;
        let error = cluster(vec![url]).read_all(b"p/").await.unwrap_err();
        assert_eq!(error, EtcdError::TooLarge(1000));
    }

    #[test]
    fn an_endpoint_is_an_http_url() {
        for endpoints in [vec![], vec!["127.0.0.1:2379"], vec!["https://h:1"], vec!["http://"]] {
            let endpoints: Vec<_> = endpoints.into_iter().map(str::to_owned).collect();
            assert!(Etcd::new(EtcdOptions { endpoints, ..EtcdOptions::default() }).is_err());
        }
    }
}
