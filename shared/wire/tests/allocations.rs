//! The codec allocates nothing per call.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect")]

use allocation_counter::measure;
use rpc_wire::call::{IntoArgs, Message, Messages, Reply, ReplyTo, reply, request};
use rpc_wire::framing::{FrameLimits, Framer};
use rpc_wire::json::Json;
use rpc_wire::report::{Level, LogLine, LogSearch};

const CLASSIC: &[u8] = br#"{"method_name":"add","method_args":[1,2],"method_kwargs":{}}"#;
const EXTENDED: &[u8] = br#"{"id":7,"method_name":"add","method_args":[1,2],"method_kwargs":{"c":3},"meta":{"deadline_ms":2500}}"#;
/// White space that clients do not write: read by the framer and serde_json, not in one pass.
const GENERAL: &[u8] =
    b"{\n\"id\":7,\"method_name\":\"add\",\"method_args\":[1,2],\"method_kwargs\":{}}";
const LIMITS: FrameLimits = FrameLimits { max_bytes: 1 << 20, max_depth: 128 };

/// Allocations of 100 runs of `work`, after one run to warm up.
fn allocations(mut work: impl FnMut()) -> u64 {
    work();
    measure(|| (0..100).for_each(|_| work())).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(7)))), 100);
}

#[test]
fn reading_a_call_allocates_nothing_however_it_is_written_or_split() {
    for bytes in [CLASSIC, EXTENDED, GENERAL] {
        for cut in 0..bytes.len() {
            let count = allocations(|| {
                let mut framer = Framer::new(LIMITS);
                assert!(matches!(Messages::new(&mut framer, &bytes[..cut]).next(), Ok(None)));
                let read = Messages::new(&mut framer, bytes).next();
                assert!(matches!(read, Ok(Some((Ok(Message::Call(_)), _)))));
            });
            assert_eq!(count, 0, "{} cut at {cut}", String::from_utf8_lossy(bytes));
        }
    }
}

#[test]
fn writing_calls_and_replies_into_a_used_buffer_allocates_nothing() {
    let args = (1, 2).into_args().unwrap();
    let id = serde_json::value::RawValue::from_string("7".to_owned()).unwrap();
    let mut out = Vec::new();
    let count = allocations(|| {
        out.clear();
        request::classic(&mut out, "add", &args);
        request::extended(&mut out, 7, "add", &args, &request::RequestMeta::default());
        for to in [ReplyTo::Classic, ReplyTo::Extended(Json::from(&id))] {
            reply::begin_result(&mut out, to);
            out.extend_from_slice(b"13");
            reply::end_result(&mut out);
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn reading_a_reply_allocates_nothing() {
    for bytes in [&b"{\"id\":7,\"res\":13}\n"[..], b"{\"res\":13}", b"{\"id\":7,\"item\":[1]}\n"] {
        let count = allocations(|| match Reply::parse(bytes) {
            Ok(Reply::Done { outcome: Ok(_), .. } | Reply::Item { .. }) => {}
            other => panic!("{other:?}"),
        });
        assert_eq!(count, 0, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn searching_log_lines_allocates_nothing() {
    let line: LogLine = serde_json::from_str(
        r#"{"seq":1,"at_ms":2,"level":"info","target":"t","message":"registered ÄÖ",
            "fields":{"peer":"127.0.0.1","n":17,"list":[1,{"a":null}]}}"#,
    )
    .unwrap();
    for (contains, found) in [("N=17", true), ("äö", true), ("z", false)] {
        let mut search = LogSearch::new(Level::Info, contains);
        let count = allocations(|| assert_eq!(search.finds(&line), found, "{contains}"));
        assert_eq!(count, 0, "{contains}");
    }
}
