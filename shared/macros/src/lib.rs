//! `#[rpc_method]`: a plain `fn` becomes a method with names, types, defaults and docs.
//!
//! The function stays as it is and can still be called; beside it is a type of the same name whose
//! `method()` makes the method: `Server::builder().method(add::method())`.
//!
//! Needs Rust 1.95 or later.

mod arguments;
mod example;
mod expand;
mod options;

use proc_macro::TokenStream;
use syn::{ItemFn, parse_macro_input};

/// Makes a method from a function.
///
/// ```text
/// /// Adds. (The doc comment is what discovery shows.)
/// #[rpc_method(read_only)]            // callers may repeat it; `idempotent` for others that may
/// #[example("two numbers": 1.0, 2.0 => 13.0)]
/// fn add(a: f64, b: f64, #[default(10.0)] c: f64) -> f64 { a + b + c }
///
/// #[rpc_method]                       // awaits on the connection's task
/// async fn fetch(State(db): State<Db>, call: Call, name: String) -> Result<String, Failure> { … }
///
/// #[rpc_method(blocking)]             // runs on the blocking pool
/// fn hash(text: String) -> String { … }
///
/// #[rpc_method(stream, name = "ticks")]   // sends many items; under another name
/// fn every_second(count: u32) -> impl Stream<Item = u32> { … }
///
/// #[rpc_method]
/// #[deprecated]                       // discovery says so, too
/// fn old(#[extract] caller: Caller) { … }
/// ```
///
/// In front of the parameters there may be extractors, at most four, which callers do not give:
/// arguments whose type is written as `State<…>` or `Call`, and others with `#[extract]`.
///
/// Parameter types must be readable by serde and described by schemars, at most eight; those with
/// `#[default(…)]` come last. A function that returns a `Result` can fail. The arguments of an
/// example are those of a call, in order; parameters with a default can be left out.
#[proc_macro_attribute]
pub fn rpc_method(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(attribute as options::Options);
    let function = parse_macro_input!(item as ItemFn);
    expand::method(&options, function).unwrap_or_else(|error| error.to_compile_error()).into()
}
