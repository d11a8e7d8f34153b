//! Every kind of method, with a `Method` that records what it is given. rpc-server's own tests use
//! the real one; using it here would build rpc-server a second time (100 s instead of 13 s).

extern crate self as rpc_server;

use rpc_macros::rpc_method;

/// Adds.
#[rpc_method(read_only)]
#[example(1.0, 2.0)]
#[example("all": 1.0, 2.0, 3.0 => 6.0)]
fn add(a: f64, b: f64, #[default(10.0)] r#type: f64) -> f64 {
    a + b + r#type
}

#[rpc_method(name = "divide")]
fn quotient(a: i64, b: i64) -> Result<i64, String> {
    a.checked_div(b).ok_or_else(|| "division by zero".to_owned())
}

#[rpc_method]
async fn fetch(State(_db): State<u8>, _call: Call, #[extract] _caller: u16) {}

#[rpc_method]
async fn try_fetch() -> Result<(), String> {
    Ok(())
}

#[rpc_method(blocking, idempotent)]
#[deprecated]
#[example]
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
        (
            add::method(),
            "add: Adds. read_only [a, b, type] type=10.0 example() example(all => 6.0) sync plain",
        ),
        (quotient::method(), "divide:  [a, b] sync fallible"),
        (fetch::method(), "fetch:  [] asynchronous plain"),
        (try_fetch::method(), "try_fetch:  [] asynchronous fallible"),
        (hash::method(), "hash:  idempotent deprecated [] example() blocking plain"),
        (try_hash::method(), "try_hash:  [] blocking fallible"),
        (every_second::method(), "ticks:  [] stream"),
        (eight::method(), "eight: Eight are allowed. [_a, _b, _c, _d, _e, _f, _g, _h] sync plain"),
    ];
    for (Method(method), expected) in methods {
        assert_eq!(method, expected);
    }
    // The function can be called as before.
    assert_eq!(add(1.0, 2.0, 3.0), 6.0);
}

pub struct State<T>(pub T);
pub struct Call;

pub mod method {
    pub struct Fallible;
    pub struct Example(pub(super) String);

    impl Example {
        pub fn of<T>(_arguments: T) -> Self {
            Self(String::new())
        }

        pub fn named(self, name: &str) -> Self {
            Self(self.0 + name)
        }

        pub fn result(self, result: f64) -> Self {
            Self(format!("{} => {result:?}", self.0))
        }
    }

    pub const fn is_argument<T>() {}
    pub const fn is_extractor<T>() {}
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

    pub fn read_only(self) -> Self {
        self.with("read_only")
    }

    pub fn idempotent(self) -> Self {
        self.with("idempotent")
    }

    pub fn deprecated(self) -> Self {
        self.with("deprecated")
    }

    pub fn parameters<const N: usize>(self, names: [&str; N]) -> Self {
        self.with(&format!("[{}]", names.join(", ")))
    }

    pub fn default(self, name: &str, value: f64) -> Self {
        self.with(&format!("{name}={value:?}"))
    }

    pub fn example(self, example: method::Example) -> Self {
        self.with(&format!("example({})", example.0.trim()))
    }

    pub fn stream<F>(self, _function: F) -> Self {
        self.with("stream")
    }

    fn kind<K>(self, kind: &str) -> Self {
        let can_fail = std::any::type_name::<K>().ends_with("Fallible");
        self.with(kind).with(if can_fail { "fallible" } else { "plain" })
    }

    pub fn sync<P, R: Returned<K>, K>(self, _: impl Function<P, Output = R>) -> Self {
        self.kind::<K>("sync")
    }

    pub fn blocking<P, R: Returned<K>, K>(self, _: impl Function<P, Output = R>) -> Self {
        self.kind::<K>("blocking")
    }

    pub fn asynchronous<P, R: Returned<K>, K, F>(self, _: impl Function<P, Output = F>) -> Self
    where
        F: Future<Output = R>,
    {
        self.kind::<K>("asynchronous")
    }
}

pub trait Function<P> {
    type Output;
}

macro_rules! functions {
    ($(($($argument:ident)*))*) => {
        $(impl<T: Fn($($argument),*) -> R, R, $($argument),*> Function<($($argument,)*)> for T {
            type Output = R;
        })*
    };
}

functions!(() (A B) (A B C) (A B C D E F G H));

pub trait Returned<K> {}
impl Returned<()> for f64 {}
impl Returned<()> for () {}
impl<T, E> Returned<method::Fallible> for Result<T, E> {}
