//! Sends a call, and reports its outcome and what it sent and received.

mod attempts;
mod failure;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom;
use rpc_client::{
    AttemptEnd, AttemptLog, CallError, Client, Code, Dialect, ErrorKind, Request, Response, WireLog,
};
use rpc_wire::instance::{Instance, InstanceKey};
use rpc_wire::target::parse_address;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::discovery::Discovery;
use super::own_methods;
use super::secrets::Secrets;
pub(super) use attempts::Attempts;
use failure::failure;
use rpc_console_core::message::{InstanceUpdate, Msg};
use rpc_console_core::model::calls::{
    Attempt, CallId, CallRequest, Failure, MAX_MESSAGE_BYTES, Outcome, Phases, WireMessage,
};
use rpc_console_core::model::instances;
use rpc_console_core::model::json::Document;

/// Interval of reports on how much of a reply has arrived.
const ARRIVALS: Duration = Duration::from_millis(200);
/// Results longer than this, in bytes, are laid out on the blocking pool.
const LARGE: usize = 64 * 1024;
/// The methods of the protocol, which no instance is listed with.
const RESERVED: &str = "rpc.";
/// A call that is dropped is cancelled at the server; its cancellation is written within this time.
const CANCELLATION: Duration = Duration::from_millis(200);

/// How the cancellation of a call begins, which is a message of its own.
const CANCEL: &str = "{\"cancel\"";

/// The nearest whole number of milliseconds: texts of errors show the time.
fn whole_ms(left: Duration) -> Duration {
    Duration::from_millis(u64::try_from((left.as_micros() + 500) / 1000).unwrap_or(u64::MAX))
}

/// Who can send a call.
pub(super) struct Senders {
    /// The console's own client, which chooses among all instances; `None`: it is for certain ones.
    pub(super) own: Option<Client>,
    /// Clients of the single instances.
    pub(super) single: Vec<(InstanceKey, Client)>,
}

/// Sends a call by the console's own client. Where there is none, or it has nobody to call: to a candidate,
/// and to the next one where it was provably not executed.
pub(super) async fn call(
    mut request: CallRequest,
    mut senders: Senders,
    attempts: Attempts,
    discovery: Discovery,
    inbox: mpsc::Sender<Msg>,
) {
    senders.single.shuffle(&mut rand::rng());
    let start = attempts.began;
    let id = request.id;
    let (args, secrets) = match Secrets::resolve(&request.args) {
        Ok(resolved) => resolved,
        Err(why) => {
            let outcome = not_sent(&why);
            return drop(inbox.send(Msg::CallEnded(id, Box::new(outcome))).await);
        }
    };
    // From here on the request is as it is sent; nothing of it is shown.
    request.args = args;
    let is_only = senders.single.len() == 1;
    let mut reason = if is_only { "the only one to call" } else { "chosen at random" };
    let single = senders.single.into_iter().map(|(key, client)| (Some(key), client));
    let mut last = None;
    for (key, client) in senders.own.map(|own| (None, own)).into_iter().chain(single) {
        let left = whole_ms(request.timeout.saturating_sub(start.elapsed()));
        let log = attempts.log(reason, &secrets);
        let mut recording = Recording::new(id, &log, &secrets, &inbox);
        let reply = once(&request, &secrets, &client, left, &mut recording).await;
        recording.finish().await;
        let called = log.attempts();
        if !request.method.starts_with(RESERVED) {
            // They were listed with another version's methods.
            for key in called.iter().filter(|attempt| is_unknown(attempt)).filter_map(key_of) {
                tokio::spawn(own_methods::correct(key, discovery.clone(), inbox.clone()));
            }
        }
        if let Some(json_rpc) = speaks_json_rpc(&reply, &client, key.as_ref()) {
            let update = InstanceUpdate::Dialect(instances::Dialect::JsonRpc);
            let _ = inbox.send(Msg::Instance(json_rpc, update)).await;
        }
        match reply {
            Ok(Reply::Value(response)) => {
                let took = start.elapsed();
                let attempts = attempts.list();
                let outcome = replied(id, *response, &secrets, took, attempts, &inbox).await;
                let _ = inbox.send(Msg::CallEnded(id, Box::new(outcome))).await;
                return;
            }
            Ok(Reply::StreamEnded) => {
                let peer = called.last().map(|attempt| attempt.instance.clone());
                let outcome =
                    stream_ended(peer, start.elapsed(), recording.received, attempts.list());
                let _ = inbox.send(Msg::CallEnded(id, Box::new(outcome))).await;
                return;
            }
            Err(error) => {
                // Nothing was executed where the method is unknown.
                let is_unknown = called.last().is_some_and(is_unknown);
                let retry = match key {
                    Some(_) => error.is_not_executed() || is_unknown,
                    None => called.is_empty() && error.kind() != ErrorKind::Timeout,
                };
                if key.is_some() {
                    reason = if is_unknown {
                        "another instance, for the method"
                    } else {
                        "retry on another instance"
                    };
                }
                last = Some((
                    error.peer().map(str::to_owned).or(key.map(|key| key.to_string())),
                    failure(&error, recording.last.as_deref(), &secrets),
                    recording.received,
                ));
                if !retry {
                    break;
                }
            }
        }
    }
    let nobody = || (None, Failure::new("unreachable", "no instance to call"), 0);
    let (peer, failure, reply_bytes) = last.unwrap_or_else(nobody);
    let outcome = Outcome {
        result: Err(failure),
        peer,
        reply_bytes,
        timing: None,
        elapsed: start.elapsed(),
        attempts: attempts.list(),
        classic: false,
    };
    let _ = inbox.send(Msg::CallEnded(id, Box::new(outcome))).await;
}

/// Whether the instance does not have the method.
fn is_unknown(attempt: &rpc_client::Attempt) -> bool {
    matches!(&attempt.end, AttemptEnd::Failed(CallError::Remote { fault, .. })
        if fault.code == Code::MethodNotFound)
}

fn key_of(attempt: &rpc_client::Attempt) -> Option<InstanceKey> {
    key_at(&attempt.instance)
}

fn key_at(address: &str) -> Option<InstanceKey> {
    let (host, port) = parse_address(address).ok()?;
    Some(Instance::new(host, port).key())
}

/// The called instance, if it speaks JSON-RPC: no registry tells that. `key`: the client is its own.
fn speaks_json_rpc(
    reply: &Result<Reply, CallError>,
    client: &Client,
    key: Option<&InstanceKey>,
) -> Option<InstanceKey> {
    match (reply, key) {
        (_, Some(key)) => (client.dialect() == Some(Dialect::JsonRpc)).then(|| key.clone()),
        (Ok(Reply::Value(response)), None) if response.dialect == Dialect::JsonRpc => {
            key_at(&response.peer)
        }
        _ => None,
    }
}

/// The outcome of a call that a person cancelled.
pub(super) fn cancelled(attempts: &Attempts) -> Outcome {
    let why = "cancelled; the server may already have executed it";
    Outcome { attempts: attempts.list(), ..without_reply(Failure::new("cancelled", why)) }
}

/// The outcome of a call with a reference that has no value.
fn not_sent(why: &str) -> Outcome {
    without_reply(Failure::new("not sent", format!("not sent: {why}")))
}

fn without_reply(failure: Failure) -> Outcome {
    Outcome {
        result: Err(failure),
        peer: None,
        reply_bytes: 0,
        timing: None,
        elapsed: Duration::ZERO,
        attempts: Vec::new(),
        classic: false,
    }
}

enum Reply {
    Value(Box<Response>),
    StreamEnded,
}

async fn once(
    request: &CallRequest,
    secrets: &Secrets,
    client: &Client,
    left: Duration,
    recording: &mut Recording,
) -> Result<Reply, CallError> {
    let inbox = recording.inbox.clone();
    let bad = |error: rpc_client::ArgsError| CallError::BadArguments(error.to_string());
    let mut call = Request::new(&request.method, request.args.clone()).map_err(bad)?;
    call.service = request.service.name().map(str::to_owned);
    (call.wire, call.attempts) = (Some(recording.wire.clone()), Some(recording.log.clone()));
    if !request.stream {
        call.timeout = Some(left);
        let response = tokio::select! {
            biased;
            response = client.request(call) => response?,
            never = report_arrivals(request.id, client, &inbox) => match never {},
        };
        return Ok(Reply::Value(Box::new(response)));
    }
    let mut items = client.stream_request(call).await?;
    while let Some(item) = items.next().await {
        recording.report().await;
        let item = item?;
        let text = item.value.get();
        let text = secrets.hide_in_json(text).unwrap_or_else(|| text.to_owned());
        if inbox.send(Msg::StreamItem(request.id, text, item.dropped)).await.is_err() {
            break;
        }
    }
    Ok(Reply::StreamEnded)
}

/// Reports how many bytes have arrived from the instance since the call started, once they are many.
/// They include its log and health replies, which are small beside a large result.
async fn report_arrivals(id: CallId, client: &Client, inbox: &mpsc::Sender<Msg>) -> Infallible {
    let before = client.stats().received_bytes;
    let mut reported = LARGE;
    loop {
        tokio::time::sleep(ARRIVALS).await;
        let arrived = client.stats().received_bytes.saturating_sub(before);
        let arrived = usize::try_from(arrived).unwrap_or(usize::MAX);
        if arrived > reported {
            reported = arrived;
            let _ = inbox.send(Msg::Receiving(id, arrived)).await;
        }
    }
}

async fn replied(
    id: CallId,
    response: Response,
    secrets: &Secrets,
    elapsed: Duration,
    attempts: Vec<Attempt>,
    inbox: &mpsc::Sender<Msg>,
) -> Outcome {
    let hidden = secrets.hide_in_json(response.value.get());
    let hidden = hidden.and_then(|json| RawValue::from_string(json).ok());
    let value = hidden.unwrap_or(response.value);
    let document = if value.get().len() > LARGE {
        let _ = inbox.send(Msg::Parsing(id, value.get().len())).await;
        tokio::task::spawn_blocking(move || Document::new(value)).await.unwrap_or_default()
    } else {
        Document::new(value)
    };
    let timing = response.timing;
    Outcome {
        result: Ok(Arc::new(document)),
        peer: Some(response.peer),
        reply_bytes: response.reply_bytes,
        timing: Some(Phases {
            earlier: timing.earlier,
            queue: timing.queue,
            connect: timing.connect,
            server: timing.server,
            transfer: timing.transfer,
        }),
        elapsed,
        attempts,
        classic: response.dialect == Dialect::Classic,
    }
}

fn stream_ended(
    peer: Option<String>,
    elapsed: Duration,
    reply_bytes: usize,
    attempts: Vec<Attempt>,
) -> Outcome {
    Outcome {
        result: Ok(Arc::new(Document::of_text("null"))),
        peer,
        reply_bytes,
        timing: None,
        elapsed,
        attempts,
        classic: false,
    }
}

/// Reports what a call sends and receives by one client.
struct Recording {
    id: CallId,
    wire: WireLog,
    log: AttemptLog,
    secrets: Secrets,
    inbox: mpsc::Sender<Msg>,
    /// Requests sent: one for each attempt that got so far.
    requests: usize,
    /// Bytes received.
    received: usize,
    /// The last message received.
    last: Option<String>,
    finished: bool,
}

impl Recording {
    fn new(id: CallId, log: &AttemptLog, secrets: &Secrets, inbox: &mpsc::Sender<Msg>) -> Self {
        Self {
            id,
            wire: WireLog::new(MAX_MESSAGE_BYTES),
            log: log.clone(),
            secrets: secrets.clone(),
            inbox: inbox.clone(),
            requests: 0,
            received: 0,
            last: None,
            finished: false,
        }
    }

    /// Reports the messages since the last time.
    async fn report(&mut self) {
        let messages = messages(&self.wire, &self.log, &mut self.requests, &self.secrets);
        for message in messages.iter().filter(|message| !message.is_sent) {
            self.received += message.size;
        }
        let last = messages.iter().rev().find(|message| !message.is_sent);
        self.last = last.map(|message| message.text.clone()).or(self.last.take());
        if !messages.is_empty() {
            let _ = self.inbox.send(Msg::Wire(self.id, messages)).await;
        }
    }

    /// Reports the rest: the call is over.
    async fn finish(&mut self) {
        self.report().await;
        self.finished = true;
    }
}

impl Drop for Recording {
    /// A call that is dropped is cancelled at the server: that is sent after the drop.
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.finished {
            return;
        }
        let (id, wire, inbox) = (self.id, self.wire.clone(), self.inbox.clone());
        let (log, mut requests, secrets) = (self.log.clone(), self.requests, self.secrets.clone());
        runtime.spawn(async move {
            tokio::time::sleep(CANCELLATION).await;
            let messages = messages(&wire, &log, &mut requests, &secrets);
            let _ = inbox.send(Msg::Wire(id, messages)).await;
        });
    }
}

/// The messages since the last time, with the instances that `log` has of them; counts the requests.
fn messages(
    wire: &WireLog,
    log: &AttemptLog,
    requests: &mut usize,
    secrets: &Secrets,
) -> Vec<WireMessage> {
    let was_sent = |attempt: &rpc_client::Attempt| {
        !matches!(
            attempt.end,
            AttemptEnd::Failed(CallError::Unreachable { .. } | CallError::Refused { .. })
        )
    };
    let sent = log.attempts().into_iter().filter(was_sent).map(|attempt| attempt.instance);
    let peers: Vec<_> = sent.collect();
    let message = |message: rpc_client::WireMessage| {
        let not_kept = message.size.saturating_sub(message.bytes.len());
        let text = String::from_utf8_lossy(&message.bytes).into_owned();
        let text = secrets.hide_in_message(text);
        let (is_sent, size) = (message.is_sent, message.size);
        *requests += usize::from(is_sent && !text.starts_with(CANCEL));
        let peer = peers.get(requests.saturating_sub(1)).or(peers.last());
        let peer = peer.cloned().unwrap_or_default();
        WireMessage { is_sent, peer, text, size, not_kept }
    };
    wire.take().into_iter().map(message).collect()
}

#[cfg(test)]
mod tests {
    use rpc_client::ClientOptions;
    use rpc_console_core::model::calls::AttemptEnd as End;
    use rpc_console_core::model::service::Service;
    use rpc_tests::reserved_port::ReservedPort;
    use rpc_wire::call::Args;

    use super::*;
    use crate::runtime::direct::Directory;

    #[test]
    fn the_time_left_is_shown_without_nanoseconds() {
        assert_eq!(whole_ms(Duration::from_nanos(9_999_999_534)), Duration::from_secs(10));
        assert_eq!(whole_ms(Duration::from_nanos(1_499_400)), Duration::from_millis(1));
    }

    /// The outcome of a call of `add` at instances that refuse the connection.
    async fn refused(instances: usize) -> Outcome {
        let ports = (0..instances).map(|_| ReservedPort::new()).collect::<Vec<_>>();
        let key = |port: &ReservedPort| Instance::new("127.0.0.1", port.number()).key();
        let candidates: Vec<_> = ports.iter().map(key).collect();
        let options = ClientOptions::default();
        let client =
            |key: &InstanceKey| (key.clone(), Directory::default().client(key, &options).unwrap());
        let senders = Senders { own: None, single: candidates.iter().map(client).collect() };
        let request = CallRequest {
            id: 1,
            service: Service::default(),
            method: "add".to_owned(),
            args: Args::none(),
            written: Args::none(),
            candidates,
            timeout: Duration::from_secs(5),
            stream: false,
        };
        let (inbox, mut messages) = mpsc::channel(64);
        call(
            request,
            senders,
            Attempts::new(),
            Discovery::new(&options, Directory::default()),
            inbox,
        )
        .await;
        loop {
            if let Msg::CallEnded(_, outcome) = messages.recv().await.unwrap() {
                return *outcome;
            }
        }
    }

    #[tokio::test]
    async fn a_call_that_fails_says_where_it_went_and_why() {
        for (instances, reasons) in [
            (1, &["the only one to call"][..]),
            (3, &["chosen at random", "retry on another instance", "retry on another instance"]),
        ] {
            let outcome = refused(instances).await;
            let said = outcome.attempts.iter().map(|attempt| attempt.reason.as_str());
            assert_eq!(said.collect::<Vec<_>>(), reasons);
            for (before, attempt) in
                [None].into_iter().chain(outcome.attempts.iter().map(Some)).zip(&outcome.attempts)
            {
                assert!(before.is_none_or(|before| before.began < attempt.began), "{attempt:?}");
                let End::Failed(why) = &attempt.end else { panic!("{attempt:?}") };
                assert!(why.contains(&attempt.instance) && attempt.took.is_some(), "{attempt:?}");
            }
        }
    }
}
