//! Every kind of method, with a `Method` that records what it is given. rpc-server's own tests use
//! the real one; using it here would build rpc-server a second time (100 s instead of 13 s).

extern crate self as rpc_server;

use rpc_macros::rpc_method;

/// Adds.
#[rpc_method]
fn add(a: f64, b: f64, #[default(10.0)] r#type: f64) -> f64 {
    a + b + r#type
}

#[rpc_method(name = "divide")]
fn quotient(a: i64, b: i64) -> Result<i64, String> {
    a.checked_div(b).ok_or_else(|| "division by zero".to_owned())
}

#[rpc_method]
async fn fetch() {}

#[rpc_method]
async fn try_fetch() -> Result<(), String> {
    Ok(())
}

#[rpc_method(blocking)]
fn hash() {}

#[rpc_method(blocking,)]
fn try_hash() -> std::io::Result<()> {
    Ok(())
}

#[rpc_method(stream, name = "ticks")]
fn every_second() -> std::ops::Range<u32> {
    0..3
}

/// Eight are allowed.
#[rpc_method]
fn eight(_a: u8, _b: u8, _c: u8, _d: u8, _e: u8, _f: u8, _g: u8, _h: u8) {}

fn main() {
    let methods = [
        (add::method(), "add: Adds. [a, b, type] type=10.0 sync"),
        (quotient::method(), "divide:  [a, b] try_sync"),
        (fetch::method(), "fetch:  [] asynchronous"),
        (try_fetch::method(), "try_fetch:  [] try_asynchronous"),
        (hash::method(), "hash:  [] blocking"),
        (try_hash::method(), "try_hash:  [] try_blocking"),
        (every_second::method(), "ticks:  [] stream"),
        (eight::method(), "eight: Eight are allowed. [_a, _b, _c, _d, _e, _f, _g, _h] sync"),
    ];
    for (Method(method), expected) in methods {
        assert_eq!(method, expected);
    }
    // The function can be called as before.
    assert_eq!(add(1.0, 2.0, 3.0), 6.0);
}

pub struct Method(String);

impl Method {
    pub fn named(name: &str) -> Self {
        Self(format!("{name}:"))
    }

    fn with(self, text: &str) -> Self {
        Self(self.0 + " " + text)
    }

    pub fn doc(self, doc: &str) -> Self {
        self.with(doc)
    }

    pub fn parameters<const N: usize>(self, names: [&str; N]) -> Self {
        self.with(&format!("[{}]", names.join(", ")))
    }

    pub fn default(self, name: &str, value: f64) -> Self {
        self.with(&format!("{name}={value:?}"))
    }
}

macro_rules! kinds {
    ($($kind:ident)*) => {
        impl Method {
            $(pub fn $kind<F>(self, _function: F) -> Self {
                self.with(stringify!($kind))
            })*
        }
    };
}

kinds!(sync try_sync asynchronous try_asynchronous blocking try_blocking stream);
