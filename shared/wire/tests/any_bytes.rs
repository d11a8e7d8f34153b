//! Fuzz targets: properties of calls, replies and lists, for any bytes.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use std::fmt::Debug;

use rpc_wire::call::{Args, JsonRpcReply, Message, Messages, Reply, ReplyError};
use rpc_wire::framing::{FrameError, FrameLimits, Framer};
use rpc_wire::instance::{EntryLimits, InstanceRecord, WatchEvent};
use rpc_wire::signature::{from_classic, from_openrpc, to_classic, to_openrpc};
use serde_json::Value;

const LIMITS: FrameLimits = FrameLimits { max_bytes: 1 << 16, max_depth: 64 };
/// Small, so that many messages are too large.
const NARROW: FrameLimits = FrameLimits { max_bytes: 40, max_depth: 3 };

/// The messages found in some bytes, as text, and the error after them.
type Found = (Vec<String>, Option<FrameError>);

fn messages(bytes: &[u8], piece: usize, limits: FrameLimits) -> Found {
    all(bytes, piece, limits, |framer, buffer| {
        let received = Messages::new(framer, buffer).next()?;
        Ok(received.map(|(message, frame)| describe(&message, frame)))
    })
}

fn replies(bytes: &[u8], piece: usize, limits: FrameLimits) -> Found {
    all(bytes, piece, limits, |framer, buffer| {
        let received = Reply::next(framer, buffer)?;
        Ok(received.map(|(reply, range)| describe(&reply, &buffer[range])))
    })
}

/// `find` must find in any pieces what the framer and serde_json alone find in the whole.
fn same_as_in_general(
    bytes: &[u8],
    find: impl Fn(&[u8], usize, FrameLimits) -> Found,
    tell: impl Fn(&[u8]) -> String,
) {
    let whole = bytes.len().max(1);
    for limits in [LIMITS, NARROW] {
        let expected = all(bytes, whole, limits, |framer, buffer| {
            Ok(framer.next(buffer)?.map(|range| tell(&buffer[range])))
        });
        for piece in [1, 7, whole] {
            assert_eq!(find(bytes, piece, limits), expected, "in pieces of {piece}");
        }
    }
}

/// Everything that `next` finds when the bytes arrive in such pieces.
fn all(
    bytes: &[u8],
    piece: usize,
    limits: FrameLimits,
    next: impl Fn(&mut Framer, &[u8]) -> Result<Option<String>, FrameError>,
) -> Found {
    let (mut framer, mut found, mut forgotten) = (Framer::new(limits), Vec::new(), 0);
    for end in (piece..bytes.len()).step_by(piece).chain([bytes.len()]) {
        let buffer = &bytes[forgotten..end];
        loop {
            match next(&mut framer, buffer) {
                Ok(Some(describe)) => found.push(describe),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(next(&mut framer, buffer), Err(error), "the error stays");
                    return (found, Some(error));
                }
            }
        }
        let done = framer.unfinished_from();
        framer.consumed(done);
        forgotten += done;
    }
    (found, None)
}

fn describe(message: &impl Debug, frame: &[u8]) -> String {
    format!("{message:?} of {:?}", String::from_utf8_lossy(frame))
}

#[test]
fn any_bytes_are_the_same_calls_in_one_pass_or_in_general_and_in_any_pieces() {
    rpc_fuzz::bytes("call", |bytes| {
        same_as_in_general(bytes, messages, |frame| describe(&Message::parse(frame), frame));
    });
}

#[test]
fn any_bytes_are_the_same_replies_as_short_lines_or_in_general_and_in_any_pieces() {
    rpc_fuzz::bytes("reply", |bytes| {
        same_as_in_general(bytes, replies, |frame| describe(&Reply::parse(frame), frame));
    });
}

#[test]
fn any_bytes_are_a_reply_or_an_error() {
    rpc_fuzz::bytes("reply", |bytes| {
        if let Ok(Reply::Done { outcome: Ok(value), .. } | Reply::Item { item: value, .. }) =
            Reply::parse(bytes)
        {
            assert!(serde_json::from_str::<serde::de::IgnoredAny>(value.get()).is_ok());
        }
    });
}

#[test]
fn any_bytes_of_a_json_rpc_server_are_a_reply_or_an_error() {
    rpc_fuzz::bytes("json_rpc_reply", |bytes| {
        let read = JsonRpcReply::parse(bytes);
        match &read {
            // What is passed on is JSON on its own, and part of what came.
            Ok(JsonRpcReply::Done { outcome: Ok(value), id }) => {
                assert!(serde_json::from_str::<serde::de::IgnoredAny>(value.get()).is_ok());
                assert!(bytes.len() > value.get().len());
                assert!(id.is_some(), "a result is of a call");
            }
            Ok(_) => {}
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        if JsonRpcReply::is_one(bytes) {
            assert!(!matches!(read, Err(ReplyError::NotJson(_))), "{read:?}");
        }
    });
}

#[test]
fn any_text_of_words_makes_arguments_that_are_json() {
    rpc_fuzz::text("words", |text| {
        let Ok(args) = Args::from_words(text.split(' ')) else { return };
        let json = |text| serde_json::from_str::<&serde_json::value::RawValue>(text).unwrap();
        assert!(json(args.positional()).get().starts_with('['));
        assert!(json(args.keyword()).get().starts_with('{'));
    });
}

#[test]
fn any_text_is_a_method_list_or_an_error() {
    rpc_fuzz::text("method_list", |text| {
        // What was read can be written and read again: the same is written. Not the same is read, where a default
        // is a number that nothing holds: none is known of it, and null is written.
        if let Ok(signatures) = from_classic(text) {
            let written = to_classic(&signatures);
            assert_eq!(to_classic(&from_classic(&written).unwrap()), written);
        }
        if let Ok(signatures) = from_openrpc(text) {
            let written = to_openrpc("t", "1", &signatures);
            let again = from_openrpc(&written.to_string()).unwrap();
            assert_eq!(again.len(), signatures.len());
        }
    });
}

#[test]
fn any_text_is_an_event_of_a_registry_or_an_error() {
    rpc_fuzz::text("instance", |text| {
        let (name, data) = text.split_once('\n').unwrap_or((text, ""));
        if let Ok(Some((event, _))) = WatchEvent::parse(name, data, EntryLimits::default()) {
            let written = event.data().unwrap();
            let (again, skipped) =
                WatchEvent::parse(event.name(), &written, EntryLimits::default()).unwrap().unwrap();
            assert_eq!((again, skipped.count), (event, 0));
        }
        if let Ok(record) = serde_json::from_str::<InstanceRecord>(data) {
            let written: Value = serde_json::to_value(&record).unwrap();
            assert_eq!(serde_json::from_value::<InstanceRecord>(written).unwrap(), record);
        }
    });
}
