//! Messages to a client as JSON, each on one line.

use serde::Serialize;

use crate::era::{Era, ProgressToken};
use crate::message::Id;
use crate::problem::{Problem, Status};

/// How the gateway names itself.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ServerInfo {
    name: &'static str,
    title: &'static str,
    version: &'static str,
}

/// This program.
pub(crate) const SELF: ServerInfo = ServerInfo {
    name: "rpcd",
    title: "Methods of live services",
    version: env!("CARGO_PKG_VERSION"),
};

/// A message, and what it is over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) json: String,
    pub(crate) status: Status,
}

/// What every result of a stateless version has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Complete<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
    #[serde(flatten)]
    rest: T,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<Meta>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Meta {
    #[serde(rename = "io.modelcontextprotocol/serverInfo")]
    server: ServerInfo,
    #[serde(
        rename = "io.modelcontextprotocol/subscriptionId",
        skip_serializing_if = "Option::is_none"
    )]
    subscription: Option<Id>,
}

#[derive(Serialize)]
struct ResultMessage<'a, T> {
    jsonrpc: &'static str,
    id: &'a Id,
    result: T,
}

#[derive(Serialize)]
struct ErrorMessage<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Id>,
    error: &'a Problem,
}

#[derive(Serialize)]
struct Notification<T> {
    jsonrpc: &'static str,
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<T>,
}

const JSONRPC: &str = "2.0";

impl Reply {
    /// The result of a request, with what its era adds.
    pub(crate) fn result(id: &Id, era: Era, rest: impl Serialize) -> Self {
        let meta = Meta { server: SELF, subscription: None };
        Self::complete(id, era, rest, meta)
    }

    /// The end of a subscription.
    pub(crate) fn end_of_subscription(id: &Id) -> Self {
        #[derive(Serialize)]
        struct Nothing {}
        let meta = Meta { server: SELF, subscription: Some(id.clone()) };
        Self::complete(id, Era::Modern, Nothing {}, meta)
    }

    fn complete(id: &Id, era: Era, rest: impl Serialize, meta: Meta) -> Self {
        let (result_type, meta) = match era {
            Era::Modern => (Some("complete"), Some(meta)),
            Era::Legacy => (None, None),
        };
        let result = Complete { result_type, rest, meta };
        let message = ResultMessage { jsonrpc: JSONRPC, id, result };
        Self { json: text(&message), status: Status::Ok }
    }

    /// An error; `None`: of a message whose id cannot be read.
    pub(crate) fn problem(id: Option<&Id>, problem: &Problem) -> Self {
        let message = ErrorMessage { jsonrpc: JSONRPC, id, error: problem };
        Self { json: text(&message), status: problem.status }
    }
}

/// That the list of tools has changed: to the holder of a subscription, or to a client of an earlier version.
pub(crate) fn list_changed(subscription: Option<&Id>) -> String {
    notification(
        "notifications/tools/list_changed",
        subscription.map(|id| SubscriptionParams::new(id, None)),
    )
}

/// What a subscription is for, as far as it is granted.
pub(crate) fn acknowledged(subscription: &Id, list_changed: bool) -> String {
    let granted = Granted { tools_list_changed: list_changed.then_some(true) };
    let params = SubscriptionParams::new(subscription, Some(granted));
    notification("notifications/subscriptions/acknowledged", Some(params))
}

/// How far a call has come.
pub(crate) fn progress(token: &ProgressToken, count: u64, message: &str) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Progress<'a> {
        progress_token: &'a ProgressToken,
        progress: u64,
        message: &'a str,
    }
    let params = Progress { progress_token: token, progress: count, message };
    notification("notifications/progress", Some(params))
}

#[derive(Serialize)]
struct SubscriptionParams<'a> {
    #[serde(rename = "_meta")]
    meta: SubscriptionMeta<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notifications: Option<Granted>,
}

#[derive(Serialize)]
struct SubscriptionMeta<'a> {
    #[serde(rename = "io.modelcontextprotocol/subscriptionId")]
    id: &'a Id,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Granted {
    #[serde(skip_serializing_if = "Option::is_none")]
    tools_list_changed: Option<bool>,
}

impl<'a> SubscriptionParams<'a> {
    fn new(id: &'a Id, notifications: Option<Granted>) -> Self {
        Self { meta: SubscriptionMeta { id }, notifications }
    }
}

fn notification(method: &'static str, params: Option<impl Serialize>) -> String {
    text(&Notification { jsonrpc: JSONRPC, method, params })
}

/// Writing these types to memory cannot fail.
fn text(message: &impl Serialize) -> String {
    serde_json::to_string(message).unwrap_or_default()
}
