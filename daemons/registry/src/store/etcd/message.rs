//! Requests and responses of etcd's JSON gateway: keys and values in base64, 64-bit integers as text.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::EtcdError;

/// A key with its value, as of the revision that changed it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyValue {
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
    pub(crate) revision: i64,
    /// It ends with a lease.
    pub(crate) is_leased: bool,
}

/// The keys of a range, or the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) entries: Vec<KeyValue>,
    /// The store's, at the time of the reply.
    pub(crate) revision: i64,
    pub(crate) is_cut: bool,
}

/// A lease, and for how many seconds it was granted or goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) id: i64,
    pub(crate) seconds: i64,
}

/// A key with the revision that must have changed it last; 0: it must not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) key: Bytes,
    pub(crate) revision: i64,
}

/// A key with its new value; `None`: it is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Put {
    pub(crate) key: Bytes,
    pub(crate) value: Option<Bytes>,
    /// The key ends with it.
    pub(crate) lease: Option<i64>,
}

/// A change of one key, if another one has the revision that it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Txn {
    pub(crate) compared: Compared,
    pub(crate) put: Put,
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TxnOutcome {
    /// It changed the key, in that revision.
    Done(i64),
    /// It did nothing: this is the compared key now, `None` if there is none; and the store's revision.
    Conflict(Option<KeyValue>, i64),
}

/// A message of a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WatchEvent {
    /// It began.
    Created,
    /// A key was put, in that revision.
    Put(KeyValue),
    /// A key was deleted, in that revision.
    Deleted(Bytes, i64),
    /// There was no change up to that revision.
    Progress(i64),
}

/// The end of the range of all keys that begin with `prefix`.
pub(super) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // All keys from the prefix on.
    vec![0]
}

fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The keys from `first` up to `end` (empty: `first` alone), as of `revision` (0: now), at most so many.
pub(super) fn range(first: &[u8], end: &[u8], revision: i64, limit: usize) -> Value {
    json!({
        "key": encoded(first),
        "range_end": encoded(end),
        "revision": revision.to_string(),
        "limit": limit.to_string(),
    })
}

pub(super) fn txn(txn: &Txn) -> Value {
    let Txn { compared, put } = txn;
    let key = encoded(&put.key);
    let change = match &put.value {
        Some(value) => {
            let lease = put.lease.unwrap_or_default().to_string();
            json!({"request_put": {"key": key, "value": encoded(value), "lease": lease}})
        }
        None => json!({"request_delete_range": {"key": key}}),
    };
    let compared_key = encoded(&compared.key);
    json!({
        "compare": [{
            "key": compared_key,
            "target": "MOD",
            "result": "EQUAL",
            "mod_revision": compared.revision.to_string(),
        }],
        "success": [change],
        "failure": [{"request_range": {"key": compared_key}}],
    })
}

pub(super) fn watch(prefix: &[u8], from_revision: i64) -> Value {
    json!({"create_request": {
        "key": encoded(prefix),
        "range_end": encoded(&end_of(prefix)),
        "start_revision": from_revision.to_string(),
        // Large messages come in pieces.
        "fragment": true,
    }})
}

/// An integer as text; protobuf's JSON also allows a number.
fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Integer<'a> {
        Text(#[serde(borrow)] Cow<'a, str>),
        Number(i64),
    }
    match Integer::deserialize(deserializer)? {
        Integer::Text(text) => text.parse().map_err(serde::de::Error::custom),
        Integer::Number(number) => Ok(number),
    }
}

fn decoded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = Cow::<'_, str>::deserialize(deserializer)?;
    let bytes = STANDARD.decode(text.as_bytes()).map_err(serde::de::Error::custom)?;
    Ok(bytes.into())
}

#[derive(Deserialize, Default)]
struct Header {
    #[serde(default, deserialize_with = "integer")]
    revision: i64,
}

#[derive(Deserialize)]
struct RawKeyValue {
    #[serde(default, deserialize_with = "decoded")]
    key: Bytes,
    #[serde(default, deserialize_with = "decoded")]
    value: Bytes,
    #[serde(default, deserialize_with = "integer")]
    mod_revision: i64,
    #[serde(default, deserialize_with = "integer")]
    lease: i64,
}

impl From<RawKeyValue> for KeyValue {
    fn from(raw: RawKeyValue) -> Self {
        let RawKeyValue { key, value, mod_revision: revision, lease } = raw;
        Self { key, value, revision, is_leased: lease != 0 }
    }
}

#[derive(Deserialize, Default)]
struct RawRange {
    #[serde(default)]
    header: Header,
    #[serde(default)]
    kvs: Vec<RawKeyValue>,
    #[serde(default)]
    more: bool,
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, EtcdError> {
    serde_json::from_slice(body).map_err(|error| EtcdError::BadReply(error.to_string()))
}

pub(super) fn read_range(body: &[u8]) -> Result<Range, EtcdError> {
    let RawRange { header, kvs, more } = read(body)?;
    if header.revision <= 0 {
        return Err(EtcdError::BadReply("it has no revision".to_owned()));
    }
    let entries = kvs.into_iter().map(KeyValue::from).collect();
    Ok(Range { entries, revision: header.revision, is_cut: more })
}

pub(super) fn read_txn(body: &[u8]) -> Result<TxnOutcome, EtcdError> {
    #[derive(Deserialize)]
    struct Reply {
        header: Header,
        #[serde(default)]
        succeeded: bool,
        #[serde(default)]
        responses: Vec<Response>,
    }
    #[derive(Deserialize)]
    struct Response {
        #[serde(default)]
        response_range: Option<RawRange>,
    }
    let Reply { header: Header { revision }, succeeded, responses } = read(body)?;
    if revision <= 0 {
        return Err(EtcdError::BadReply("it has no revision".to_owned()));
    }
    if succeeded {
        return Ok(TxnOutcome::Done(revision));
    }
    let found = responses.into_iter().find_map(|response| response.response_range);
    let found =
        found.ok_or_else(|| EtcdError::BadReply("it says nothing of the key".to_owned()))?;
    Ok(TxnOutcome::Conflict(found.kvs.into_iter().next().map(KeyValue::from), revision))
}

pub(super) fn read_lease(body: &[u8]) -> Result<Lease, EtcdError> {
    #[derive(Deserialize)]
    struct Reply {
        #[serde(rename = "ID", default, deserialize_with = "integer")]
        id: i64,
        #[serde(rename = "TTL", default, deserialize_with = "integer")]
        seconds: i64,
    }
    let Reply { id, seconds } = read(body)?;
    if id == 0 {
        return Err(EtcdError::BadReply("a lease without an ID".to_owned()));
    }
    Ok(Lease { id, seconds })
}

/// The lease that goes on; what has ended has no time left.
pub(super) fn read_kept_lease(body: &[u8]) -> Result<Lease, EtcdError> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        #[serde(borrow, default)]
        result: Option<&'a serde_json::value::RawValue>,
    }
    let Some(result) = read::<Reply<'_>>(body)?.result else { return Err(refusal(200, body)) };
    let lease = read_lease(result.get().as_bytes())?;
    if lease.seconds <= 0 { Err(EtcdError::LeaseEnded) } else { Ok(lease) }
}

pub(super) fn read_token(body: &[u8]) -> Result<String, EtcdError> {
    #[derive(Deserialize)]
    struct Reply {
        token: String,
    }
    Ok(read::<Reply>(body)?.token)
}

/// A line of a watch.
pub(super) fn read_watch(line: &[u8]) -> Result<Vec<WatchEvent>, EtcdError> {
    #[derive(Deserialize)]
    struct Line {
        #[serde(default)]
        result: Option<Answer>,
    }
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        header: Header,
        #[serde(default)]
        created: bool,
        #[serde(default)]
        canceled: bool,
        #[serde(default, deserialize_with = "integer")]
        compact_revision: i64,
        #[serde(default)]
        cancel_reason: String,
        #[serde(default)]
        events: Vec<Event>,
    }
    #[derive(Deserialize)]
    struct Event {
        #[serde(default, rename = "type")]
        kind: String,
        kv: RawKeyValue,
    }
    let Some(answer) = read::<Line>(line)?.result else { return Err(refusal(200, line)) };
    if answer.compact_revision > 0 {
        return Err(EtcdError::Compacted(answer.compact_revision));
    }
    if answer.canceled {
        return Err(classified(0, &answer.cancel_reason));
    }
    let mut events = Vec::with_capacity(answer.events.len() + 1);
    events.extend(answer.created.then_some(WatchEvent::Created));
    events.extend(answer.events.into_iter().map(|Event { kind, kv }| match kind.as_str() {
        "DELETE" => WatchEvent::Deleted(kv.key, kv.mod_revision),
        _ => WatchEvent::Put(kv.into()),
    }));
    if events.is_empty() {
        events.push(WatchEvent::Progress(answer.header.revision));
    }
    Ok(events)
}

/// Text of etcd's in a message is cut to this many characters.
const SHOWN: usize = 200;

/// What a refusal means: a response with that status, or the error in a stream.
pub(super) fn refusal(status: u16, body: &[u8]) -> EtcdError {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(default)]
        error: Option<Value>,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        code: Option<u32>,
    }
    let Ok(Refusal { error, message, code }) = serde_json::from_slice(body) else {
        return match status {
            // Those of a proxy before etcd.
            502..=504 => EtcdError::Unreachable(format!("status {status}")),
            _ => EtcdError::BadReply(format!(
                "status {status}: {}",
                shown(&String::from_utf8_lossy(body))
            )),
        };
    };
    // In a stream the error is an object of its own.
    let inner = error.as_ref().and_then(Value::as_object);
    let code = code.or_else(|| {
        let code = inner.and_then(|inner| inner.get("grpc_code").or_else(|| inner.get("code")));
        u32::try_from(code?.as_u64()?).ok()
    });
    let text = message
        .or_else(|| Some(inner?.get("message")?.as_str()?.to_owned()))
        .or_else(|| error.as_ref().and_then(Value::as_str).map(str::to_owned))
        .unwrap_or_else(|| format!("status {status}"));
    classified(code.unwrap_or_default(), &text)
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

/// By the codes of gRPC, and where those say too little by etcd's own text.
fn classified(code: u32, text: &str) -> EtcdError {
    const DEADLINE_EXCEEDED: u32 = 4;
    const NOT_FOUND: u32 = 5;
    const PERMISSION_DENIED: u32 = 7;
    const RESOURCE_EXHAUSTED: u32 = 8;
    const OUT_OF_RANGE: u32 = 11;
    const UNAVAILABLE: u32 = 14;
    const UNAUTHENTICATED: u32 = 16;
    let shown = || shown(text);
    let says = |words: &str| text.contains(words);
    match code {
        _ if says("no leader") || says("timed out") || says("leader changed") => {
            EtcdError::NoQuorum(shown())
        }
        PERMISSION_DENIED | UNAUTHENTICATED => EtcdError::Denied(shown()),
        NOT_FOUND if says("lease") => EtcdError::LeaseEnded,
        RESOURCE_EXHAUSTED if says("space exceeded") => EtcdError::Full(shown()),
        RESOURCE_EXHAUSTED if says("larger than max") => EtcdError::TooLarge(0),
        OUT_OF_RANGE if says("compacted") => EtcdError::Compacted(0),
        DEADLINE_EXCEEDED | UNAVAILABLE => EtcdError::Unreachable(shown()),
        _ if says("user name") || says("user ID") || says("permission") || says("auth") => {
            EtcdError::Denied(shown())
        }
        _ => EtcdError::Refused(shown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv(key: &str, value: &str, revision: i64) -> KeyValue {
        let (key, value) = (key.as_bytes().to_vec().into(), value.as_bytes().to_vec().into());
        KeyValue { key, value, revision, is_leased: false }
    }

    // Recorded from etcd 3.4.

    #[test]
    fn a_range_has_its_keys_and_the_revision() {
        let body = br#"{"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"3","raft_term":"2"},"kvs":[{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"Yg=="}],"more":true,"count":"2"}"#;
        let range = Range { entries: vec![kv("a", "b", 3)], revision: 3, is_cut: true };
        assert_eq!(read_range(body), Ok(range));
        let none = read_range(br#"{"header":{"revision":"7"}}"#).unwrap();
        assert_eq!((none.entries.len(), none.revision, none.is_cut), (0, 7, false));
        assert!(matches!(read_range(b"{}"), Err(EtcdError::BadReply(_))));
    }

    #[test]
    fn a_transaction_is_done_or_says_what_is_there() {
        let done = br#"{"header":{"revision":"5"},"succeeded":true,"responses":[{"response_put":{"header":{"revision":"5"}}}]}"#;
        assert_eq!(read_txn(done), Ok(TxnOutcome::Done(5)));
        let other = br#"{"header":{"revision":"6"},"responses":[{"response_range":{"header":{"revision":"6"},"kvs":[{"key":"YQ==","mod_revision":"4","value":"Yg=="}],"count":"1"}}]}"#;
        assert_eq!(read_txn(other), Ok(TxnOutcome::Conflict(Some(kv("a", "b", 4)), 6)));
        let gone = br#"{"header":{"revision":"6"},"responses":[{"response_range":{"header":{"revision":"6"}}}]}"#;
        assert_eq!(read_txn(gone), Ok(TxnOutcome::Conflict(None, 6)));
    }

    #[test]
    fn a_watch_tells_puts_deletions_progress_and_why_it_ends() {
        let line = br#"{"result":{"header":{"revision":"9"},"events":[{"kv":{"key":"YQ==","mod_revision":"8","value":"Yg=="}},{"type":"DELETE","kv":{"key":"YQ==","mod_revision":"9"}}]}}"#;
        let deleted = WatchEvent::Deleted(Bytes::from_static(b"a"), 9);
        assert_eq!(read_watch(line), Ok(vec![WatchEvent::Put(kv("a", "b", 8)), deleted]));
        let created = read_watch(br#"{"result":{"header":{"revision":"9"},"created":true}}"#);
        assert_eq!(created, Ok(vec![WatchEvent::Created]));
        let progress = read_watch(br#"{"result":{"header":{"revision":"9"}}}"#);
        assert_eq!(progress, Ok(vec![WatchEvent::Progress(9)]));
        let compacted =
            br#"{"result":{"header":{"revision":"9"},"canceled":true,"compact_revision":"5"}}"#;
        assert_eq!(read_watch(compacted), Err(EtcdError::Compacted(5)));
        let lost = br#"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}}"#;
        assert!(matches!(read_watch(lost), Err(EtcdError::NoQuorum(_))));
    }

    #[test]
    fn a_refusal_is_known_by_what_follows_from_it() {
        let of = |code: u32, text: &str| {
            refusal(
                400,
                json!({"error": text, "message": text, "code": code}).to_string().as_bytes(),
            )
        };
        let denied = [
            (16, "etcdserver: invalid auth token"),
            (7, "etcdserver: permission denied"),
            (3, "etcdserver: authentication failed, invalid user ID or password"),
            (3, "etcdserver: user name is empty"),
        ];
        for (code, text) in denied {
            assert_eq!(of(code, text), EtcdError::Denied(text.to_owned()));
        }
        assert_eq!(of(5, "etcdserver: requested lease not found"), EtcdError::LeaseEnded);
        let compacted = "etcdserver: mvcc: required revision has been compacted";
        assert_eq!(of(11, compacted), EtcdError::Compacted(0));
        assert!(matches!(of(14, "etcdserver: request timed out"), EtcdError::NoQuorum(_)));
        let full = "etcdserver: mvcc: database space exceeded";
        assert_eq!(of(8, full), EtcdError::Full(full.to_owned()));
        assert!(matches!(of(14, "connection refused"), EtcdError::Unreachable(_)));
        assert!(matches!(refusal(502, b"<html>"), EtcdError::Unreachable(_)));
        assert!(matches!(refusal(404, b"404 page not found"), EtcdError::BadReply(_)));
        assert!(matches!(refusal(501, b"<html>"), EtcdError::BadReply(_)), "no proxy says this");
    }

    #[test]
    fn a_lease_has_ended_when_it_has_no_time_left() {
        let kept = read_kept_lease(br#"{"result":{"header":{},"ID":"7587878","TTL":"5"}}"#);
        assert_eq!(kept, Ok(Lease { id: 7_587_878, seconds: 5 }));
        let ended = read_kept_lease(br#"{"result":{"header":{},"ID":"7587878"}}"#);
        assert_eq!(ended, Err(EtcdError::LeaseEnded));
    }

    #[test]
    fn the_end_of_a_prefix_is_the_first_key_after_all_that_begin_with_it() {
        assert_eq!(end_of(b"rpcd/"), b"rpcd0");
        assert_eq!(end_of(b"a\xff"), b"b");
        assert_eq!(end_of(b"\xff"), [0]);
    }

    #[test]
    fn any_bytes_are_a_message_of_etcd_or_an_error() {
        rpc_fuzz::bytes("etcd", |bytes| {
            let _ = read_range(bytes);
            let _ = read_txn(bytes);
            let _ = read_kept_lease(bytes);
            let _ = read_token(bytes);
            let _ = refusal(400, bytes);
            if let Ok(events) = read_watch(bytes) {
                assert!(!events.is_empty() && events.len() <= bytes.len());
            }
        });
    }
}
