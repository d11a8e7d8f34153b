use rpc_server::Method;

fn main() {
    // Two names for three arguments.
    Method::named("m").parameters(["a", "b"]).sync(|a: i64, b: i64, c: i64| a + b + c);
    // An error that could be a value, too.
    Method::named("m").parameters([]).sync(|| Ok::<i64, String>(1));
    Method::named("m").parameters([]).asynchronous(|| 1);
}
