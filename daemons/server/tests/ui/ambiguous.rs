use rpc_server::Method;

fn main() {
    // Is this an error, or a value that happens to be a `Result`?
    Method::named("m").parameters([]).sync(|| Ok::<i64, String>(1));
}
