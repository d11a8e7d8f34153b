//! Messages line by line, as a client that starts the gateway as its child speaks with it.

use std::collections::HashMap;
use std::io;

use rpc_client::Args;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::audit::Who;
use crate::lines::{Line, Lines};
use crate::listing::Listing;
use crate::message::Id;
use crate::output::{Output, Room, Unwritten, queue};
use crate::problem::Problem;
use crate::protocol::{Action, Call, Session, Subscription, View};
use crate::reply::{self, Reply};
use crate::{Gateway, GatewayOptions};

/// Requests that may wait for others to be answered, beside those that are under way.
const WAITING: usize = 256;

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
        let GatewayOptions { max_unwritten_bytes: most, max_message_bytes, .. } = *self.options();
        let (sender, writing) = queue(most);
        let mut writing = AbortOnDropHandle::new(tokio::spawn(writing.write(output)));
        let ended = |written: Result<io::Result<()>, _>| written.unwrap_or(Ok(()));
        let mut talk = Talk {
            gateway: self.clone(),
            who: Who::default(),
            session: Session::default(),
            output: sender,
            requests: Room::new(most.max(max_message_bytes)),
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
    message: Unwritten,
}

struct Talk {
    gateway: Gateway,
    who: Who,
    session: Session,
    output: Output,
    /// For what is read and not answered.
    requests: Room,
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
        let longest = options.max_message_bytes;
        // With more, nobody reads the answers: then no more is read either.
        let most =
            options.max_calls.saturating_add(options.max_subscriptions).saturating_add(WAITING);
        loop {
            tokio::select! {
                line = lines.next(), if self.tasks.len() < most && self.requests.has(longest) => match line? {
                    Line::Text(line) => self.message(&line).await,
                    Line::TooLong => {
                        let limit = self.gateway.options().max_message_bytes;
                        let why = format!("message larger than {limit} bytes (max_message_bytes)");
                        let reply = Reply::problem(None, &Problem::invalid_request(why));
                        self.send(reply.json).await;
                    }
                    Line::End => break,
                },
                Some(ended) = self.tasks.join_next() => self.ended(ended),
                () = changes.next(), if self.session.is_initialized => {
                    self.send(reply::list_changed(None)).await;
                }
            }
        }
        self.ending.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            self.ended(ended);
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
            Action::List(list) => self.send(list.text()).await,
            Action::Call(call) => {
                self.start(call.id.clone(), line.len(), |talk| {
                    make(talk.gateway.clone(), call, talk.who.clone(), talk.output.clone())
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
        self.start(subscription.id.clone(), 0, |talk| {
            let (gateway, output) = (talk.gateway.clone(), talk.output.clone());
            let ending = talk.ending.clone();
            async move {
                tell(&gateway, &subscription, &output, &ending).await;
                drop(place);
                let end = Reply::end_of_subscription(&subscription.id).json;
                let message = output.with_room(end).await;
                Answer { id: subscription.id, message }
            }
        })
        .await;
    }

    /// Starts what answers a request, unless one of that id is under way.
    async fn start<F>(&mut self, id: Id, bytes: usize, answer: impl FnOnce(&Self) -> F)
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        if self.in_flight.contains_key(&id) {
            let problem = Problem::invalid_request("a request with this id is in flight");
            return self.send(Reply::problem(Some(&id), &problem).json).await;
        }
        let held = self.requests.try_take(bytes);
        let answer = answer(self);
        let task = self.tasks.spawn(async move {
            let _held = held;
            answer.await
        });
        self.in_flight.insert(id, task);
    }

    /// Answers a request. Its id is free before the client can know it is answered.
    fn ended(&mut self, ended: Result<Answer, tokio::task::JoinError>) {
        match ended {
            // One that was cancelled is removed already, and not answered.
            Ok(Answer { id, message }) => {
                if self.in_flight.remove(&id).is_some() {
                    self.output.send_held(message);
                }
            }
            // One that panicked has said so.
            Err(_) => self.in_flight.retain(|_, task| !task.is_finished()),
        }
    }

    async fn send(&self, message: String) {
        self.output.send(message).await;
    }
}

async fn make(gateway: Gateway, mut call: Box<Call>, who: Who, output: Output) -> Answer {
    let held = output.room_for_result(gateway.options().max_result_bytes).await;
    // A client that reads slowly misses some.
    let mut report = |message| output.try_send(message);
    let outcome = gateway.call(&call, &who, &mut report).await;
    call.arguments = Args::none();
    Answer { id: call.id.clone(), message: Unwritten::result(call, outcome, held) }
}

async fn tell(
    gateway: &Gateway,
    subscription: &Subscription,
    output: &Output,
    ending: &CancellationToken,
) {
    let Subscription { id, list_changed } = subscription;
    let mut changes = gateway.changes();
    output.send(reply::acknowledged(id, *list_changed)).await;
    loop {
        tokio::select! {
            () = changes.next(), if *list_changed => {
                output.send(reply::list_changed(Some(id))).await;
            }
            () = ending.cancelled() => return,
        }
    }
}
