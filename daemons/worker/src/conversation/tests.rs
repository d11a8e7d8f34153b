//! Lines in, events out.

use serde_json::json;
use serde_json::value::to_raw_value;

use super::*;
use crate::reason::Reason;

const TIMEOUT: Duration = Duration::from_secs(1);
const LINGER: Duration = Duration::from_secs(5);

/// With these timeouts, and so many calls at a time.
fn limits(concurrency: usize) -> WorkerLimits {
    WorkerLimits::default().concurrency(concurrency).cancel_timeout(TIMEOUT).linger_timeout(LINGER)
}

struct Talk {
    it: Conversation<&'static str>,
    now: Instant,
}

/// An event, with its values as text.
fn text(event: Event<&'static str>) -> Event<&'static str, String> {
    let text = |value: Box<RawValue>| value.get().to_owned();
    match event {
        Event::Done(who, outcome) => Event::Done(who, outcome.map(text)),
        Event::Item(id, item) => Event::Item(id, text(item)),
        Event::Unfit(id, fault) => Event::Unfit(id, fault),
        Event::End(who) => Event::End(who),
        Event::Nothing => Event::Nothing,
    }
}

impl Talk {
    /// With these calls in flight, as calls 1, 2, …, which are all that it may have at a time.
    fn with(calls: &[&'static str]) -> Self {
        let mut it = Conversation::new(&limits(calls.len()));
        for (who, id) in calls.iter().zip(1..) {
            *it.call(id, "m", &Args::none(), &RequestMeta::default()) = Some(*who);
        }
        it.take_output();
        Self { it, now: Instant::now() }
    }

    fn after(&mut self, ms: u64) -> &mut Self {
        self.now += Duration::from_millis(ms);
        self
    }

    fn says(&mut self, line: &str) -> Event<&'static str, String> {
        text(self.it.line(line.as_bytes(), self.now).unwrap())
    }

    /// Gets another call.
    fn calls(&mut self, id: u64, who: &'static str) {
        *self.it.call(id, "m", &Args::none(), &RequestMeta::default()) = Some(who);
    }

    /// In how many milliseconds to look again.
    fn check(&mut self) -> Result<Option<u128>, Offence> {
        let at = self.it.check(self.now)?;
        Ok(at.map(|at| (at - self.now).as_millis()))
    }

    fn cancel(&mut self, id: u64) {
        assert!(self.it.cancel(id, self.now));
    }

    fn offends(&mut self, line: &str) -> String {
        Reason::from(self.it.line(line.as_bytes(), self.now).unwrap_err()).to_string()
    }

    fn output(&mut self) -> String {
        String::from_utf8(self.it.take_output()).unwrap()
    }
}

fn result(who: &'static str, value: &str) -> Event<&'static str, String> {
    Event::Done(who, Ok(value.to_owned()))
}

#[test]
fn it_begins_with_the_question_for_the_methods() {
    let mut it = Conversation::<()>::new(&limits(1));
    let question = it.take_output();
    let expected =
        "{\"id\":0,\"method_name\":\"rpc.discover\",\"method_args\":[],\"method_kwargs\":{}}\n";
    assert_eq!(String::from_utf8(question).unwrap(), expected);
    let classic =
        br#"{"id":0,"res":[{"method_name":"add","method_args":["a"],"method_kwargs":{}}]}"#;
    assert_eq!(it.listing(classic).unwrap().methods[0].parameters[0].name, "a");
    let openrpc = br#"{"id":0,"res":{"methods":[{"name":"add","x-idempotent":true}]}}"#;
    assert!(it.listing(openrpc).unwrap().methods[0].effect.is_idempotent());
}

#[test]
fn what_is_no_list_of_methods_is_an_offence() {
    let mut it = Conversation::<()>::new(&limits(1));
    for (line, text) in [
        ("ready", "no message"),
        (r#"{"id":1,"res":[]}"#, "expected the reply to rpc.discover"),
        (r#"{"id":0,"res":7}"#, "or an OpenRPC document"),
        (r#"{"id":0,"result":[]}"#, "neither res nor error"),
        (r#"{"id":0,"res":"","error":{"code":-32601,"message":"x"}}"#, "No service found for: x"),
    ] {
        let said = Reason::from(it.listing(line.as_bytes()).unwrap_err()).to_string();
        assert!(said.contains(text), "{line}: {said}");
    }
}

#[test]
fn a_call_is_one_line_with_its_id_and_what_is_left_of_its_time() {
    let mut talk = Talk::with(&[]);
    let args = Args::from_values(&[1.into()], &serde_json::Map::new());
    let meta = RequestMeta { deadline_ms: Some(9), stream: true, ..RequestMeta::default() };
    *talk.it.call(7, "m", &args, &meta) = Some("a");
    assert_eq!(
        talk.output(),
        "{\"id\":7,\"method_name\":\"m\",\"method_args\":[1],\"method_kwargs\":{},\"meta\":{\"deadline_ms\":9,\"stream\":true}}\n"
    );
}

#[test]
fn replies_come_in_any_order() {
    let mut talk = Talk::with(&["a", "b", "c"]);
    assert_eq!(talk.says(r#"{"id":3,"res":[1]}"#), result("c", "[1]"));
    let error = r#"{"id":1,"error":{"code":7,"message":"no"}}"#;
    let Event::Done("a", Err(fault)) = talk.says(error) else { panic!("{error}") };
    assert_eq!((fault.code.number(), fault.message.as_str()), (7, "no"));
    assert_eq!(talk.says(r#"{"res":null,"id":2}"#), result("b", "null"));
    assert_eq!(talk.it.in_flight(), 0);
}

#[test]
fn a_stream_has_items_and_an_end() {
    let mut talk = Talk::with(&["a"]);
    assert_eq!(talk.says(r#"{"id":1,"item":5}"#), Event::Item(1, "5".to_owned()));
    assert_eq!(talk.says(r#"{"id":1,"end":true}"#), Event::End("a"));
    assert_eq!(talk.says(r#"{"id":1,"item":6}"#), Event::Nothing);
}

#[test]
fn blank_lines_and_replies_to_nobody_are_ignored() {
    let mut talk = Talk::with(&["a"]);
    for line in [
        "",
        " \r",
        r#"{"id":9,"res":1}"#,
        r#"{"id":9,"end":true}"#,
        r#"{"draining":true}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}"#,
        r#"{"id":"1","res":1}"#,
        r#"{"id":"1","res":NaN}"#,
    ] {
        assert_eq!(talk.says(line), Event::Nothing, "{line}");
    }
    assert_eq!(talk.it.in_flight(), 1);
}

#[test]
fn what_is_no_message_is_an_offence_that_says_where_to_print() {
    let mut talk = Talk::with(&["a"]);
    for line in ["hello", "3", "[]", "{", r#"{"res":1}"#, "\u{fffd}"] {
        let said = talk.offends(line);
        assert!(said.contains("no message"), "{said}");
        assert_eq!(said.contains("standard error"), !line.starts_with('{'), "{said}");
    }
    for long in ["é", "\u{12}"].map(|it| talk.offends(&it.repeat(1000))) {
        assert!(long.chars().count() < 300, "{long}");
    }
}

#[test]
fn a_reply_that_cannot_be_read_fails_its_call_only() {
    let mut talk = Talk::with(&["a", "b", "c", "d", "e", "f", "g"]);
    for (who, line, why) in [
        ("c", r#"{"id": 3, "res": NaN}"#, "NaN"),
        ("a", r#"{"res": [-Infinity], "id": 1}"#, "NaN or Infinity"),
        ("b", r#"{"id":2,"error":{"code":7,"message":"x","data":[1e999]}}"#, "the number 1e999"),
        ("d", r#"{"id":4,"error":"boom"}"#, "must be an object with code and message"),
        ("e", r#"{"id":5,"res":'single'}"#, "not JSON"),
        ("g", r#"{"id":1,"res":1,"id":7}"#, "duplicate field `id`"),
    ] {
        let Event::Done(whose, Err(fault)) = talk.says(line) else { panic!("{line}") };
        assert_eq!((whose, fault.code.number()), (who, -32603), "{line}");
        assert!(fault.message.contains(why), "{line}: {}", fault.message);
    }
    assert_eq!(talk.says(r#"{"id":9,"res":NaN}"#), Event::Nothing, "a reply to nobody");
    let item = talk.says(r#"{"id":6,"item":NaN}"#);
    assert!(matches!(item, Event::Unfit(6, _)), "{item:?}");
}

#[test]
fn a_line_that_is_too_long_fails_its_call_only_if_that_is_known() {
    let mut talk = Talk::with(&["a", "b"]);
    let now = talk.now;
    let mut begins = |line: &str| talk.it.long_line(line.as_bytes(), 9, now).map(text);
    let Ok(Event::Done("b", Err(fault))) = begins(r#"{"id": 2, "res": "xxx"#) else { panic!() };
    assert!(fault.code == Code::MethodFailed && fault.message.contains("max_line_bytes"));
    assert!(matches!(begins(r#"{"id":1,"item":"xxx"#), Ok(Event::Unfit(1, _))));
    assert_eq!(begins(r#"{"res":"xxx"#), Err(Offence::TooLong(9)));
}

#[test]
fn a_code_that_says_that_a_call_did_not_run_is_not_the_workers() {
    for (given, code) in
        [(7, 7), (-32602, -32602), (-32050, -32050), (-32002, -32603), (-32601, -32603)]
    {
        let mut talk = Talk::with(&["a"]);
        let line =
            format!(r#"{{"id":1,"error":{{"code":{given},"message":"sold out","data":[1]}}}}"#);
        let Event::Done("a", Err(fault)) = talk.says(&line) else { panic!("{line}") };
        assert_eq!((fault.code.number(), fault.data), (code, Some(json!([1]))), "{line}");
        assert!(fault.message.contains("sold out"), "{}", fault.message);
        assert_eq!(fault.message.contains(&format!("code {given}")), given != code);
        let contradicts = fault.message.starts_with("the worker lists this method");
        assert_eq!(contradicts, given == -32601, "{}", fault.message);
    }
}

#[test]
fn an_error_that_cannot_be_read_since_it_is_too_deep_fails_its_call_only() {
    let mut talk = Talk::with(&["a", "b"]);
    let data = "[".repeat(1000) + &"]".repeat(1000);
    let line = format!(r#"{{"id":2,"error":{{"code":7,"message":"x","data":{data}}}}}"#);
    let Event::Done("b", Err(fault)) = talk.says(&line) else { panic!() };
    assert!(fault.message.contains("deeper than 128"), "{}", fault.message);
}

#[test]
fn what_clients_would_refuse_fails_its_call_only() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let mut talk = Talk::with(&["a", "b", "c", "d", "e"]);
    let value = deep(127);
    assert_eq!(talk.says(&format!(r#"{{"id":1,"res":{value}}}"#)), result("a", &value));
    for (who, id, key, value, why) in [
        ("b", 2, "res", deep(128), "deeper than 128"),
        ("c", 3, "res", deep(100_000), "deeper than 128"),
        ("d", 4, "res", "[1e999]".to_owned(), "1e999, which is read as an infinity"),
        (
            "e",
            5,
            "error",
            format!(r#"{{"code":7,"message":"x","data":{value}}}"#),
            "deeper than 128",
        ),
    ] {
        let Event::Done(whose, Err(fault)) =
            talk.says(&format!(r#"{{"id":{id},"{key}":{value}}}"#))
        else {
            panic!("{id}");
        };
        assert!(whose == who && fault.message.contains(why), "{whose}: {fault:?}");
        assert_eq!(fault.code.number(), -32603);
    }
    let mut talk = Talk::with(&["a"]);
    let item = talk.says(&format!(r#"{{"id":1,"item":{}}}"#, deep(128)));
    assert!(matches!(item, Event::Unfit(1, _)), "{item:?}");
}

#[test]
fn a_cancelled_call_keeps_its_place_until_the_process_ends_it() {
    let mut talk = Talk::with(&["a", "b"]);
    talk.cancel(1);
    talk.cancel(1);
    assert_eq!(talk.output(), "{\"cancel\":1}\n");
    assert_eq!(talk.it.in_flight(), 2);
    assert_eq!(talk.says(r#"{"id":1,"item":5}"#), Event::Nothing);
    assert_eq!(talk.says(r#"{"id":1,"res":5}"#), Event::Nothing);
    assert_eq!(talk.it.in_flight(), 1);
    assert!(!talk.it.cancel(1, talk.now) && !talk.it.cancel(99, talk.now));
}

#[test]
fn one_that_says_nothing_after_a_cancel_has_hung() {
    let mut talk = Talk::with(&["a"]);
    talk.cancel(1);
    assert_eq!(talk.check(), Ok(Some(1000)));
    talk.after(999);
    assert_eq!(talk.check(), Ok(Some(1)));
    talk.after(1);
    assert_eq!(talk.check(), Err(Offence::Silent(TIMEOUT)));
}

#[test]
fn one_that_writes_a_cancelled_stream_has_not_hung_for_a_while() {
    let mut talk = Talk::with(&["a"]);
    talk.cancel(1);
    for _ in 0..9 {
        talk.after(500);
        assert_eq!(talk.says(r#"{"id":1,"item":5}"#), Event::Nothing, "nobody waits for it");
        assert!(talk.check().is_ok());
        assert_eq!(talk.it.in_flight(), 1, "it would not read another call");
    }
    assert_eq!(talk.check(), Ok(Some(500)));
    talk.after(500);
    assert_eq!(talk.says(r#"{"id":1,"item":5}"#), Event::Nothing);
    assert_eq!(talk.check(), Err(Offence::Lingering(LINGER)));
    assert_eq!(talk.says(r#"{"id":1,"end":true}"#), Event::Nothing);
    assert_eq!(talk.check(), Ok(None), "but for its end");
}

#[test]
fn one_that_stops_to_write_a_cancelled_stream_has_hung() {
    let mut talk = Talk::with(&["a"]);
    talk.cancel(1);
    talk.after(900).says(r#"{"id":1,"item":5}"#);
    talk.after(100);
    assert_eq!(talk.check(), Ok(Some(900)));
    talk.after(900);
    assert_eq!(talk.check(), Err(Offence::Silent(TIMEOUT)));
}

#[test]
fn one_that_takes_longer_for_all_its_calls_loses_none_for_one_that_was_cancelled() {
    let mut talk = Talk::with(&["a", "b", "c"]);
    talk.cancel(1);
    talk.after(1000);
    assert_eq!(talk.check(), Ok(None));
    assert_eq!(talk.it.in_flight(), 2, "its place is free");
    talk.after(60_000);
    assert_eq!(talk.check(), Ok(None));
    assert_eq!(talk.says(r#"{"id":2,"res":5}"#), result("b", "5"));
    assert_eq!(talk.says(r#"{"id":1,"res":5}"#), Event::Nothing);
    assert_eq!(talk.it.in_flight(), 1);
}

#[test]
fn one_of_which_as_many_calls_as_it_may_have_are_overdue_has_hung_unless_it_writes() {
    let mut talk = Talk::with(&["a", "b"]);
    talk.cancel(1);
    talk.after(1000);
    assert_eq!(talk.check(), Ok(None));
    talk.calls(3, "c");
    talk.after(30_000).cancel(3);
    talk.after(999);
    assert_eq!(talk.check(), Ok(Some(1)));
    talk.says(r#"{"id":3,"item":5}"#);
    talk.after(1);
    assert_eq!(talk.check(), Ok(Some(999)), "it has just written");
    assert_eq!(talk.it.in_flight(), 1);
    talk.after(999);
    assert_eq!(talk.check(), Err(Offence::Silent(TIMEOUT)));
}

#[test]
fn no_more_calls_are_forgotten_than_it_may_have_and_when_none_has_a_place_it_is_given_up() {
    let mut talk = Talk::with(&["a", "b"]);
    talk.cancel(1);
    talk.cancel(2);
    talk.says(r#"{"id":1,"item":5}"#);
    talk.after(999).says(r#"{"id":1,"item":5}"#);
    talk.after(1);
    assert!(talk.check().is_ok());
    assert_eq!(talk.it.in_flight(), 0);
    talk.calls(3, "c");
    talk.calls(4, "d");
    talk.cancel(3);
    talk.cancel(4);
    for _ in 0..9 {
        talk.after(500).says(r#"{"id":1,"item":5}"#);
        assert!(talk.check().is_ok());
        assert_eq!(talk.it.in_flight(), 2, "they are too many");
    }
    talk.after(500).says(r#"{"id":1,"item":5}"#);
    assert_eq!(talk.check(), Err(Offence::Lingering(LINGER)));
    talk.says(r#"{"id":1,"end":true}"#);
    assert!(talk.check().is_ok());
    assert_eq!(talk.it.in_flight(), 1, "one has the room of that which ended");
}

#[test]
fn what_the_process_did_not_begin_to_get_was_not_executed() {
    let mut it = Conversation::new(&limits(1));
    let question = it.take_output();
    it.wrote(question.len());
    for (id, who) in [(1, "a"), (2, "b"), (3, "c")] {
        *it.call(id, "m", &Args::none(), &RequestMeta::default()) = Some(who);
    }
    it.cancel(1, Instant::now());
    let line = it.take_output().len() / 3;
    it.wrote(line + 1);
    assert_eq!(it.finish(0), (vec!["c"], vec!["b"]));
}

#[test]
fn any_bytes_as_a_line_of_a_worker() {
    rpc_fuzz::bytes("worker_line", |bytes| {
        let now = Instant::now();
        let mut it = Conversation::new(&limits(1));
        let _ = it.listing(bytes);
        for id in 1..4 {
            *it.call(id, "m", &Args::none(), &RequestMeta::default()) = Some(id);
        }
        it.cancel(2, now);
        for line in bytes.split(|byte| *byte == b'\n') {
            let before = it.in_flight();
            let ended = match it.line(line, now) {
                Ok(Event::Done(id, outcome)) => {
                    assert_ne!(id, 2, "nobody waits for it");
                    // What is passed on is JSON on its own.
                    assert!(outcome.is_err() || to_raw_value(&outcome.unwrap()).is_ok());
                    1
                }
                Ok(Event::End(_)) => 1,
                Ok(Event::Item(id, _) | Event::Unfit(id, _)) => {
                    assert!(it.waiting(id).is_some());
                    0
                }
                Ok(Event::Nothing) => before - it.in_flight(),
                Err(offence) => {
                    assert!(Reason::from(offence).to_string().chars().count() < 600);
                    0
                }
            };
            assert_eq!(before - it.in_flight(), ended);
        }
        let _ = it.long_line(bytes, 1, now);
        let _ = it.check(now + TIMEOUT);
    });
}
