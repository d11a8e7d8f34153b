use rpc_macros::rpc_method;

struct Counter;

impl Counter {
    #[rpc_method]
    fn count(&self, by: u32) -> u32 {
        by
    }
}

fn main() {}
