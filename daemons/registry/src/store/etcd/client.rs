//! Requests to a cluster: to the member in use, and to the next ones while that does not answer.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, header};
use serde_json::{Value, json};
use tokio::sync::watch::Sender;
use url::Url;

use super::access::{self, Access};
use super::checks::{check_password, check_tls};
use super::message::{self, KeyValue, Range};
use super::transport::Transport;
use super::watch::Watch;
use super::{EtcdError, EtcdOptions, Lease, Txn, TxnOutcome};

/// The keys of the first page of a long range.
const FIRST_PAGE: usize = 16;
/// Further keys of a long range are another page's.
const MAX_PAGE: usize = 1000;

/// A cluster. It keeps connections open to the member in use.
#[derive(Debug)]
pub(crate) struct Etcd {
    transport: Transport,
    options: EtcdOptions,
    members: Vec<Url>,
    in_use: Sender<usize>,
    /// The keys of the next page: fewer after one that failed, perhaps since it took too long.
    page: AtomicUsize,
    access: Access,
}

impl Etcd {
    /// A client of the cluster. Nothing is sent.
    ///
    /// # Errors
    /// What in the options does not go together, or cannot be read.
    pub(crate) fn new(options: EtcdOptions) -> Result<Self, String> {
        let member = |text: &String| {
            let url = Url::parse(text).ok();
            let is_one = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
            url.filter(is_one).ok_or_else(|| {
                format!("{text:?} is not the URL of an etcd member; write https://HOST:PORT")
            })
        };
        let members = options.endpoints.iter().map(member).collect::<Result<Vec<_>, _>>()?;
        if members.is_empty() {
            return Err("there are no endpoints; write https://HOST:PORT, …".to_owned());
        }
        check_tls(&options)?;
        check_password(&options, &members)?;
        let transport = Transport::new(&options)?;
        let (in_use, access) = (Sender::new(0), Access::default());
        let page = AtomicUsize::new(FIRST_PAGE);
        Ok(Self { transport, options, members, in_use, page, access })
    }

    /// Reads certificates and keys again, which may be others by now.
    ///
    /// # Errors
    /// They cannot be used: those of before are used on.
    pub(crate) fn reload(&self) -> Result<(), String> {
        self.transport.reload(&self.options)
    }

    pub(crate) fn options(&self) -> &EtcdOptions {
        &self.options
    }

    /// Which member is in use.
    pub(crate) fn member(&self) -> usize {
        *self.in_use.borrow()
    }

    /// Waits until another member is in use: a watch of one that does not answer may be silent for ever.
    pub(crate) async fn is_left(&self, member: usize) {
        // Never `Err`: the sender is here.
        let _ = self.in_use.subscribe().wait_for(|in_use| *in_use != member).await;
    }

    fn is_in_use(&self, at: usize) {
        self.in_use.send_if_modified(|in_use| std::mem::replace(in_use, at) != at);
    }

    /// All keys that begin with `prefix`, as of one revision, which is returned, too. Of those that are not `wanted`
    /// the values are dropped: they may be another program's, of any size.
    ///
    /// # Errors
    /// See [`EtcdError`].
    pub(crate) async fn read_all(
        &self,
        prefix: &[u8],
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<(Vec<KeyValue>, i64), EtcdError> {
        let end = message::end_of(prefix);
        let (mut all, mut first, mut at) = (Vec::new(), prefix.to_vec(), 0);
        loop {
            let keys = self.page.load(Ordering::Relaxed);
            let asked = message::range(&first, &end, at, keys);
            let page = self.call("/v3/kv/range", &asked, message::read_range).await;
            if page.is_err() {
                self.page.store((keys / 2).max(1), Ordering::Relaxed);
            }
            let Range { mut entries, revision, is_cut } = match page {
                Err(EtcdError::TooLarge(_)) if keys > 1 => continue,
                page => page?,
            };
            let bytes: usize = entries.iter().map(|it| it.key.len() + it.value.len()).sum();
            // Twice the keys are far from the limit, also in base64.
            if bytes < self.options.max_response_bytes / 8 {
                self.page.store((keys * 2).min(MAX_PAGE), Ordering::Relaxed);
            }
            if at == 0 {
                at = revision;
            }
            for entry in entries.iter_mut().filter(|entry| !wanted(&entry.key)) {
                entry.value = Bytes::new();
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

    /// What is there of a key, and the revision of the store.
    ///
    /// # Errors
    /// See [`EtcdError`].
    pub(crate) async fn read_one(&self, key: &[u8]) -> Result<(Option<KeyValue>, i64), EtcdError> {
        let asked = message::range(key, &[], 0, 1);
        let Range { entries, revision, .. } =
            self.call("/v3/kv/range", &asked, message::read_range).await?;
        Ok((entries.into_iter().next(), revision))
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
            let opened = tokio::time::timeout(timeout, opening).await;
            opened.unwrap_or_else(|_| Err(late(member))).map(|response| (response, member))
        });
        let (response, member) = opened.await?;
        Ok(Watch::new(response, member.clone(), self.options.max_response_bytes))
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
        let mut failed: Option<EtcdError> = None;
        let in_turn = self.members.iter().enumerate().cycle().skip(first);
        for (at, member) in in_turn.take(self.members.len()) {
            let token = self.access.token();
            let mut outcome = ask(member).await;
            if matches!(outcome, Err(EtcdError::Denied(_))) && self.options.user.is_some() {
                let renewing = self.access.renew(token.as_ref(), || self.authenticate(member));
                outcome = match renewing.await {
                    Ok(()) => ask(member).await,
                    Err(error) => Err(error),
                };
            }
            match outcome {
                Err(error) if error.is_of_one_member() => {
                    failed = Some(match failed {
                        Some(earlier) => earlier.or(error),
                        None => error,
                    });
                }
                other => {
                    self.is_in_use(at);
                    return other;
                }
            }
        }
        // The next request begins with another one.
        self.is_in_use((first + 1) % self.members.len());
        Err(failed.unwrap_or_else(|| EtcdError::Unreachable("there is none".to_owned())))
    }

    /// A token for the user.
    async fn authenticate(&self, member: &Url) -> Result<String, EtcdError> {
        let password = access::password(&self.options)?;
        let asked = json!({"name": self.options.user, "password": password});
        message::read_token(&self.ask(member, "/v3/auth/authenticate", &asked).await?)
    }

    async fn ask(&self, member: &Url, path: &str, asked: &Value) -> Result<Bytes, EtcdError> {
        let asking = async {
            let response = self.open(member, path, asked).await?;
            let status = response.status();
            let body = read_body(response, member, self.options.max_response_bytes).await?;
            match status.is_success() {
                true => Ok(body.into()),
                false => Err(message::refusal(status.as_u16(), &body)),
            }
        };
        match tokio::time::timeout(self.options.request_timeout, asking).await {
            Ok(answer) => answer,
            Err(_late) => Err(late(member)),
        }
    }

    async fn open(
        &self,
        member: &Url,
        path: &str,
        asked: &Value,
    ) -> Result<Response<Incoming>, EtcdError> {
        let mut url = member.clone();
        url.set_path(path);
        let mut request = Request::post(url.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            // A member that is cut off from the others says so instead of waiting.
            .header("Grpc-Metadata-hasleader", "true");
        if let Some(token) = self.access.token() {
            request = request.header(header::AUTHORIZATION, token.as_str());
        }
        let request = request.body(Full::from(asked.to_string()));
        let request = request.map_err(|error| EtcdError::BadReply(error.to_string()))?;
        self.transport.send(request, member).await
    }
}

fn late(member: &Url) -> EtcdError {
    EtcdError::Unreachable(format!("{} does not answer", EtcdError::name_of(member)))
}

/// A whole body, up to a limit.
async fn read_body(
    response: Response<Incoming>,
    member: &Url,
    max_bytes: usize,
) -> Result<Vec<u8>, EtcdError> {
    let mut incoming = response.into_body();
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| EtcdError::of(&error, member))?;
        let Ok(chunk) = frame.into_data() else { continue };
        if body.len() + chunk.len() > max_bytes {
            return Err(EtcdError::TooLarge(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
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
            assert_eq!(etcd.read_all(b"p/", |_| true).await.unwrap(), (vec![], 7));
            assert_eq!(etcd.member(), 1);
            let before = asked.load(Ordering::Relaxed);
            etcd.read_all(b"p/", |_| true).await.unwrap();
            assert_eq!(asked.load(Ordering::Relaxed), before, "it is not asked again");
        }
        let (silent, _) = member(None).await;
        let error = cluster(vec![silent]).read_all(b"p/", |_| true).await.unwrap_err();
        assert!(matches!(error, EtcdError::Unreachable(_)), "{error}");
    }

    #[tokio::test]
    async fn a_connection_that_ends_without_a_reply_may_be_one_of_tls() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _request = stream.read(&mut [0; 4096]).await;
            }
        });
        let error = cluster(vec![url]).read_all(b"p/", |_| true).await.unwrap_err();
        assert!(error.to_string().contains("if it speaks TLS, write https"), "{error}");
    }

    #[tokio::test]
    async fn a_response_that_is_too_long_is_not_read() {
        let long = Box::leak(" ".repeat(2000).into_boxed_str());
        let (url, _) = member(Some(long)).await;
        let error = cluster(vec![url]).read_all(b"p/", |_| true).await.unwrap_err();
        assert_eq!(error, EtcdError::TooLarge(1000));
    }

    /// etcd's replies to ranges of so many keys, each with a large value, as far as this client reads them.
    #[tokio::test]
    async fn pages_are_small_enough_whatever_another_program_has_written() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = vec![0; 4096];
                    while let Ok(bytes @ 1..) = stream.read(&mut request).await {
                        let text = String::from_utf8_lossy(&request[..bytes]);
                        let (_, body) = text.split_once("\r\n\r\n").unwrap();
                        let asked: Value = serde_json::from_str(body).unwrap();
                        let limit: usize = asked["limit"].as_str().unwrap().parse().unwrap();
                        let key = STANDARD.decode(asked["key"].as_str().unwrap()).unwrap();
                        // p/00 to p/39, of 300 bytes each.
                        let next = match key.len() {
                            ..4 => 0,
                            _ => String::from_utf8_lossy(&key[2..4]).parse::<usize>().unwrap() + 1,
                        };
                        let keys: Vec<_> = (next..40).take(limit).collect();
                        let kv = |at: &usize| {
                            let (key, value) = (format!("p/{at:02}"), "v".repeat(200));
                            json!({"key": STANDARD.encode(key), "value": STANDARD.encode(value), "mod_revision": "1"})
                        };
                        let more = next + keys.len() < 40;
                        let kvs: Vec<_> = keys.iter().map(kv).collect();
                        let reply = json!({"header": {"revision": "7"}, "kvs": kvs, "more": more})
                            .to_string();
                        let head =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", reply.len());
                        if stream.write_all(format!("{head}{reply}").as_bytes()).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        // Three of them fit into one response.
        let etcd = cluster(vec![url]);
        let (all, revision) = etcd.read_all(b"p/", |key| key == b"p/07").await.unwrap();
        assert_eq!((all.len(), revision), (40, 7));
        let kept: Vec<_> =
            all.iter().filter(|it| !it.value.is_empty()).map(|it| &it.key[..]).collect();
        assert_eq!(kept, [b"p/07"], "what is not wanted takes no memory");
        assert!(etcd.page.load(Ordering::Relaxed) < 4);
    }

    #[tokio::test]
    async fn however_many_requests_are_refused_one_asks_for_a_token() {
        let access = Access::default();
        let asked = AtomicUsize::new(0);
        let renew = || {
            access.renew(None, async || {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok("marked".to_owned())
            })
        };
        let (one, other, third) = tokio::join!(renew(), renew(), renew());
        assert!(one.is_ok() && other.is_ok() && third.is_ok());
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(access.token().unwrap().as_str(), "marked");
        assert!(!format!("{access:?}").contains("marked"));
    }
}
