use rpc_server::{State, rpc_method};

struct Caller;

#[rpc_method]
fn first(#[extract] caller: Caller, a: i64) {}

/// A type of the user's own.
struct Call;

#[rpc_method]
fn second(call: Call, a: i64) {}

struct NotCloned;

#[rpc_method]
fn third(state: State<NotCloned>) {}

fn main() {}
