//! Writing requests: compact, one line, in the key order of the older client.

use super::Args;
use crate::paths::RPC_WHOAMI;

/// The `meta` of an extended call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestMeta {
    /// Milliseconds left until the deadline.
    pub deadline_ms: Option<u64>,
    /// Whether the caller reads a stream.
    pub stream: bool,
    /// Whether no reply is wanted, not even an error.
    pub oneway: bool,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

/// Appends a classic call, exactly as the older client writes its keys, without a newline.
pub fn classic(out: &mut Vec<u8>, method: &str, args: &Args) {
    out.extend_from_slice(b"{");
    body(out, method, args);
    out.extend_from_slice(b"}");
}

/// Appends an extended call and a newline.
pub fn extended(out: &mut Vec<u8>, id: u64, method: &str, args: &Args, meta: &RequestMeta) {
    out.extend_from_slice(b"{\"id\":");
    number(out, id);
    out.push(b',');
    body(out, method, args);
    write_meta(out, meta);
    out.extend_from_slice(b"}\n");
}

/// Appends a JSON-RPC 2.0 request and a newline. `params` is the text of an array or object.
pub fn json_rpc(out: &mut Vec<u8>, id: u64, method: &str, params: &str) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    number(out, id);
    method_and_params(out, method, params);
}

/// Appends a JSON-RPC 2.0 notification, a request without an id, and a newline.
pub fn notification(out: &mut Vec<u8>, method: &str, params: &str) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\"");
    method_and_params(out, method, params);
}

fn method_and_params(out: &mut Vec<u8>, method: &str, params: &str) {
    out.extend_from_slice(b",\"method\":");
    string(out, method);
    out.extend_from_slice(b",\"params\":");
    out.extend_from_slice(params.as_bytes());
    out.extend_from_slice(b"}\n");
}

/// Appends a call without a reply that shows the peer a secret: from then on it knows who sends on this
/// connection. Not part of another call, so that whatever keeps or shows calls never has it.
pub fn introduction(out: &mut Vec<u8>, secret: &str) {
    out.extend_from_slice(b"{\"id\":0,");
    body(out, RPC_WHOAMI, &Args::none());
    out.extend_from_slice(b",\"meta\":{\"oneway\":true,\"token\":");
    string(out, secret);
    out.extend_from_slice(b"}}\n");
}

/// Appends the control message that cancels call `id`.
pub fn cancel(out: &mut Vec<u8>, id: u64) {
    out.extend_from_slice(b"{\"cancel\":");
    number(out, id);
    out.extend_from_slice(b"}\n");
}

fn body(out: &mut Vec<u8>, method: &str, args: &Args) {
    out.extend_from_slice(b"\"method_name\":");
    string(out, method);
    out.extend_from_slice(b",\"method_args\":");
    out.extend_from_slice(args.positional().as_bytes());
    out.extend_from_slice(b",\"method_kwargs\":");
    out.extend_from_slice(args.keyword().as_bytes());
}

fn write_meta(out: &mut Vec<u8>, meta: &RequestMeta) {
    if *meta == RequestMeta::default() {
        return;
    }
    out.extend_from_slice(b",\"meta\":{");
    let first = out.len();
    let comma = |out: &mut Vec<u8>| {
        if out.len() > first {
            out.push(b',');
        }
    };
    if let Some(milliseconds) = meta.deadline_ms {
        out.extend_from_slice(b"\"deadline_ms\":");
        number(out, milliseconds);
    }
    if let Some(traceparent) = &meta.traceparent {
        comma(out);
        out.extend_from_slice(b"\"traceparent\":");
        string(out, traceparent);
    }
    for (set, text) in [(meta.stream, "\"stream\":true"), (meta.oneway, "\"oneway\":true")] {
        if set {
            comma(out);
            out.extend_from_slice(text.as_bytes());
        }
    }
    out.push(b'}');
}

pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    // Writing a string to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

fn number(out: &mut Vec<u8>, number: u64) {
    let _ = serde_json::to_writer(out, &number);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::IntoArgs;

    #[test]
    fn a_classic_call_is_written_as_the_older_client_does_but_compact() {
        let mut out = Vec::new();
        classic(&mut out, "add", &(1, 2).into_args().unwrap());
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"method_name":"add","method_args":[1,2],"method_kwargs":{}}"#
        );
    }

    #[test]
    fn a_json_rpc_request_is_one_line() {
        let mut out = Vec::new();
        json_rpc(&mut out, 7, "m\"", "[1]");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\\\"\",\"params\":[1]}\n"
        );
    }

    #[test]
    fn a_notification_is_a_request_without_an_id() {
        let mut out = Vec::new();
        notification(&mut out, "m", r#"{"a":1}"#);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":{\"a\":1}}\n"
        );
    }

    #[test]
    fn a_secret_is_sent_in_a_call_of_its_own() {
        let mut out = Vec::new();
        introduction(&mut out, "s\"");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"{"id":0,"method_name":"rpc.whoami","method_args":[],"method_kwargs":{},"#,
                r#""meta":{"oneway":true,"token":"s\""}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn an_extended_call_carries_only_the_meta_it_has() {
        let args = (1,).into_args().unwrap();
        let written = |meta: &RequestMeta| {
            let mut out = Vec::new();
            extended(&mut out, 7, "m\"", &args, meta);
            String::from_utf8(out).unwrap()
        };
        let plain = r#"{"id":7,"method_name":"m\"","method_args":[1],"method_kwargs":{}"#;
        assert_eq!(written(&RequestMeta::default()), format!("{plain}}}\n"));
        let meta = RequestMeta {
            deadline_ms: Some(5),
            stream: true,
            oneway: true,
            traceparent: Some("00-x".to_owned()),
        };
        assert_eq!(
            written(&meta),
            format!(
                "{plain},\"meta\":{{\"deadline_ms\":5,\"traceparent\":\"00-x\",\"stream\":true,\"oneway\":true}}}}\n"
            )
        );
    }
}
