//! The codec and whole calls in memory, compared with copying the same bytes: `cargo bench -p
//! rpc-bench`.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, SystemTime};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use futures_util::FutureExt;
use rpc_bench::exchange::Exchange;
use rpc_bench::place;
use rpc_bench::table::{thousands, unoptimised};
use rpc_server::{Server, builtin};
use rpc_wire::call::{IntoArgs, Message, Messages, Reply, ReplyTo, reply, request};
use rpc_wire::fault::Fault;
use rpc_wire::framing::{FrameLimits, Framer};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Bytes of large arguments.
const LARGE: usize = 1_000_000;
/// The size of a server's read.
const READ: usize = 64 * 1024;
/// Calls in flight of a pipelining client.
const PIPELINED: usize = 64;
/// A server's default limits.
const LIMITS: FrameLimits = FrameLimits { max_bytes: 4 << 20, max_depth: 128 };
/// The row that the others of its group are compared with.
const LIMIT: &str = "limit";

type Any = Box<dyn std::error::Error>;
type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn main() -> Result<(), Any> {
    let began = SystemTime::now();
    let folder = place::results()?.join("criterion");
    let mut criterion = Criterion::default()
        .output_directory(&folder)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut sizes = Vec::new();
    small(&mut criterion, &mut sizes)?;
    let text = "x".repeat(LARGE);
    large(&mut criterion, &mut sizes, "request, 1 MB of text", &text)?;
    let numbers = vec![1234.5; LARGE / "1234.5,".len()];
    large(&mut criterion, &mut sizes, "request, 1 MB of numbers", &numbers)?;
    replies(&mut criterion, &mut sizes)?;
    whole_calls(&mut criterion, &mut sizes)?;
    pipelined_calls(&mut criterion, &mut sizes)?;
    criterion.final_summary();
    report(&folder, &sizes, began)
}

/// The input of one iteration of a group.
struct Size {
    group: &'static str,
    bytes: usize,
    calls: usize,
}

fn group<'a>(
    criterion: &'a mut Criterion,
    sizes: &mut Vec<Size>,
    size: Size,
) -> Result<Group<'a>, Any> {
    let mut group = criterion.benchmark_group(size.group);
    group.throughput(Throughput::Bytes(u64::try_from(size.bytes)?));
    sizes.push(size);
    Ok(group)
}

/// The limit of any work on bytes: copying them.
fn copy(group: &mut Group<'_>, bytes: &[u8]) {
    let mut copied = Vec::with_capacity(bytes.len());
    group.bench_function(LIMIT, |bencher| {
        bencher.iter(|| {
            copied.clear();
            copied.extend_from_slice(black_box(bytes));
            black_box(copied.len())
        });
    });
}

/// `add(1, 2)`.
fn small(criterion: &mut Criterion, sizes: &mut Vec<Size>) -> Result<(), Any> {
    let (classic, extended) = (Exchange::add_classic()?.request, Exchange::add_extended()?.request);
    let size = Size { group: "request", bytes: extended.len(), calls: 1 };
    let mut group = group(criterion, sizes, size)?;
    for bytes in [&classic, &extended] {
        is_one_call(bytes)?;
    }
    copy(&mut group, &extended);
    group.bench_function("frame", |bencher| bencher.iter(|| frames(black_box(&extended), READ)));
    group.bench_function("frame, byte by byte", |bencher| {
        bencher.iter(|| frames(black_box(&extended), 1));
    });
    for (name, bytes) in [("classic", &classic), ("extended", &extended)] {
        group.bench_function(format!("read, {name}"), |bencher| {
            bencher.iter(|| read(black_box(bytes)));
        });
        group.bench_function(format!("parse, {name}"), |bencher| {
            bencher.iter(|| Message::parse(black_box(bytes)).is_ok());
        });
    }
    let (args, mut out) = ((1, 2).into_args()?, Vec::new());
    group.bench_function("write", |bencher| {
        bencher.iter(|| {
            out.clear();
            request::extended(&mut out, black_box(7), "add", &args, &Default::default());
            black_box(out.len())
        });
    });
    group.finish();
    Ok(())
}

/// `echo(value)`.
fn large(
    criterion: &mut Criterion,
    sizes: &mut Vec<Size>,
    name: &'static str,
    value: &impl Serialize,
) -> Result<(), Any> {
    let mut bytes = Vec::new();
    request::classic(&mut bytes, "echo", &(value,).into_args()?);
    is_one_call(&bytes)?;
    let size = Size { group: name, bytes: bytes.len(), calls: 1 };
    let mut group = group(criterion, sizes, size)?;
    copy(&mut group, &bytes);
    group.bench_function("frame", |bencher| {
        bencher.iter(|| frames(black_box(&bytes), bytes.len()));
    });
    group.bench_function("frame, read by read", |bencher| {
        bencher.iter(|| frames(black_box(&bytes), READ));
    });
    group.bench_function("parse", |bencher| {
        bencher.iter(|| Message::parse(black_box(&bytes)).is_ok());
    });
    group.bench_function("read", |bencher| bencher.iter(|| read(black_box(&bytes))));
    group.finish();
    Ok(())
}

fn replies(criterion: &mut Criterion, sizes: &mut Vec<Size>) -> Result<(), Any> {
    let bytes = b"{\"id\":7,\"res\":13}";
    if !matches!(Reply::parse(bytes), Ok(Reply::Done { id: Some(7), outcome: Ok(_) })) {
        return Err("a reply is not read".into());
    }
    let mut group =
        group(criterion, sizes, Size { group: "answer", bytes: bytes.len(), calls: 1 })?;
    copy(&mut group, bytes);
    let id = RawValue::from_string("7".to_owned())?;
    let mut out = Vec::new();
    group.bench_function("write", |bencher| {
        bencher.iter(|| {
            out.clear();
            reply::begin_result(&mut out, ReplyTo::Extended(black_box((&id).into())));
            out.extend_from_slice(b"13");
            reply::end_result(&mut out);
            black_box(out.len())
        });
    });
    let fault = Fault::method_not_found("nope");
    group.bench_function("write, failure", |bencher| {
        bencher.iter(|| {
            out.clear();
            reply::fault(&mut out, ReplyTo::Extended((&id).into()), black_box(&fault));
            black_box(out.len())
        });
    });
    group.bench_function("parse", |bencher| {
        bencher.iter(|| Reply::parse(black_box(bytes)).is_ok());
    });
    group.finish();
    Ok(())
}

/// Calls of `add(1, 2)`: read, dispatched and replied to by a server without a socket.
fn whole_calls(criterion: &mut Criterion, sizes: &mut Vec<Size>) -> Result<(), Any> {
    let (classic, extended) = (Exchange::add_classic()?, Exchange::add_extended()?);
    let size = Size { group: "whole call", bytes: extended.request.len(), calls: 1 };
    let mut group = group(criterion, sizes, size)?;
    copy(&mut group, &extended.request);
    let mut server = Server::builder().methods(builtin::methods()).in_memory()?;
    for (name, exchange) in [("classic", classic), ("extended", extended)] {
        // White space that clients do not write.
        let general = [b"{\n", &exchange.request[1..]].concat();
        for (name, request) in
            [(name.to_owned(), exchange.request), (format!("{name}, the general way"), general)]
        {
            if server.answer(&request).now_or_never() != Some(exchange.reply.as_exact()) {
                return Err("a wrong reply, or none".into());
            }
            group.bench_function(name, |bencher| {
                bencher.iter(|| server.answer(black_box(&request)).now_or_never().map(<[u8]>::len));
            });
        }
    }
    group.finish();
    Ok(())
}

/// Whether one message is read, as a session does it.
fn read(bytes: &[u8]) -> bool {
    let mut framer = Framer::new(LIMITS);
    matches!(Messages::new(&mut framer, bytes).next(), Ok(Some((Ok(_), _))))
}

/// The same, [`PIPELINED`] of them in one read.
fn pipelined_calls(criterion: &mut Criterion, sizes: &mut Vec<Size>) -> Result<(), Any> {
    let mut server = Server::builder().methods(builtin::methods()).in_memory()?;
    let bytes = Exchange::add_extended()?.request.len() * PIPELINED;
    let mut group =
        group(criterion, sizes, Size { group: "64 whole calls", bytes, calls: PIPELINED })?;
    copy(&mut group, &Exchange::add_extended()?.request.repeat(PIPELINED));
    for (name, exchange) in
        [("classic", Exchange::add_classic()?), ("extended", Exchange::add_extended()?)]
    {
        let requests = exchange.request.repeat(PIPELINED);
        let replies = exchange.reply.as_exact().repeat(PIPELINED);
        if server.answer(&requests).now_or_never() != Some(&*replies) {
            return Err("a wrong reply, or none".into());
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| server.answer(black_box(&requests)).now_or_never().map(<[u8]>::len));
        });
    }
    group.finish();
    Ok(())
}

/// Number of messages in `bytes` when they arrive in pieces of `piece`.
fn frames(bytes: &[u8], piece: usize) -> usize {
    let mut framer = Framer::new(LIMITS);
    let (mut end, mut found) = (0, 0);
    while end < bytes.len() {
        end = (end + piece).min(bytes.len());
        while let Ok(Some(_)) = framer.next(&bytes[..end]) {
            found += 1;
        }
    }
    found
}

/// Checks that the measured work succeeds.
fn is_one_call(bytes: &[u8]) -> Result<(), Any> {
    let framed = [1, READ, bytes.len()].map(|piece| frames(bytes, piece));
    let parsed = matches!(Message::parse(bytes), Ok(Message::Call(_)));
    if framed == [1; 3] && parsed && read(bytes) {
        Ok(())
    } else {
        Err("a call is not read".into())
    }
}

/// Prints criterion's results of this run as a table, and writes them as JSON.
#[expect(clippy::print_stdout, reason = "the table is the product")]
fn report(folder: &Path, sizes: &[Size], began: SystemTime) -> Result<(), Any> {
    let mut rows = Vec::new();
    for size in sizes {
        let measured = measured(&folder.join(folder_name(size.group)), began);
        let limit = measured.iter().find(|(name, _)| name == LIMIT).map(|(_, time)| *time);
        for (name, time) in measured {
            let calls = f64::from(u32::try_from(size.calls)?);
            let gigabytes = f64::from(u32::try_from(size.bytes)?) / time;
            let ratio = limit.map(|limit| time / limit);
            rows.push(json!({
                "group": size.group, "name": name, "bytes": size.bytes, "calls": size.calls,
                "ns_per_call": time / calls, "gb_per_s": gigabytes, "ratio_to_limit": ratio,
            }));
        }
    }
    if rows.is_empty() {
        // Only tested or listed, or a filter without a match.
        return Ok(());
    }
    if let Some(warning) = unoptimised() {
        println!("\n{warning}");
    }
    println!("\n| | ns per call | × limit | GB/s |\n|---|---:|---:|---:|");
    for row in &rows {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str, decimals| {
            row[key].as_f64().map_or("–".to_owned(), |number| thousands(number, decimals))
        };
        println!(
            "| {}: {} | {} | {} | {} |",
            text("group"),
            text("name"),
            number("ns_per_call", 1),
            number("ratio_to_limit", 2),
            number("gb_per_s", 2)
        );
    }
    let file = place::results()?.join("codec.json");
    let machine = rpc_bench::procfs::machine();
    let date = humantime::format_rfc3339_seconds(began).to_string();
    let json = json!({
        "date": date, "machine": machine, "optimised": unoptimised().is_none(), "rows": rows,
    });
    std::fs::write(&file, serde_json::to_string_pretty(&json)?)?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

/// Name and median, in nanoseconds per iteration, of the benchmarks run since `began`; the limit
/// first, the others by name.
fn measured(folder: &Path, began: SystemTime) -> Vec<(String, f64)> {
    let read =
        |path: &Path| -> Option<Value> { serde_json::from_slice(&std::fs::read(path).ok()?).ok() };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(String, f64)> = entries
        .filter_map(|entry| {
            let new = entry.path().join("new");
            let estimates = new.join("estimates.json");
            let written = std::fs::metadata(&estimates).and_then(|data| data.modified()).ok()?;
            let name = read(&new.join("benchmark.json"))?["function_id"].as_str()?.to_owned();
            let median = read(&estimates)?["median"]["point_estimate"].as_f64()?;
            (written >= began).then_some((name, median))
        })
        .collect();
    found.sort_by_key(|(name, _)| (name != LIMIT, name.clone()));
    found
}

/// A group's name as criterion writes it: these characters are invalid in a file's name.
fn folder_name(group: &str) -> String {
    group.replace(['?', '"', '/', '\\', '*', '<', '>', ':', '|', '^'], "_")
}
