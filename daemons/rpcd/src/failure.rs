//! Why a command failed, and its exit code.

use rpc_client::registry::RegistryClientError;
use rpc_client::{AddressError, ArgsError, CallError, ClientError, Code, ErrorKind, Fault};
use rpc_host::logging::LogError;
use rpc_settings::SettingsError;
use serde_json::{Value, json};

/// A command's failure: one line for people, an exit code for scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened, to what, what to do next. Empty: print nothing.
    pub message: String,
    /// The message is a help text, printed as it is; for [`Exit::Done`] to standard output.
    pub is_help: bool,
    /// What only its JSON form says. In a box: results, which have room for a failure, are moved often.
    pub details: Option<Box<Details>>,
    /// Standard output says it already, in JSON.
    pub is_printed: bool,
}

/// What only the JSON form of a failure says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// A finer kind than that of the exit code.
    pub kind: Option<&'static str>,
    /// A code of the protocol, or a method's own; none of them applies to every failure.
    pub code: Option<i64>,
    /// The text as a peer sent it; `None`: the failure's own.
    pub message: Option<String>,
    /// Whether a call that failed may have been executed all the same.
    pub may_have_run: Option<bool>,
    /// What the peer says beside, and the names that were probably meant.
    pub data: Option<Value>,
}

/// The kind of a failure in JSON: nothing is registered that could be called. The registry was reached.
pub const NO_INSTANCE: &str = "no_instance";
/// The kind of a failure in JSON: no instance offers the method.
pub const NO_SUCH_METHOD: &str = "no_such_method";

/// Characters of an error's data that its text repeats; JSON has all of it.
const DATA: usize = 200;

/// Exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: success; also help, and a closed output pipe.
    Done,
    /// 1: the call returned an error; a daemon failed.
    Failed,
    /// 2: the command line, a setting or an address is wrong.
    Usage,
    /// 3: unreachable; a daemon cannot listen.
    Unreachable,
    /// 4: timed out.
    Timeout,
}

impl Exit {
    /// Its number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Timeout => 4,
        }
    }

    /// Its name in JSON.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "remote",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
        }
    }
}

impl Failure {
    /// A failure of that kind.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), is_help: false, details: None, is_printed: false }
    }

    /// Help or version instead of a command.
    pub fn help(exit: Exit, text: impl Into<String>) -> Self {
        Self { is_help: true, ..Self::new(exit, text) }
    }

    /// The command line, a setting or an address is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A call failed; in JSON it says whether it may have been executed all the same.
    pub fn of_call(error: CallError) -> Self {
        let may_have_run = error.may_have_run();
        let mut failure = Self::from(error);
        failure.details.get_or_insert_default().may_have_run = Some(may_have_run);
        failure
    }

    /// The same, which standard output says already.
    #[must_use]
    pub fn printed(self) -> Self {
        Self { is_printed: true, ..self }
    }

    /// The same with a code of the protocol.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.details.get_or_insert_default().code = Some(code.number());
        self
    }

    /// The same with a finer kind in JSON than that of the exit code.
    #[must_use]
    pub fn with_kind(mut self, kind: &'static str) -> Self {
        self.details.get_or_insert_default().kind = Some(kind);
        self
    }

    /// Its kind in JSON.
    pub fn kind(&self) -> &'static str {
        let finer = self.details.as_ref().and_then(|details| details.kind);
        finer.unwrap_or(self.exit.kind())
    }

    /// The same with the names that were probably meant, as `data.nearest`, beside what a peer sent.
    #[must_use]
    pub fn with_nearest<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        if names.is_empty() {
            return self;
        }
        let data = &mut self.details.get_or_insert_default().data;
        match data.get_or_insert_with(|| json!({})) {
            Value::Object(data) => {
                data.entry("nearest").or_insert_with(|| json!(names));
            }
            _of_the_peer => {}
        }
        self
    }

    /// The same with what its JSON form says beside.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.details.get_or_insert_default().data = Some(data);
        self
    }

    /// Its code: a timeout is the same whether the server or the client found it.
    fn code(&self) -> Option<i64> {
        let known = self.details.as_ref().and_then(|details| details.code);
        known.or_else(|| (self.exit == Exit::Timeout).then(|| Code::DeadlineExceeded.number()))
    }

    /// One line of JSON: `{"error":{"code":…,"data":…,"kind":…,"message":…}}`.
    pub fn to_json(&self) -> String {
        let mut error = json!({"kind": self.kind(), "message": self.message});
        if let Some(code) = self.code() {
            error["code"] = code.into();
        }
        if let Some(details) = &self.details {
            if let Some(message) = &details.message {
                error["message"] = message.as_str().into();
            }
            if let Some(may_have_run) = details.may_have_run {
                error["may_have_run"] = may_have_run.into();
            }
            if let Some(data) = &details.data {
                error["data"] = data.clone();
            }
        }
        json!({ "error": error }).to_string()
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::BadAddress(_) | ClientError::Registry(_) | ClientError::NoTls => {
                Self::usage(error.to_string())
            }
            #[cfg(feature = "tls")]
            ClientError::Tls(_) => Self::usage(error.to_string()),
            other => Self::new(Exit::Failed, other.to_string()),
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let exit = match error.kind() {
            // What an older server does not have is no mistake of the command line.
            _ if matches!(error, CallError::Unsupported { .. }) => Exit::Failed,
            ErrorKind::Usage => Exit::Usage,
            ErrorKind::Unreachable => Exit::Unreachable,
            ErrorKind::Timeout => Exit::Timeout,
            _ => Exit::Failed,
        };
        let failure = Self::new(exit, error.to_string());
        match error {
            CallError::Remote { fault, .. } => {
                let message = failure.message + &beside(&fault);
                Self { details: Some(Box::new((*fault).into())), message, ..failure }
            }
            CallError::NoInstance { .. } => failure.with_kind(NO_INSTANCE),
            CallError::NoSuchMethod(none) => failure
                .with_kind(NO_SUCH_METHOD)
                .with_code(Code::MethodNotFound)
                .with_nearest(none.nearest.iter().map(String::as_str)),
            CallError::Unsupported { .. } => failure.with_code(Code::MethodNotFound),
            CallError::TooLarge { .. } | CallError::ReplyTooLarge { .. } => {
                failure.with_code(Code::TooLarge)
            }
            _ => failure,
        }
    }
}

/// What an error says beside its text: a code of the method's own, and its data.
fn beside(fault: &Fault) -> String {
    let code = match fault.code {
        Code::Other(code) => Some(format!("code {code}")),
        _ => None,
    };
    let data = fault.data.as_ref().map(Value::to_string);
    let data = data.map(|data| match data.char_indices().nth(DATA) {
        Some((end, _)) => format!("data {}…", &data[..end]),
        None => format!("data {data}"),
    });
    match (code, data) {
        (None, None) => String::new(),
        (Some(one), None) | (None, Some(one)) => format!(" ({one})"),
        (Some(code), Some(data)) => format!(" ({code}, {data})"),
    }
}

impl From<Fault> for Details {
    fn from(fault: Fault) -> Self {
        let message = match fault.code {
            // The message is only the name of the method.
            Code::MethodNotFound => fault.classic_text(),
            _ => fault.message,
        };
        Self {
            kind: None,
            code: Some(fault.code.number()),
            may_have_run: None,
            message: Some(message),
            data: fault.data,
        }
    }
}

impl From<ArgsError> for Failure {
    fn from(error: ArgsError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<RegistryClientError> for Failure {
    fn from(error: RegistryClientError) -> Self {
        let exit = match &error {
            RegistryClientError::BadUrl { .. } => Exit::Usage,
            #[cfg(feature = "tls")]
            RegistryClientError::Tls(_) => Exit::Usage,
            RegistryClientError::Unreachable { .. } | RegistryClientError::Insecure { .. } => {
                Exit::Unreachable
            }
            RegistryClientError::Timeout { .. } => Exit::Timeout,
            _ => Exit::Failed,
        };
        let failure = Self::new(exit, error.to_string());
        match error {
            RegistryClientError::TooLarge { .. } => failure.with_code(Code::TooLarge),
            _ => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(fault: Fault) -> CallError {
        CallError::Remote { peer: "127.0.0.1:8089".to_owned(), fault: fault.into() }
    }

    #[test]
    fn in_json_a_peers_error_keeps_code_and_data_and_the_kind_is_that_of_the_exit_code() {
        let fault = Fault::new(Code::Other(-5), "it broke").with_data(json!({"why": ["a"]}));
        let failure = Failure::from(remote(fault));
        let text = r#"Error calling method: it broke (code -5, data {"why":["a"]})"#;
        assert_eq!(failure.message, text);
        let said =
            r#"{"error":{"code":-5,"data":{"why":["a"]},"kind":"remote","message":"it broke"}}"#;
        assert_eq!(failure.to_json(), said);
        let failure = Failure::from(remote(Fault::method_not_found("nope")));
        let said =
            r#"{"error":{"code":-32601,"kind":"remote","message":"No service found for: nope"}}"#;
        assert_eq!(failure.to_json(), said);
        let late = remote(Fault::new(Code::DeadlineExceeded, "late"));
        assert!(Failure::from(late).to_json().contains(r#""kind":"timeout""#));
        let failure = Failure::usage("wrong");
        assert_eq!(failure.to_json(), r#"{"error":{"kind":"usage","message":"wrong"}}"#);
    }

    #[test]
    fn data_of_an_error_is_told_whatever_its_code_is() {
        let said = |code, data: Value| {
            Failure::from(remote(Fault::new(code, "no").with_data(data))).message
        };
        let text = said(Code::BadArguments, json!("by name\u{1b} only"));
        assert_eq!(text, r#"Argument error: no (data "by name\u001b only")"#);
        let text = said(Code::MethodFailed, json!({"trace": "x"}));
        assert_eq!(text, r#"Error calling method: no (data {"trace":"x"})"#);
        let text = said(Code::MethodNotFound, json!("x".repeat(9999)));
        assert!(text.ends_with("x…)") && text.chars().count() < 300, "{text}");
    }

    #[test]
    fn in_json_a_call_that_failed_says_whether_it_may_have_run() {
        let lost = |executed| CallError::ConnectionLost {
            peer: "a:1".to_owned(),
            reason: "closed".to_owned(),
            executed,
        };
        for (error, expected) in [
            (lost(true), true),
            (lost(false), false),
            (remote(Fault::new(Code::MethodFailed, "half done")), true),
            (remote(Fault::new(Code::Abandoned, "it ended")), true),
            (remote(Fault::new(Code::Draining, "draining")), false),
            (remote(Fault::new(Code::BadArguments, "a is missing")), false),
        ] {
            let json: Value =
                serde_json::from_str(&Failure::of_call(error.clone()).to_json()).unwrap();
            assert_eq!(json["error"]["may_have_run"], json!(expected), "{error}");
        }
        let not_a_call: Value = serde_json::from_str(&Failure::usage("wrong").to_json()).unwrap();
        assert_eq!(not_a_call["error"].get("may_have_run"), None);
    }

    #[test]
    fn what_the_client_finds_has_a_code_where_the_protocol_has_one_for_it() {
        let peer = || "127.0.0.1:8089".to_owned();
        let after = std::time::Duration::from_secs(1);
        let late = CallError::Timeout { peer: peer(), after, phase: rpc_client::Phase::Connect };
        let large = CallError::TooLarge { peer: peer(), size: 2000, limit: 1024 };
        let older = CallError::Unsupported { peer: peer(), what: "streams" };
        let full = CallError::QueueFull { peer: peer(), limit: 1 };
        for (error, exit, code) in [
            (late, Exit::Timeout, Some(-32000)),
            (large, Exit::Usage, Some(-32005)),
            (older, Exit::Failed, Some(-32601)),
            (full, Exit::Usage, None),
        ] {
            let failure = Failure::from(error);
            let said: Value = serde_json::from_str(&failure.to_json()).unwrap();
            assert_eq!((failure.exit, said["error"]["code"].as_i64()), (exit, code), "{said}");
        }
        let registry = RegistryClientError::Timeout { url: "http://a:1".to_owned() };
        assert!(Failure::from(registry).to_json().contains(r#""code":-32000"#));
    }

    #[test]
    fn the_name_that_was_probably_meant_is_added_to_what_a_peer_says() {
        let unknown = |data| {
            let fault = Fault { data, ..Fault::method_not_found("ad") };
            let failure = Failure::from(remote(fault)).with_nearest(["add"]);
            let said: Value = serde_json::from_str(&failure.to_json()).unwrap();
            said["error"]["data"].clone()
        };
        assert_eq!(unknown(None), json!({"nearest": ["add"]}));
        assert_eq!(unknown(Some(json!({"a": 1}))), json!({"a": 1, "nearest": ["add"]}));
        assert_eq!(unknown(Some(json!({"nearest": 1}))), json!({"nearest": 1}));
        assert_eq!(unknown(Some(json!([1]))), json!([1]));
    }
}
