//! Messages and their answers, without I/O.

use super::*;
use rpc_wire::signature::Parameter;

use crate::headers::Header;
use crate::tools::tests::{reads, tools_of};

const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"}"#;

struct Asked {
    options: GatewayOptions,
    tools: Tools,
    session: Session,
    headers: Option<Headers>,
}

impl Asked {
    fn new() -> Self {
        let number = serde_json::json!({"type": "number"});
        let tools = tools_of(&[reads("add", number.clone()), reads("echo", number)]);
        Self {
            options: GatewayOptions::default(),
            tools,
            session: Session::default(),
            headers: None,
        }
    }

    fn action(&mut self, text: &str) -> Action {
        let view = View {
            options: &self.options,
            tools: &self.tools,
            note: Some("the registry is lost"),
            may: &|_| true,
            is_public: true,
            tells_legacy: true,
            headers: self.headers.as_ref(),
        };
        self.session.answer(text.as_bytes(), &view)
    }

    fn reply(&mut self, text: &str) -> (Value, Status) {
        match self.action(text) {
            Action::Reply(reply) => (serde_json::from_str(&reply.json).unwrap(), reply.status),
            Action::List(list) => (serde_json::from_str(&list.text()).unwrap(), Status::Ok),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn modern(&mut self, method: &str, params: &str) -> (Value, Status) {
        self.reply(&modern(method, params))
    }

    fn legacy(&mut self, method: &str, params: &str) -> Value {
        self.reply(&legacy(method, params)).0
    }
}

fn modern(method: &str, params: &str) -> String {
    let comma = if params.is_empty() { "" } else { "," };
    legacy(method, &format!(r#"{{"_meta":{{{META}}}{comma}{params}}}"#))
}

fn legacy(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"x","method":"{method}","params":{params}}}"#)
}

#[test]
fn a_stateless_list_says_what_it_is_and_how_long_it_holds() {
    let (reply, status) = Asked::new().modern("tools/list", "");
    let result = &reply["result"];
    assert_eq!((&reply["id"], status), (&json!("x"), Status::Ok));
    assert_eq!(result["resultType"], "complete");
    assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(1000), &json!("public")));
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "rpcd");
    let names: Vec<_> = result["tools"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["add", "echo"]);
    assert_eq!(result["tools"][0]["outputSchema"], json!({"type": "number"}));
}

#[test]
fn an_earlier_list_has_none_of_that_and_objects_only() {
    let reply = Asked::new().legacy("tools/list", "{}");
    let result = reply["result"].as_object().unwrap();
    assert_eq!(result.keys().collect::<Vec<_>>(), ["tools"]);
    assert_eq!(result["tools"][0]["outputSchema"]["type"], "object");
}

#[test]
fn a_list_is_read_page_by_page() {
    let mut asked = Asked::new();
    asked.options.max_page_tools = 1;
    let (first, _) = asked.modern("tools/list", "");
    let cursor = first["result"]["nextCursor"].as_str().unwrap().to_owned();
    let (second, _) = asked.modern("tools/list", &format!(r#""cursor":"{cursor}""#));
    assert_eq!(second["result"]["tools"][0]["name"], "echo");
    assert_eq!(second["result"].get("nextCursor"), None);
    let (wrong, status) = asked.modern("tools/list", r#""cursor":"?""#);
    assert_eq!((&wrong["error"]["code"], status), (&json!(-32602), Status::Ok));
}

#[test]
fn discovery_says_versions_capabilities_and_what_is_wrong_now() {
    let (reply, _) = Asked::new().modern("server/discover", "");
    let result = &reply["result"];
    assert_eq!(result["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(result["capabilities"], json!({"tools": {"listChanged": true}}));
    assert!(result["instructions"].as_str().unwrap().ends_with("Now: the registry is lost"));
}

#[test]
fn initialize_ping_and_initialized_are_those_of_a_session() {
    let mut asked = Asked::new();
    let params = r#"{"protocolVersion":"2025-06-18","clientInfo":{"name":"c","version":"2"}}"#;
    let reply = asked.legacy("initialize", params);
    let result = &reply["result"];
    assert_eq!(result["protocolVersion"], "2025-06-18");
    assert_eq!(result["capabilities"]["tools"], json!({"listChanged": true}));
    assert_eq!(result["serverInfo"]["name"], "rpcd");
    assert_eq!(asked.legacy("ping", "{}")["result"], json!({}));
    assert!(!asked.session.is_initialized);
    let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert!(matches!(asked.action(ready), Action::Ignore));
    assert!(asked.session.is_initialized);
    let Action::Call(call) = asked.action(&legacy("tools/call", r#"{"name":"add"}"#)) else {
        panic!()
    };
    assert_eq!(call.client.as_deref(), Some("c 2"));
}

#[test]
fn what_a_version_does_not_have_is_not_found() {
    let mut asked = Asked::new();
    for method in ["initialize", "ping", "prompts/list", "logging/setLevel"] {
        let (reply, status) = asked.modern(method, "");
        assert_eq!(
            (&reply["error"]["code"], status),
            (&json!(-32601), Status::NotFound),
            "{method}"
        );
    }
    let (reply, status) = asked.reply(&legacy("prompts/list", "{}"));
    assert_eq!((&reply["error"]["code"], status), (&json!(-32601), Status::Ok));
}

#[test]
fn an_unknown_version_is_told_the_known_ones() {
    let request = modern("tools/list", "").replace("2026-07-28", "2030-01-01");
    let (reply, status) = Asked::new().reply(&request);
    assert_eq!((&reply["error"]["code"], status), (&json!(-32022), Status::BadRequest));
    let data = json!({"supported": ["2026-07-28"], "requested": "2030-01-01"});
    assert_eq!(reply["error"]["data"], data);
}

#[test]
fn headers_are_compared_before_the_version_is() {
    let mut asked = Asked::new();
    let given = |text: &str| Header::Given(text.to_owned());
    let headers = |version: &str| Headers {
        version: given(version),
        method: given("tools/call"),
        name: given("add"),
        ..Headers::default()
    };
    let call = modern("tools/call", r#""name":"add""#);
    asked.headers = Some(headers("2026-07-28"));
    assert!(matches!(asked.action(&call), Action::Call(_)));
    let other = call.replace("2026-07-28", "2030-01-01");
    assert_eq!(asked.reply(&other).0["error"]["code"], -32020);
    let unknown = asked.reply(&modern("tools/call", r#""name":"del""#)).0;
    assert_eq!(unknown["error"]["code"], -32020, "{unknown}");
    asked.headers = Some(headers("2030-01-01"));
    assert_eq!(asked.reply(&other).0["error"]["code"], -32022);
    let lacking = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#;
    assert_eq!(asked.reply(lacking).0["error"]["code"], -32602);
}

#[test]
fn a_call_has_its_arguments_as_they_were_written() {
    let params = r#""name":"add","arguments":{"a":1.50,"b":123456789012345678901234567890}"#;
    let Action::Call(call) = Asked::new().action(&modern("tools/call", params)) else { panic!() };
    assert_eq!(call.arguments.keyword(), r#"{"a":1.50,"b":123456789012345678901234567890}"#);
    assert_eq!((call.tool.method.as_str(), call.client.as_deref()), ("add", Some("test 1")));
    assert!(call.progress.is_none());
    let call = legacy("tools/call", r#"{"name":"add","_meta":{"progressToken":7}}"#);
    let Action::Call(call) = Asked::new().action(&call) else { panic!() };
    assert!(call.progress.is_some() && call.arguments == Args::none());
}

#[test]
fn a_call_has_the_trace_context_of_its_message_or_else_of_its_headers() {
    let of = |meta: &str, header: Option<&str>| {
        let params = format!(r#"{{"name":"add","_meta":{{{meta}}}}}"#);
        let traceparent = header.map(|it| Header::Given(it.to_owned())).unwrap_or_default();
        let mut asked = Asked::new();
        asked.headers = Some(Headers { traceparent, ..Headers::default() });
        match asked.action(&legacy("tools/call", &params)) {
            Action::Call(call) => call.traceparent,
            other => panic!("{meta}: {other:?}"),
        }
    };
    assert_eq!(of("", None), None);
    let [header, own] = ["01", "00"].map(|it| format!("00-{:032x}-{:016x}-{it}", 1, 2));
    assert_eq!(of("", Some(&header)).as_ref(), Some(&header));
    let meta = format!(r#""traceparent":"{own}""#);
    assert_eq!(of(&meta, Some(&header)).as_ref(), Some(&own));
    assert_eq!(of("", Some("junk")), None);
    for strange in
        ["\"a b\"", "\"\\n\"", "{}", "\"00-a-b-01\"", &format!("\"cc{}-a b\"", &own[2..])]
    {
        assert_eq!(of(&format!(r#""traceparent":{strange}"#), None), None, "{strange}");
    }
}

#[test]
fn an_unknown_tool_and_a_malformed_call_are_errors_of_the_protocol() {
    let mut asked = Asked::new();
    let (unknown, status) = asked.modern("tools/call", r#""name":"ad""#);
    assert_eq!((&unknown["error"]["code"], status), (&json!(-32602), Status::Ok));
    assert!(unknown["error"]["message"].as_str().unwrap().contains("did you mean add?"));
    for params in [r#""arguments":{}"#, r#""name":3"#, r#""name":"add","arguments":[1]"#] {
        let (wrong, status) = asked.modern("tools/call", params);
        assert_eq!(
            (&wrong["error"]["code"], status),
            (&json!(-32602), Status::BadRequest),
            "{params}"
        );
    }
}

#[test]
fn who_asks_for_a_method_that_can_be_no_tool_is_told_why_and_not_of_allow() {
    let mut long = reads("long", json!({"enum": ["x".repeat(40_000)]}));
    long.parameters = vec![Parameter::required("a", json!(true))];
    let mut strange = reads("strange", json!(true));
    strange.parameters = vec![Parameter::required("größe", json!(true))];
    let mut asked = Asked::new();
    asked.tools = tools_of(&[reads("add", json!(true)), long, strange]);
    for (name, why) in [("long", "(max_tool_bytes 32768)"), ("strange", "parameter \"größe\"")] {
        let reply = asked.legacy("tools/call", &json!({"name": name}).to_string());
        let message = reply["error"]["message"].as_str().unwrap();
        assert!(message.contains(why) && !message.contains("--allow"), "{message}");
    }
    let instructions = asked.legacy("initialize", "{}")["result"]["instructions"].take();
    let instructions = instructions.as_str().unwrap();
    assert!(instructions.contains("2 further methods can be no tools"), "{instructions}");
    assert!(!instructions.contains("allow"), "{instructions}");
}

#[test]
fn a_subscription_is_for_what_it_asks() {
    let mut asked = Asked::new();
    for (filter, expected) in [
        (r#"{"toolsListChanged":true}"#, true),
        (r#"{"promptsListChanged":true}"#, false),
        ("{}", false),
    ] {
        let request = modern("subscriptions/listen", &format!(r#""notifications":{filter}"#));
        let Action::Subscribe(subscription) = asked.action(&request) else { panic!("{filter}") };
        assert_eq!(subscription.list_changed, expected, "{filter}");
    }
}

#[test]
fn a_cancelled_request_is_named_by_its_id() {
    let mut asked = Asked::new();
    let cancel =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x"}}"#;
    let Action::Cancel(id) = asked.action(cancel) else { panic!() };
    let Action::Call(call) = asked.action(&legacy("tools/call", r#"{"name":"add"}"#)) else {
        panic!()
    };
    assert_eq!(id, call.id);
    let malformed =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[]}}"#;
    assert!(matches!(asked.action(malformed), Action::Ignore));
}

#[test]
fn any_bytes_are_answered_by_at_most_one_line() {
    rpc_fuzz::bytes("mcp", |bytes| {
        let mut asked = Asked::new();
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let line = match asked.action(text) {
            Action::Reply(reply) => reply.json,
            Action::List(list) => list.text(),
            _ => return,
        };
        assert!(!line.contains('\n'), "{line}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["jsonrpc"], "2.0");
    });
}
