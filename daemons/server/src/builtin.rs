//! The methods of the original system, and two for trying things out.

mod number;

use std::borrow::Cow;
use std::time::Duration;

use rpc_wire::json::Json;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use unicode_segmentation::UnicodeSegmentation;

use crate::{Failure, Method, rpc_method};
pub use number::Number;

/// All of them.
///
/// ```
/// use rpc_server::{Server, builtin};
///
/// let names: Vec<_> = builtin::methods().iter().map(|m| m.signature().name.clone()).collect();
/// assert!(names.contains(&"add".to_owned()));
/// let server = Server::builder().methods(builtin::methods());
/// ```
pub fn methods() -> Vec<Method> {
    vec![
        add::method(),
        subtract::method(),
        multiply::method(),
        divide::method(),
        area_of_circle::method(),
        square::method(),
        to_uppercase::method(),
        reverse_string::method(),
        hi::method(),
        hello::method(),
        sleep::method(),
        echo::method(),
    ]
}

/// Adds two or three numbers; integers stay integers.
#[rpc_method(crate, read_only)]
#[example("c is 10": 1, 2 => 13)]
#[example("three numbers": 1, 2, 0.5 => 3.5)]
fn add(a: Number, b: Number, #[default(10)] c: Number) -> Result<Number, Failure> {
    a.plus(b)?.plus(c)
}

/// Subtracts the second number from the first.
#[rpc_method(crate, read_only)]
#[example(5, 3 => 2)]
fn subtract(a: Number, b: Number) -> Result<Number, Failure> {
    a.minus(b)
}

/// Multiplies two numbers.
#[rpc_method(crate, read_only)]
#[example(4, 2.5 => 10.0)]
fn multiply(a: Number, b: Number) -> Result<Number, Failure> {
    a.times(b)
}

/// Divides the first number by the second; always a float, or a text when dividing by zero.
#[rpc_method(crate, read_only)]
#[example(7, 2 => 3.5)]
#[example("by zero": 7, 0 => "Division by zero error!")]
fn divide(a: Number, b: Number) -> Result<Quotient, Failure> {
    if b.to_float() == 0.0 {
        return Ok(Quotient::Text("Division by zero error!"));
    }
    number::finite(a.to_float() / b.to_float()).map(Quotient::Number)
}

/// The area of a circle; always a float.
#[rpc_method(crate, read_only)]
#[example(1 => std::f64::consts::PI)]
fn area_of_circle(radius: Number) -> Result<f64, Failure> {
    number::finite(std::f64::consts::PI * radius.to_float() * radius.to_float())
}

/// Multiplies a number by itself.
#[rpc_method(crate, read_only)]
#[example(12 => 144)]
fn square(number: Number) -> Result<Number, Failure> {
    number.times(number)
}

/// The string in upper case.
#[rpc_method(crate, read_only)]
#[example("hello" => "HELLO")]
fn to_uppercase(string: String) -> String {
    string.to_uppercase()
}

/// The string reversed, by visible characters.
#[rpc_method(crate, read_only)]
#[example("hello" => "olleh")]
fn reverse_string(string: String) -> String {
    string.graphemes(true).rev().collect()
}

/// Returns a greeting.
#[rpc_method(crate, read_only)]
#[example("Ann" => "hi Ann, welcome")]
fn hi(user: Value) -> String {
    format!("hi {}, welcome", spoken(&user))
}

/// Returns a greeting.
#[rpc_method(crate, read_only)]
#[example("Ann" => "Hello, Ann!")]
fn hello(name: Value) -> String {
    format!("Hello, {}!", spoken(&name))
}

/// Waits the given seconds, or until the deadline or a cancel.
#[rpc_method(crate, idempotent)]
#[example("a tenth of a second": 0.1 => 0.1)]
async fn sleep(seconds: f64) -> Result<f64, Failure> {
    let time = Duration::try_from_secs_f64(seconds)
        .map_err(|_| Failure::bad_arguments("sleep() argument 'seconds': must be 0 or more"))?;
    tokio::time::sleep(time).await;
    Ok(seconds)
}

/// Returns its argument unchanged.
#[rpc_method(crate, read_only)]
#[example(["a", "b"] => ["a", "b"])]
fn echo(value: AsWritten) -> AsWritten {
    match Json::from(&value.0).compact() {
        Cow::Borrowed(_) => value,
        // A reply is compact. Valid JSON stays valid.
        Cow::Owned(compact) => RawValue::from_string(compact).map_or(value, AsWritten),
    }
}

/// Any JSON value, as written.
#[derive(Debug, Serialize, Deserialize)]
struct AsWritten(Box<RawValue>);

impl JsonSchema for AsWritten {
    fn schema_name() -> Cow<'static, str> {
        "Anything".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }

    fn inline_schema() -> bool {
        true
    }
}

/// The result of a division.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Quotient {
    Number(f64),
    Text(&'static str),
}

/// Strings as they are, everything else as JSON.
fn spoken(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reversing_keeps_grapheme_clusters() {
        assert_eq!(reverse_string("abc".to_owned()), "cba");
        assert_eq!(reverse_string("e\u{301}x👨‍👩‍👧".to_owned()), "👨‍👩‍👧xe\u{301}");
    }

    #[test]
    fn anything_is_greeted() {
        assert_eq!(hi(Value::from(0)), "hi 0, welcome");
        assert_eq!(hi(Value::from("Ann")), "hi Ann, welcome");
        assert_eq!(hello(serde_json::json!({"a": [null]})), "Hello, {\"a\":[null]}!");
    }
}
