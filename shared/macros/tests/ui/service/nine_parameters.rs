use rpc_macros::rpc_service;

#[rpc_service(name = "orders")]
trait Orders {
    async fn place(
        &self,
        call: Call,
        a: u8,
        b: u8,
        c: u8,
        d: u8,
        e: u8,
        f: u8,
        g: u8,
        h: u8,
        i: u8,
    ) -> u64;
}

fn main() {}
