//! Calls and processes come and go.

use std::time::Duration;

use rpc_wire::signature::{Signature, from_classic};
use serde_json::json;

use super::*;

/// A crew, the clock, and the processes' sides of their conversations.
struct Site {
    crew: Crew,
    takes: Arc<Takes>,
    limits: WorkerLimits,
    now: Instant,
}

fn listed(name: &str, parameters: &[&str]) -> Signature {
    let list = json!([{"method_name": name, "method_args": parameters, "method_kwargs": {}}]);
    from_classic(&list.to_string()).unwrap().remove(0)
}

type Result_ = oneshot::Receiver<Result<Untaken, Fault>>;

impl Site {
    fn new(limits: WorkerLimits) -> Self {
        let methods = ["m", "idempotent"].map(|name| listed(name, &[]));
        let takes = Arc::new(Takes::of(&methods));
        Self { crew: Crew::new(limits.clone()), takes, limits, now: Instant::now() }
    }

    fn with_processes(limits: WorkerLimits, processes: u64) -> Self {
        let mut site = Self::new(limits);
        for key in 0..processes {
            site.joins(key);
        }
        site
    }

    fn joins(&mut self, key: u64) {
        let conversation = Conversation::new(&self.limits);
        self.crew.lists(self.takes.clone());
        self.crew.join(key, (conversation, self.takes.clone()), Arc::default(), self.now);
    }

    /// Submits a call; its id, and what its caller waits for.
    fn calls(&mut self, method: &str) -> (u64, Result_) {
        let (result, received) = oneshot::channel();
        let id = self.submit(method, Answer::Once(result), None).unwrap();
        (id, received)
    }

    fn submit(
        &mut self,
        method: &str,
        answer: Answer,
        deadline: Option<Instant>,
    ) -> Result<u64, Fault> {
        let call = Call::in_process(method);
        let job = Job {
            call: match deadline {
                Some(deadline) => call.with_deadline(deadline),
                None => call,
            },
            args: Args::none(),
            shape: Arc::new(Shape::of(&listed(method, &[]))),
            answer,
            may_run_again: method == "idempotent",
            id: 0,
            given: None,
        };
        self.crew.submit(job, self.now)
    }

    /// The ids of the calls that a process gets now, all of its output written.
    fn gets(&mut self, key: u64) -> Vec<u64> {
        let conversation = self.crew.with(key).unwrap();
        let output = conversation.take_output();
        conversation.wrote(output.len());
        let text = String::from_utf8(output).unwrap();
        let lines = text.lines().filter(|line| !line.contains("rpc.discover"));
        let id = |line: &str| {
            let message: serde_json::Value = serde_json::from_str(line).unwrap();
            message["id"].as_u64()
        };
        lines.filter_map(id).collect()
    }

    fn says(&mut self, key: u64, line: String) -> Option<Stalled> {
        self.crew.line(key, line.as_bytes(), self.now).unwrap()
    }

    fn answers(&mut self, key: u64, id: u64) {
        assert!(self.says(key, format!(r#"{{"id":{id},"res":{id}}}"#)).is_none());
    }
}

fn answer(received: &mut Result_) -> Option<Result<String, Code>> {
    let outcome = received.try_recv().ok()?;
    Some(outcome.map(|value| value.take().get().to_owned()).map_err(|fault| fault.code))
}

#[test]
fn a_process_gets_the_next_call_when_it_has_answered_the_one_before() {
    let mut site = Site::with_processes(WorkerLimits::default(), 1);
    let (first, mut result) = site.calls("m");
    let (second, _waits) = site.calls("m");
    assert_eq!(site.gets(0), [first]);
    site.answers(0, first);
    assert_eq!(answer(&mut result), Some(Ok(first.to_string())));
    assert_eq!(site.gets(0), [second]);
}

#[test]
fn each_call_goes_to_the_process_with_the_fewest_in_flight() {
    let mut site = Site::with_processes(WorkerLimits::default().concurrency(2), 2);
    let waits: Vec<_> = (0..5).map(|_| site.calls("m")).collect();
    assert_eq!((site.gets(0), site.gets(1)), (vec![1, 3], vec![2, 4]));
    site.answers(1, 4);
    assert_eq!((site.gets(0), site.gets(1)), (vec![], vec![5]));
    drop(waits);
}

#[test]
fn calls_wait_for_a_process_and_beyond_the_limit_they_are_refused() {
    let mut site = Site::new(WorkerLimits::default().max_queued_calls(2));
    let waits = [site.calls("m"), site.calls("m")];
    let refused = site.submit("m", Answer::Once(oneshot::channel().0), None).unwrap_err();
    assert_eq!(refused.code, Code::Overloaded);
    assert!(refused.message.contains("max_queued_calls"));
    site.joins(0);
    assert_eq!(site.gets(0), [1]);
    drop(waits);
}

#[test]
fn a_call_that_nobody_waits_for_any_longer_is_not_sent() {
    let mut site = Site::new(WorkerLimits::default());
    let (id, _waits) = site.calls("m");
    site.crew.cancel(id, site.now);
    drop(site.calls("m"));
    let late = site.now;
    let (result, mut is_late) = oneshot::channel();
    site.submit("m", Answer::Once(result), Some(late)).unwrap();
    let (last, _waits) = site.calls("m");
    site.joins(0);
    assert_eq!(site.gets(0), [last]);
    assert_eq!(answer(&mut is_late), Some(Err(Code::DeadlineExceeded)), "and not lost");
}

#[test]
fn what_a_dead_process_had_fails_unless_it_may_run_again_or_never_began() {
    let mut site = Site::with_processes(WorkerLimits::default().concurrency(3), 1);
    let (_, mut lost) = site.calls("m");
    let (again, mut repeated) = site.calls("idempotent");
    assert_eq!(site.gets(0), [1, 2]);
    let (unsent, mut waiting) = site.calls("m");
    assert_eq!(site.crew.leave(0, "was killed", 0, site.now).lost, 1);
    assert_eq!(answer(&mut lost), Some(Err(Code::Abandoned)));
    assert_eq!((answer(&mut repeated), answer(&mut waiting)), (None, None));
    site.joins(1);
    assert_eq!(site.gets(1), [again, unsent], "in the order in which they came");
    assert_eq!(site.crew.leave(1, "was killed", 0, site.now).lost, 2, "once only");
    assert_eq!(answer(&mut repeated), Some(Err(Code::Abandoned)));
}

fn stream(room: usize) -> (Answer, mpsc::Receiver<Untaken>, oneshot::Receiver<Result<(), Fault>>) {
    let (items, received) = mpsc::channel(room);
    let (end, ended) = oneshot::channel();
    (Answer::Many { items, end }, received, ended)
}

#[test]
fn a_stream_without_room_stalls_its_process_and_loses_nothing() {
    let mut site = Site::with_processes(WorkerLimits::default(), 1);
    let (answer, mut items, mut ended) = stream(1);
    let id = site.submit("m", answer, None).unwrap();
    assert!(site.says(0, format!(r#"{{"id":{id},"item":1}}"#)).is_none());
    let stalled = site.says(0, format!(r#"{{"id":{id},"item":2}}"#)).unwrap();
    assert_eq!((stalled.id, stalled.item.value.get()), (id, "2"));
    assert_eq!(items.try_recv().unwrap().take().get(), "1");
    stalled.items.try_send(stalled.item).unwrap();
    site.says(0, format!(r#"{{"id":{id},"end":true}}"#));
    assert_eq!(items.try_recv().unwrap().take().get(), "2");
    assert_eq!(ended.try_recv().unwrap(), Ok(()));
}

#[test]
fn a_reader_that_took_nothing_while_another_one_stalled_the_process_has_no_time_of_its_own() {
    let mut site = Site::with_processes(WorkerLimits::default().concurrency(2), 1);
    let ((one, _reads), (other, _reads_not)) = {
        let (one, items, ended) = stream(1);
        let (other, items_, ended_) = stream(1);
        ((one, (items, ended)), (other, (items_, ended_)))
    };
    let ids = [site.submit("m", one, None).unwrap(), site.submit("m", other, None).unwrap()];
    let began = site.now;
    for id in ids {
        assert!(site.says(0, format!(r#"{{"id":{id},"item":1}}"#)).is_none());
    }
    for id in ids {
        site.now += Duration::from_secs(10);
        let stalled = site.says(0, format!(r#"{{"id":{id},"item":2}}"#)).unwrap();
        assert_eq!((stalled.id, stalled.since), (id, began));
    }
}

#[test]
fn a_stream_that_a_process_dies_of_ends_with_an_error() {
    let mut site = Site::with_processes(WorkerLimits::default(), 1);
    let (answer, mut items, mut ended) = stream(4);
    let id = site.submit("idempotent", answer, None).unwrap();
    site.gets(0);
    site.says(0, format!(r#"{{"id":{id},"item":1}}"#));
    site.crew.leave(0, "was killed", 0, site.now);
    assert!(items.try_recv().is_ok(), "what came is there");
    assert_eq!(ended.try_recv().unwrap().unwrap_err().code, Code::Abandoned, "and no second begin");
}

#[test]
fn a_result_for_a_stream_is_its_only_item_and_an_item_for_a_result_is_an_error() {
    let mut site = Site::with_processes(WorkerLimits::default().concurrency(2), 1);
    let (answer_, mut items, mut ended) = stream(1);
    let id = site.submit("m", answer_, None).unwrap();
    site.answers(0, id);
    assert_eq!(items.try_recv().unwrap().take().get(), id.to_string());
    assert_eq!(ended.try_recv().unwrap(), Ok(()));
    let (id, mut result) = site.calls("m");
    site.says(0, format!(r#"{{"id":{id},"item":1}}"#));
    assert_eq!(answer(&mut result), Some(Err(Code::MethodFailed)));
}

#[test]
fn an_item_that_cannot_be_passed_on_ends_its_stream() {
    let mut site = Site::with_processes(WorkerLimits::default(), 1);
    let (answer, mut items, mut ended) = stream(1);
    let id = site.submit("m", answer, None).unwrap();
    site.gets(0);
    assert!(site.says(0, format!(r#"{{"id":{id},"item":[1e999]}}"#)).is_none());
    assert_eq!(ended.try_recv().unwrap().unwrap_err().code, Code::MethodFailed);
    assert!(items.try_recv().is_err());
    let cancel = site.crew.with(0).unwrap().take_output();
    assert_eq!(String::from_utf8(cancel).unwrap(), format!("{{\"cancel\":{id}}}\n"));
}

#[test]
fn a_drained_process_gets_no_further_calls() {
    let mut site = Site::with_processes(WorkerLimits::default(), 1);
    site.crew.drain(0);
    let (id, _waits) = site.calls("m");
    assert_eq!(site.gets(0), Vec::<u64>::new());
    site.joins(1);
    assert_eq!(site.gets(1), [id]);
}

#[test]
fn a_closed_crew_says_why_until_a_process_joins() {
    let mut site = Site::new(WorkerLimits::default());
    let (_, mut waiting) = site.calls("m");
    site.crew.close(Fault::method_failed("it died"));
    assert_eq!(answer(&mut waiting), Some(Err(Code::MethodFailed)));
    let refused = site.submit("m", Answer::Once(oneshot::channel().0), None).unwrap_err();
    assert_eq!(refused.message, "it died");
    site.joins(0);
    assert_eq!(site.calls("m").0, 2);
}

#[test]
fn a_call_goes_to_a_process_that_takes_it_as_it_was_made() {
    let mut site = Site::with_processes(WorkerLimits::default(), 1);
    let (_, _running) = site.calls("m");
    let (waiting, mut waits) = site.calls("m");
    // The changed one takes a call of it with the same meaning.
    site.takes = Arc::new(Takes::of(&[listed("m", &["further"])]));
    site.joins(1);
    assert!(site.crew.with(1).unwrap().waiting(waiting).is_some());
    assert_eq!(waits.try_recv().unwrap_err(), oneshot::error::TryRecvError::Empty);
}

#[test]
fn a_call_of_a_method_that_has_changed_or_gone_is_not_executed() {
    let two = [listed("m", &["a", "b"]), listed("gone", &["a"])];
    let shape = |at: usize| Arc::new(Shape::of(&two[at]));
    let mut site = Site::with_processes(WorkerLimits::default(), 1);
    let (_, _running) = site.calls("m");
    let mut waiting = |method: &str, shape| {
        let (result, received) = oneshot::channel();
        let (call, args, answer) = (Call::in_process(method), Args::none(), Answer::Once(result));
        let job = Job { call, args, shape, answer, may_run_again: true, id: 0, given: None };
        site.crew.submit(job, site.now).unwrap();
        received
    };
    let (mut changed, mut gone) = (waiting("m", shape(0)), waiting("gone", shape(1)));
    site.takes = Arc::new(Takes::of(&[listed("m", &["b", "a"])]));
    site.joins(1);
    let fault = |received: &mut Result_| received.try_recv().unwrap().unwrap_err();
    let told = fault(&mut changed);
    assert!(told.code == Code::BadArguments && told.message.contains("has changed"), "{told:?}");
    assert_eq!(fault(&mut gone), Fault::method_not_found("gone"));
}

#[test]
fn a_call_for_the_changed_program_waits_until_its_process_joins() {
    let mut site = Site::with_processes(WorkerLimits::default(), 1);
    let changed = Arc::new(Takes::of(&[listed("m", &["b"]), listed("new", &[])]));
    site.crew.lists(changed.clone());
    let (id, mut waits) = site.calls("new");
    assert_eq!(waits.try_recv().unwrap_err(), oneshot::error::TryRecvError::Empty);
    site.takes = changed;
    site.joins(1);
    assert!(site.crew.with(1).unwrap().waiting(id).is_some());
}
