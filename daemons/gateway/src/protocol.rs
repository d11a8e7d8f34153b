//! What a message of a client asks for: answered at once, or an action for those who do I/O.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use rpc_client::{Args, IntoArgs};
use rpc_wire::is_traceparent;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::GatewayOptions;
use crate::era::{self, ClientInfo, Era, Meta, ProgressToken};
use crate::headers::Headers;
use crate::list::List;
use crate::message::{self, Id, Message, Notification, Request};
use crate::problem::{Problem, Status};
use crate::reply::{Reply, SELF};
use crate::tools::{May, NoTool, Tool, Tools};

/// What the answers depend on.
pub(crate) struct View<'a> {
    pub(crate) options: &'a GatewayOptions,
    pub(crate) tools: &'a Tools,
    /// Why the tools may not be those of now, for people.
    pub(crate) note: Option<&'a str>,
    /// Which services this caller may call.
    pub(crate) may: May<'a>,
    /// Whether every caller sees the same.
    pub(crate) is_public: bool,
    /// Whether clients of earlier versions are told of changes: over HTTP there is no way.
    pub(crate) tells_legacy: bool,
    /// What the headers of the message said, if it came with any.
    pub(crate) headers: Option<&'a Headers>,
}

/// What is to be done with a message.
#[derive(Debug)]
pub(crate) enum Action {
    /// Send this.
    Reply(Reply),
    /// Send this list.
    List(List),
    /// Make a call, and send its result.
    Call(Box<Call>),
    /// Tell of changes until the subscription ends.
    Subscribe(Subscription),
    /// End the request of that id, without an answer.
    Cancel(Id),
    /// Nothing.
    Ignore,
}

/// A call of a tool.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: Id,
    pub(crate) era: Era,
    pub(crate) tool: Arc<Tool>,
    /// Only instances of this service.
    pub(crate) service: Option<String>,
    pub(crate) arguments: Args,
    pub(crate) progress: Option<ProgressToken>,
    /// What the client calls itself.
    pub(crate) client: Option<String>,
    /// The trace context in which it is made.
    pub(crate) traceparent: Option<String>,
}

/// A request to be told of changes.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) id: Id,
    /// Whether of the list of tools; there is nothing else.
    pub(crate) list_changed: bool,
}

/// What is remembered of a client between messages: only what versions with `initialize` need.
#[derive(Debug, Default)]
pub(crate) struct Session {
    client: Option<String>,
    /// It has said that it is ready for notifications.
    pub(crate) is_initialized: bool,
}

#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ListParams {
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitializeParams<'a> {
    #[serde(borrow, default)]
    protocol_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    client_info: Option<ClientInfo<'a>>,
}

#[derive(Deserialize)]
struct ListenParams {
    #[serde(default)]
    notifications: Filter,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    #[serde(default)]
    tools_list_changed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CancelledParams {
    request_id: Id,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolList {
    /// They are put here when it is sent.
    tools: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    #[serde(flatten)]
    caching: Option<Caching>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Discovered {
    supported_versions: &'static [&'static str],
    capabilities: Value,
    instructions: String,
    #[serde(flatten)]
    caching: Caching,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Caching {
    ttl_ms: u64,
    cache_scope: &'static str,
}

/// What a cursor begins with, behind which the name of the last tool stands.
const CURSOR: &str = "after:";

impl Session {
    /// What to do with a message.
    pub(crate) fn answer(&mut self, bytes: &[u8], view: &View<'_>) -> Action {
        match message::read(bytes, view.options.frame_limits()) {
            Ok(Message::Request(request)) => {
                self.request(&request, view).unwrap_or_else(|problem| {
                    Action::Reply(Reply::problem(Some(&request.id), &problem))
                })
            }
            Ok(Message::Notification(notification)) => self.notification(&notification),
            Ok(Message::Response) => Action::Ignore,
            Err(unreadable) => {
                Action::Reply(Reply::problem(unreadable.id.as_ref(), &unreadable.problem))
            }
        }
    }

    fn notification(&mut self, notification: &Notification<'_>) -> Action {
        match &*notification.method {
            "notifications/initialized" => self.is_initialized = true,
            "notifications/cancelled" => {
                let Some(params) = notification.params else { return Action::Ignore };
                return match serde_json::from_str::<CancelledParams>(params.get()) {
                    Ok(params) => Action::Cancel(params.request_id),
                    Err(_) => Action::Ignore,
                };
            }
            _ => {}
        }
        Action::Ignore
    }

    fn request(&mut self, request: &Request<'_>, view: &View<'_>) -> Result<Action, Problem> {
        let meta = Meta::of(request)?;
        let era = meta.era(&request.method);
        match era {
            Era::Modern => {
                let version = meta.version()?;
                if let Some(headers) = view.headers {
                    headers.agree(&version, &request.method, name_of(request))?;
                }
                if !era::MODERN.contains(&&*version) {
                    return Err(Problem::unsupported_version(&version, &era::MODERN));
                }
            }
            Era::Legacy => {
                if let Some(headers) = view.headers {
                    headers.are_legacy(&request.method)?;
                }
            }
        }
        let reply = |rest: Value| Ok(Action::Reply(Reply::result(&request.id, era, rest)));
        match (&*request.method, era) {
            ("tools/list", _) => list(request, era, view),
            ("tools/call", _) => {
                let client = match era {
                    Era::Modern => meta.client(),
                    Era::Legacy => self.client.clone(),
                };
                call(request, (era, &meta, client), view)
            }
            ("server/discover", Era::Modern) => {
                let discovered = Discovered {
                    supported_versions: &era::MODERN,
                    capabilities: json!({"tools": {"listChanged": true}}),
                    instructions: view.instructions(),
                    caching: view.caching(),
                };
                Ok(Action::Reply(Reply::result(&request.id, era, discovered)))
            }
            ("subscriptions/listen", Era::Modern) => {
                let Filter { tools_list_changed } =
                    params::<ListenParams>(request)?.map(|it| it.notifications).unwrap_or_default();
                let id = request.id.clone();
                Ok(Action::Subscribe(Subscription { id, list_changed: tools_list_changed }))
            }
            ("initialize", Era::Legacy) => reply(self.initialize(request, view)?),
            ("ping", Era::Legacy) => reply(json!({})),
            (method, Era::Modern) => Err(Problem::method_not_found(method, Status::NotFound)),
            (method, Era::Legacy) => Err(Problem::method_not_found(method, Status::Ok)),
        }
    }

    fn initialize(&mut self, request: &Request<'_>, view: &View<'_>) -> Result<Value, Problem> {
        let params = params::<InitializeParams<'_>>(request)?;
        let (requested, client) =
            params.map(|it| (it.protocol_version, it.client_info)).unwrap_or_default();
        self.client = client.and_then(|client| client.shown());
        let tools = if view.tells_legacy { json!({"listChanged": true}) } else { json!({}) };
        Ok(json!({
            "protocolVersion": era::agreed(requested.as_deref()),
            "capabilities": {"tools": tools},
            "serverInfo": SELF,
            "instructions": view.instructions(),
        }))
    }
}

impl View<'_> {
    /// What an agent should know of all tools.
    fn instructions(&self) -> String {
        let mut text =
            "Each tool is a method of live services. The list changes as they start and end: \
                        list the tools again when one is unknown."
                .to_owned();
        let not_allowed = self.tools.not_allowed;
        if not_allowed > 0 {
            let (s, are) = if not_allowed == 1 { ("", "is") } else { ("s", "are") };
            text.push_str(&format!(
                " {not_allowed} further method{s} {are} not offered, since {} may change something; who runs this \
                 gateway can allow them.",
                if not_allowed == 1 { "it" } else { "they" }
            ));
        }
        let left_out = self.tools.left_out.count;
        if left_out > 0 {
            let s = if left_out == 1 { "" } else { "s" };
            text.push_str(&format!(
                " {left_out} further method{s} can be no tool{s}, such as for too long a schema; the log of this \
                 gateway says which and why."
            ));
        }
        if let Some(note) = self.note {
            text.push_str(" Now: ");
            text.push_str(note);
        }
        text
    }

    fn caching(&self) -> Caching {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Caching {
            ttl_ms: millis(self.options.list_ttl),
            cache_scope: if self.is_public { "public" } else { "private" },
        }
    }
}

fn list(request: &Request<'_>, era: Era, view: &View<'_>) -> Result<Action, Problem> {
    let cursor = params::<ListParams>(request)?.and_then(|params| params.cursor);
    let after = cursor.as_deref().map(|cursor| {
        let unknown = || Problem::unknown("the cursor is none of this server; list from the start");
        cursor.strip_prefix(CURSOR).ok_or_else(unknown)
    });
    let (tools, next) =
        view.tools.page(era, after.transpose()?, view.may, view.options.max_page_tools);
    let list = ToolList {
        tools: [],
        next_cursor: next.map(|name| format!("{CURSOR}{name}")),
        caching: era.is_modern().then(|| view.caching()),
    };
    Ok(Action::List(List::new(Reply::result(&request.id, era, list), tools)))
}

fn call(
    request: &Request<'_>,
    (era, meta, client): (Era, &Meta<'_>, Option<String>),
    view: &View<'_>,
) -> Result<Action, Problem> {
    let missing = || Problem::invalid_params("params.name is missing: the name of a tool");
    let CallParams { name, arguments } = params::<CallParams<'_>>(request)?.ok_or_else(missing)?;
    let left_out = || view.tools.left_out.find(&name, view.may);
    let found = view.tools.find(&name, view.may);
    let tool = found.map_err(|near| unknown_tool(&name, &near, left_out()))?;
    let arguments = match arguments {
        None => Args::none(),
        Some(arguments) => tool.arranged(by_name(arguments)?),
    };
    Ok(Action::Call(Box::new(Call {
        id: request.id.clone(),
        era,
        service: tool.service_for(view.may).map(str::to_owned),
        tool: Arc::clone(tool),
        arguments,
        progress: meta.progress(),
        client,
        traceparent: traceparent(meta, view.headers),
    })))
}

/// The trace context of the message, or else that of what it came with; what is none is not handed on.
fn traceparent(meta: &Meta<'_>, headers: Option<&Headers>) -> Option<String> {
    /// Today's have 55, and later ones may have more.
    const MAX_BYTES: usize = 256;
    let of_headers = || Some(Cow::Borrowed(headers?.traceparent()?));
    let context = meta.traceparent().or_else(of_headers)?;
    let is_one = context.len() <= MAX_BYTES
        && context.bytes().all(|it| it.is_ascii_graphic())
        && is_traceparent(&context);
    is_one.then(|| context.into_owned())
}

/// Arguments as they were written, without losing a digit.
fn by_name(arguments: &RawValue) -> Result<Args, Problem> {
    let wrong = || Problem::invalid_params("params.arguments must be an object");
    let object = Some(arguments).filter(|it| it.get().starts_with('{')).ok_or_else(wrong)?;
    object.into_args().map_err(|_| wrong())
}

fn unknown_tool(name: &str, near: &[&str], left_out: Option<&NoTool>) -> Problem {
    let start: String = name.chars().take(100).collect();
    let hint = match near {
        [] => String::new(),
        near => format!("did you mean {}? Otherwise ", near.join(", ")),
    };
    let why = match left_out {
        Some(NoTool { why, .. }) => format!(
            "the method is there, but can be no tool: {why}; do without it, and tell whoever runs it"
        ),
        // Which of them it is tells what is hidden from the caller.
        None => "it has ended with its service, or is not offered to you: whoever runs rpcd mcp says by --allow what \
                 is; list the tools again"
            .to_owned(),
    };
    Problem::unknown(format!("Unknown tool: {start}; {hint}{why}"))
}

/// The name that a header repeats.
fn name_of<'a>(request: &Request<'a>) -> Option<Cow<'a, str>> {
    #[derive(Deserialize)]
    struct Name<'a> {
        #[serde(borrow, default)]
        name: Option<Cow<'a, str>>,
    }
    let is_named = matches!(&*request.method, "tools/call" | "prompts/get");
    let params = request.params.filter(|_| is_named)?;
    serde_json::from_str::<Name<'_>>(params.get()).ok()?.name
}

fn params<'a, T: Deserialize<'a>>(request: &Request<'a>) -> Result<Option<T>, Problem> {
    let read = |params: &'a RawValue| {
        serde_json::from_str(params.get())
            .map_err(|error| Problem::invalid_params(format!("params: {error}")))
    };
    request.params.map(read).transpose()
}

#[cfg(test)]
mod tests;
