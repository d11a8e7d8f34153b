//! What the types of a service's methods must be able to do for a client. The generated code checks
//! each where it is written, so that the compiler's errors point at it.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Compiles for a type of a parameter.
pub fn parameter<T: Serialize>() {}

/// Compiles for a type of a result, or of an item of a stream.
pub fn result<T: DeserializeOwned>() {}

/// Compiles for a type of an error.
pub fn error<T: DeserializeOwned>() {}
