use rpc_server::Method;

fn main() {
    // Two names for three arguments.
    Method::named("m").parameters(["a", "b"]).sync(|a: i64, b: i64, c: i64| a + b + c);
}
