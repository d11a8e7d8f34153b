//! Results of calls, without servers.

use std::time::Duration;

use rpc_client::{Args, Phase};
use serde_json::{Value, json};

use super::*;
use crate::era::Era;
use crate::message::Id;
use crate::tools::tests::{reads, tools_of};

fn call(era: Era, result: Value) -> Call {
    let tools = tools_of(&[reads("get", result)]);
    Call {
        id: serde_json::from_str::<Id>("1").unwrap(),
        era,
        tool: tools.find("get", &|_| true).unwrap().clone(),
        service: None,
        arguments: Args::none(),
        progress: None,
        client: None,
        traceparent: None,
    }
}

fn result(outcome: &Outcome, era: Era, schema: Value) -> Value {
    let reply = outcome.reply(&call(era, schema));
    assert!(!reply.json.contains('\n'));
    serde_json::from_str::<Value>(&reply.json).unwrap()["result"].take()
}

fn value(text: &str) -> Outcome {
    Outcome::Value(RawValue::from_string(text.to_owned()).unwrap())
}

fn failed(code: Code, message: &str) -> Outcome {
    let fault = Fault::new(code, message).into();
    Outcome::Failed(CallError::Remote { peer: "10.0.0.7:8089".to_owned(), fault })
}

fn failed_with(code: Code, data: Value) -> Outcome {
    let fault = Fault::new(code, "no").with_data(data).into();
    Outcome::Failed(CallError::Remote { peer: "10.0.0.7:8089".to_owned(), fault })
}

fn advice(outcome: &Outcome) -> String {
    let result = result(outcome, Era::Modern, json!(true));
    assert_eq!(result["isError"], true);
    assert_eq!(result.get("structuredContent"), None);
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

/// Clients that check it refuse the whole result, so that agents saw none.
#[test]
fn a_result_that_is_not_of_the_type_of_the_tool_is_a_text_that_says_so() {
    for era in [Era::Modern, Era::Legacy] {
        for (schema, json, types) in [
            (json!({"type": "integer"}), r#""aa""#, "an integer"),
            (json!({"type": "integer"}), "1.5", "an integer"),
            (json!({"type": "string"}), "null", "a string"),
            (
                json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}}),
                "[1]",
                "a JSON object",
            ),
        ] {
            let result = result(&value(json), era, schema);
            assert_eq!((&result["isError"], result.get("structuredContent")), (&json!(true), None));
            assert_eq!(result["content"][0]["text"], json.trim_matches('"'));
            let said = result["content"][1]["text"].as_str().unwrap();
            assert!(said.starts_with("get was called, and this is its result"), "{said}");
            assert!(said.contains(&format!("says: {types}")), "{said}");
        }
        for (schema, json) in [
            (json!({"type": "integer"}), "3.0"),
            (json!({"type": ["integer", "null"]}), "null"),
            (json!({}), r#""x""#),
        ] {
            let result = result(&value(json), era, schema);
            assert_eq!(result["isError"], false, "{json}: {result}");
        }
    }
}

#[test]
fn a_result_is_structured_with_its_text_beside_it() {
    let result = result(&value("{\"a\":\n 1.50}"), Era::Modern, json!({"type": "object"}));
    assert_eq!(result["content"], json!([{"type": "text", "text": "{\"a\":1.50}"}]));
    assert_eq!(result["structuredContent"], json!({"a": 1.5}));
    assert_eq!((&result["isError"], &result["resultType"]), (&json!(false), &json!("complete")));
}

#[test]
fn a_string_is_text_without_quotes() {
    let result = result(&value("\"a\\nb\""), Era::Modern, json!({"type": "string"}));
    assert_eq!(result["content"][0]["text"], "a\nb");
    assert_eq!(result["structuredContent"], "a\nb");
}

#[test]
fn in_earlier_versions_structured_content_is_an_object_as_the_schema_says() {
    let structured = |text: &str, schema: Value| {
        result(&value(text), Era::Legacy, schema)["structuredContent"].clone()
    };
    assert_eq!(structured("{\"a\":1}", json!({"type": "object"})), json!({"a": 1}));
    assert_eq!(structured("3", json!({"type": "number"})), json!({"result": 3}));
    // Of a schema that says no type each value is wrapped; without one only what is no object.
    let either = json!({"anyOf": [{"type": "object"}, {"type": "null"}]});
    assert_eq!(structured("{\"a\":1}", either), json!({"result": {"a": 1}}));
    assert_eq!(structured("{\"a\":1}", json!(true)), json!({"a": 1}));
    assert_eq!(structured("null", json!(true)), json!({"result": null}));
}

#[test]
fn items_are_a_list_and_a_stop_is_said() {
    let items = vec!["1".to_owned(), "[2]".to_owned()];
    let outcome = Outcome::Items { items, stopped: Some(Stopped::Time) };
    let result = result(&outcome, Era::Modern, json!(true));
    assert_eq!(result["structuredContent"], json!([1, [2]]));
    assert_eq!(result["content"][0]["text"], "[1,[2]]");
    assert!(result["content"][1]["text"].as_str().unwrap().contains("first 2 items"));
}

#[test]
fn data_of_an_error_is_told_as_far_as_there_is_room_for_what_to_do() {
    let text = advice(&failed_with(Code::BadArguments, json!("by position\u{9b}\n only")));
    let told = r#"no ("by position\u{9b}\n only"). Correct them"#;
    assert!(text.contains(told), "{text}");
    let text = advice(&failed_with(Code::MethodNotFound, json!({"only": ["put"]})));
    assert!(text.contains(r#" ({"only":["put"]}); list the tools"#), "{text}");
    let text = advice(&failed_with(Code::BadArguments, json!("x".repeat(99_999))));
    assert!(text.ends_with("call again.") && text.len() < 4000, "{}", text.len());
}

#[test]
fn a_failure_says_what_to_do_and_neither_code_nor_address() {
    let timeout = |phase| {
        let peer = "10.0.0.7:8089".to_owned();
        Outcome::Failed(CallError::Timeout { peer, after: Duration::from_secs(30), phase })
    };
    let lost = |executed| {
        Outcome::Failed(CallError::ConnectionLost {
            peer: "10.0.0.7:8089".to_owned(),
            reason: "reset".to_owned(),
            executed,
        })
    };
    let again = "call it again only if that does no harm";
    for (outcome, says) in [
        (failed(Code::BadArguments, "'a' is missing"), "'a' is missing. Correct them"),
        (failed(Code::MethodFailed, "no such order"), "get failed: no such order"),
        (failed(Code::Other(-32050), "odd"), "get failed: odd"),
        (failed(Code::Overloaded, "busy"), "try again in a moment"),
        (failed(Code::Draining, "bye"), "try again in a moment"),
        (failed(Code::DeadlineExceeded, "late"), again),
        (failed(Code::Abandoned, "killed"), again),
        (failed(Code::Unauthorised, "role call is missing"), "Tell this to who runs the gateway"),
        (failed(Code::TooLarge, "the reply is too long"), "Ask for less"),
        (failed(Code::MethodNotFound, "get"), "list the tools again"),
        (timeout(Phase::Reply), again),
        (timeout(Phase::Connect), "was not called"),
        (lost(true), again),
        (lost(false), "was not called"),
        (Outcome::Busy { limit: 3 }, "3 calls are in flight"),
        (Outcome::TooLarge { limit: 9 }, "more than 9 bytes"),
    ] {
        let advice = advice(&outcome);
        assert!(advice.contains(says), "{advice:?} lacks {says:?}");
        assert!(!advice.contains("-320") && !advice.contains("10.0.0.7"), "{advice}");
    }
}

#[test]
fn a_long_error_is_cut() {
    let advice = advice(&failed(Code::MethodFailed, &"ü".repeat(100_000)));
    assert!(advice.len() < 9000 && advice.ends_with('…'), "{} bytes", advice.len());
}

#[test]
fn a_result_that_an_agent_cannot_read_is_told_instead_of_passed_on() {
    for text in [r#""\ud800""#, "1e999"] {
        let advice = advice(&value(text).readable());
        assert!(advice.starts_with("get was called, but its result is no JSON"), "{advice}");
    }
    let items =
        Outcome::Items { items: vec!["1".to_owned(), r#""\udfff""#.to_owned()], stopped: None };
    assert_eq!(items.readable().word(), "unreadable");
    assert_eq!(value("[1]").readable().word(), "ok");
}
