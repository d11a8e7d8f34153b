use rpc_server::rpc_method;

#[rpc_method]
fn divide(a: i64, b: i64) -> Result<i64, String> {
    a.checked_div(b).ok_or_else(|| "division by zero".to_owned())
}

struct NoError;

#[rpc_method(blocking)]
fn read() -> Result<i64, NoError> {
    Err(NoError)
}

fn main() {}
