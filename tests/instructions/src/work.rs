//! Work that is counted in this process, each piece any number of times.

use std::hint::black_box;

use anyhow::{bail, ensure};
use futures_util::FutureExt;
use rpc_server::{Server, builtin};
use rpc_wire::call::request::RequestMeta;
use rpc_wire::call::{IntoArgs, Message, Messages, Reply, ReplyTo, reply, request};
use rpc_wire::framing::{FrameLimits, Framer};
use serde_json::value::RawValue;

/// `add(1, 2)` as an older client sends it, compact.
const CLASSIC: &[u8] = br#"{"method_name":"add","method_args":[1,2],"method_kwargs":{}}"#;
/// The same with an id.
pub(crate) const EXTENDED: &[u8] =
    b"{\"id\":7,\"method_name\":\"add\",\"method_args\":[1,2],\"method_kwargs\":{}}\n";
/// As our own client sends it, always with a deadline.
const WITH_DEADLINE: &[u8] = b"{\"id\":7,\"method_name\":\"add\",\"method_args\":[1,2],\"method_kwargs\":{},\"meta\":{\"deadline_ms\":10000}}\n";
/// White space that clients do not write: read by the framer and serde_json, not in one pass.
const GENERAL: &[u8] =
    b"{\n\"id\":7,\"method_name\":\"add\",\"method_args\":[1,2],\"method_kwargs\":{}}\n";
const CLASSIC_REPLY: &[u8] = b"{\"res\":13}\n";
/// The reply to an extended call.
pub(crate) const REPLY: &[u8] = b"{\"id\":7,\"res\":13}\n";
/// Calls in one read.
pub(crate) const PIPELINED: usize = 64;
/// A server's default limits.
const LIMITS: FrameLimits = FrameLimits { max_bytes: 4 << 20, max_depth: 128 };

/// Does a piece of work that many times.
type Work = fn(usize) -> anyhow::Result<()>;

/// Every piece of work, by its name in the record.
pub(crate) const ALL: [(&str, Work); 15] = [
    ("read_classic", |times| read(times, CLASSIC)),
    ("read_extended", |times| read(times, EXTENDED)),
    ("read_with_deadline", |times| read(times, WITH_DEADLINE)),
    ("read_the_general_way", |times| read(times, GENERAL)),
    ("frame_extended", |times| frame(times, EXTENDED, EXTENDED.len())),
    ("frame_8_kb_in_pieces_of_64", |times| frame(times, &long(8_000), 64)),
    ("frame_64_kb_in_pieces_of_64", |times| frame(times, &long(64_000), 64)),
    ("write_request", write_request),
    ("write_reply", write_reply),
    ("read_reply", read_reply),
    ("next_reply", next_reply),
    ("call_classic", |times| call(times, CLASSIC, CLASSIC_REPLY)),
    ("call_extended", |times| call(times, EXTENDED, REPLY)),
    ("call_the_general_way", |times| call(times, GENERAL, REPLY)),
    ("64_calls_in_one_read", |times| {
        call(times, &EXTENDED.repeat(PIPELINED), &REPLY.repeat(PIPELINED))
    }),
];

/// Reads one call, as a session does.
fn read(times: usize, bytes: &[u8]) -> anyhow::Result<()> {
    let bytes = &*Paged::new(bytes);
    for _ in 0..times {
        let mut framer = Framer::new(LIMITS);
        let read = Messages::new(&mut framer, black_box(bytes)).next();
        ensure!(matches!(read, Ok(Some((Ok(Message::Call(_)), _)))), "a call is not read");
    }
    Ok(())
}

/// A request that grows piece by piece, as a slow peer sends it.
fn frame(times: usize, bytes: &[u8], piece: usize) -> anyhow::Result<()> {
    let bytes = &*Paged::new(bytes);
    for _ in 0..times {
        let (mut framer, mut found) = (Framer::new(LIMITS), None);
        for end in (piece..bytes.len()).step_by(piece).chain([bytes.len()]) {
            ensure!(found.is_none(), "a request ends early");
            found = framer.next(black_box(&bytes[..end]))?;
        }
        ensure!(found.is_some(), "a request does not end");
    }
    Ok(())
}

fn long(bytes: usize) -> Vec<u8> {
    let numbers = vec!["1234.5,\"text\""; bytes / 14].join(",");
    format!("{{\"method_name\":\"m\",\"method_args\":[{numbers}],\"method_kwargs\":{{}}}}").into()
}

fn write_request(times: usize) -> anyhow::Result<()> {
    let (args, mut out) = ((1, 2).into_args()?, Vec::new());
    for _ in 0..times {
        out.clear();
        request::extended(&mut out, black_box(7), "add", &args, &RequestMeta::default());
    }
    ensure!(out == EXTENDED, "another request is written");
    Ok(())
}

fn write_reply(times: usize) -> anyhow::Result<()> {
    let (id, mut out) = (RawValue::from_string("7".to_owned())?, Vec::new());
    for _ in 0..times {
        out.clear();
        reply::begin_result(&mut out, ReplyTo::Extended((&*id).into()));
        out.extend_from_slice(black_box(b"13"));
        reply::end_result(&mut out);
    }
    ensure!(out == REPLY, "another reply is written");
    Ok(())
}

fn read_reply(times: usize) -> anyhow::Result<()> {
    // As the framer finds it, without its newline.
    let bytes = &*Paged::new(REPLY.trim_ascii_end());
    for _ in 0..times {
        match Reply::parse(black_box(bytes)) {
            Ok(Reply::Done { id: Some(7), outcome: Ok(_) }) => {}
            other => bail!("a reply is not read: {other:?}"),
        }
    }
    Ok(())
}

/// Finds a reply in the bytes of a read, as a connection does.
fn next_reply(times: usize) -> anyhow::Result<()> {
    let bytes = &*Paged::new(REPLY);
    for _ in 0..times {
        let mut framer = Framer::new(LIMITS);
        let found = Reply::next(&mut framer, black_box(bytes));
        ensure!(matches!(found, Ok(Some((Ok(_), _)))), "a reply is not found");
    }
    Ok(())
}

/// A server's work for calls, from their bytes to those of the replies.
fn call(times: usize, requests: &[u8], replies: &[u8]) -> anyhow::Result<()> {
    let requests = &*Paged::new(requests);
    let mut server = Server::builder().methods(builtin::methods()).in_memory()?;
    for _ in 0..times {
        let answered = server.answer(black_box(requests)).now_or_never();
        ensure!(answered == Some(replies), "a wrong reply");
    }
    Ok(())
}

/// Bytes that start at a page boundary: libc compares and copies differently near page ends.
struct Paged {
    memory: Vec<u8>,
    begin: usize,
}

impl Paged {
    fn new(bytes: &[u8]) -> Self {
        const PAGE: usize = 4096;
        let mut memory: Vec<u8> = Vec::with_capacity(bytes.len() + PAGE);
        let begin = memory.as_ptr().addr().wrapping_neg() % PAGE;
        memory.resize(begin, 0);
        memory.extend_from_slice(bytes);
        Self { memory, begin }
    }
}

impl std::ops::Deref for Paged {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.begin..]
    }
}
