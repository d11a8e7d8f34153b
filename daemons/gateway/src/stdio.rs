//! Messages line by line, as a client that starts the gateway as its child speaks with it.

use std::collections::HashMap;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::Gateway;
use crate::audit::Who;
use crate::lines::{Line, Lines};
use crate::listing::Listing;
use crate::message::Id;
use crate::problem::Problem;
use crate::protocol::{Action, Call, Session, Subscription, View};
use crate::reply::{self, Reply};

/// Messages that wait to be written; then what would write more waits, and no more is read.
const QUEUE: usize = 256;
/// Bytes that are written together.
const WRITE_BYTES: usize = 64 << 10;

impl Gateway {
    /// Speaks with one client until `input` ends; then answers everything it was asked, and ends.
    /// Dropped, it ends at once.
    ///
    /// # Errors
    /// `input` cannot be read, or `output` not written.
    pub async fn serve_lines(
        &self,
        input: impl AsyncRead + Unpin,
        output: impl AsyncWrite + Unpin + Send + 'static,
    ) -> io::Result<()> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let mut writing = AbortOnDropHandle::new(tokio::spawn(write(output, receiver)));
        let ended = |written: Result<io::Result<()>, _>| written.unwrap_or(Ok(()));
        let mut talk = Talk {
            gateway: self.clone(),
            who: Who::default(),
            session: Session::default(),
            sender,
            tasks: JoinSet::new(),
            in_flight: HashMap::new(),
            ending: CancellationToken::new(),
        };
        tokio::select! {
            talked = talk.run(input) => talked?,
            // Nobody reads any more.
            written = &mut writing => return ended(written),
        }
        drop(talk);
        ended(writing.await)
    }
}

/// The last message of a request, which ends it.
struct Answer {
    id: Id,
    json: String,
}

struct Talk {
    gateway: Gateway,
    who: Who,
    session: Session,
    sender: mpsc::Sender<String>,
    tasks: JoinSet<Answer>,
    in_flight: HashMap<Id, AbortHandle>,
    /// Subscriptions end.
    ending: CancellationToken,
}

impl Talk {
    async fn run(&mut self, input: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut lines = Lines::new(input, self.gateway.options().max_message_bytes);
        let mut changes = self.gateway.changes();
        let options = self.gateway.options();
        // With more, nobody reads the answers: then no more is read either.
        let most =
            options.max_calls.saturating_add(options.max_subscriptions).saturating_add(QUEUE);
        loop {
            tokio::select! {
                line = lines.next(), if self.tasks.len() < most => match line? {
                    Line::Text(line) => self.message(&line).await,
                    Line::TooLong => {
                        let limit = self.gateway.options().max_message_bytes;
                        let why = format!("message larger than {limit} bytes (max_message_bytes)");
                        let reply = Reply::problem(None, &Problem::invalid_request(why));
                        self.send(reply.json).await;
                    }
                    Line::End => break,
                },
                Some(ended) = self.tasks.join_next() => self.ended(ended).await,
                () = changes.next(), if self.session.is_initialized => {
                    self.send(reply::list_changed(None)).await;
                }
            }
        }
        self.ending.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            self.ended(ended).await;
        }
        Ok(())
    }

    /// What to do with a message.
    fn action(&mut self, line: &[u8], listing: &Listing) -> Action {
        let view = View {
            options: self.gateway.options(),
            tools: &listing.tools,
            note: listing.note.as_deref(),
            may: &|_| true,
            is_public: true,
            tells_legacy: true,
            headers: None,
        };
        self.session.answer(line, &view)
    }

    async fn message(&mut self, line: &[u8]) {
        let listing = self.gateway.listing().await;
        match self.action(line, &listing) {
            Action::Reply(reply) => self.send(reply.json).await,
            Action::Call(call) => {
                self.start(call.id.clone(), |talk| {
                    let (gateway, who, sender) =
                        (talk.gateway.clone(), talk.who.clone(), talk.sender.clone());
                    make(gateway, call, who, sender)
                })
                .await
            }
            Action::Subscribe(subscription) => self.subscribe(subscription).await,
            Action::Cancel(id) => {
                if let Some(task) = self.in_flight.remove(&id) {
                    task.abort();
                }
            }
            Action::Ignore => {}
        }
    }

    async fn subscribe(&mut self, subscription: Subscription) {
        let Some(place) = self.gateway.subscribe() else {
            let limit = self.gateway.options().max_subscriptions;
            let why = format!("{limit} subscriptions are open (max_subscriptions); end one first");
            let reply = Reply::problem(Some(&subscription.id), &Problem::limit(why));
            return self.send(reply.json).await;
        };
        self.start(subscription.id.clone(), |talk| {
            let (gateway, sender) = (talk.gateway.clone(), talk.sender.clone());
            let ending = talk.ending.clone();
            async move {
                tell(&gateway, &subscription, &sender, &ending).await;
                drop(place);
                let json = Reply::end_of_subscription(&subscription.id).json;
                Answer { id: subscription.id, json }
            }
        })
        .await;
    }

    /// Starts what answers a request, unless one of that id is under way.
    async fn start<F>(&mut self, id: Id, answer: impl FnOnce(&Self) -> F)
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        if self.in_flight.contains_key(&id) {
            let problem = Problem::invalid_request("a request with this id is in flight");
            return self.send(Reply::problem(Some(&id), &problem).json).await;
        }
        let task = self.tasks.spawn(answer(self));
        self.in_flight.insert(id, task);
    }

    /// Answers a request. Its id is free before the client can know it is answered.
    async fn ended(&mut self, ended: Result<Answer, tokio::task::JoinError>) {
        match ended {
            // One that was cancelled is removed already, and not answered.
            Ok(Answer { id, json }) => {
                if self.in_flight.remove(&id).is_some() {
                    self.send(json).await;
                }
            }
            // One that panicked has said so.
            Err(_) => self.in_flight.retain(|_, task| !task.is_finished()),
        }
    }

    async fn send(&self, message: String) {
        // The writer has ended only if nobody reads.
        let _ = self.sender.send(message).await;
    }
}

async fn make(gateway: Gateway, call: Box<Call>, who: Who, sender: mpsc::Sender<String>) -> Answer {
    // A client that reads slowly misses some.
    let mut report = |message| drop(sender.try_send(message));
    let json = gateway.call(&call, &who, &mut report).await.json;
    Answer { id: call.id, json }
}

async fn tell(
    gateway: &Gateway,
    subscription: &Subscription,
    sender: &mpsc::Sender<String>,
    ending: &CancellationToken,
) {
    let Subscription { id, list_changed } = subscription;
    let mut changes = gateway.changes();
    let _ = sender.send(reply::acknowledged(id, *list_changed)).await;
    loop {
        tokio::select! {
            () = changes.next(), if *list_changed => {
                let _ = sender.send(reply::list_changed(Some(id))).await;
            }
            () = ending.cancelled() => return,
        }
    }
}

/// Writes each message on a line, those that wait together.
async fn write(
    mut output: impl AsyncWrite + Unpin,
    mut receiver: mpsc::Receiver<String>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    while let Some(first) = receiver.recv().await {
        bytes.extend_from_slice(first.as_bytes());
        bytes.push(b'\n');
        while bytes.len() < WRITE_BYTES
            && let Ok(next) = receiver.try_recv()
        {
            bytes.extend_from_slice(next.as_bytes());
            bytes.push(b'\n');
        }
        output.write_all(&bytes).await?;
        output.flush().await?;
        bytes.clear();
        bytes.shrink_to(WRITE_BYTES);
    }
    Ok(())
}
