//! A typed call's error: the service's own, or the call's.

use rpc_wire::fault::Code;
use serde::de::DeserializeOwned;

use crate::CallError;

/// Why a method of a service that returns `Result<T, E>` gave no `T`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ServiceError<E> {
    /// The method returned this error.
    #[error("{0}")]
    Service(E),
    /// The call failed.
    #[error(transparent)]
    Call(CallError),
}

impl<E: DeserializeOwned> From<CallError> for ServiceError<E> {
    /// The data of a method's error, where they are an `E`; every other error stays what it is. Only
    /// codes of methods count: the server's own errors have data of other types.
    fn from(error: CallError) -> Self {
        let CallError::Remote { fault, .. } = &error else { return Self::Call(error) };
        let data = match fault.code {
            Code::MethodFailed | Code::Other(_) => fault.data.as_ref(),
            _ => None,
        };
        match data.map(E::deserialize) {
            Some(Ok(error)) => Self::Service(error),
            _ => Self::Call(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use rpc_wire::fault::Fault;
    use serde_json::{Value, json};

    use super::*;

    fn remote(code: Code, data: Option<Value>) -> CallError {
        let fault = Fault { data, ..Fault::new(code, "no") };
        CallError::Remote { peer: "p".to_owned(), fault: Box::new(fault) }
    }

    #[test]
    fn only_a_methods_own_data_of_the_right_type_is_its_error() {
        let read = |code, data: Option<Value>| ServiceError::<u8>::from(remote(code, data));
        assert_eq!(read(Code::MethodFailed, Some(json!(7))), ServiceError::Service(7));
        assert_eq!(read(Code::Other(3), Some(json!(7))), ServiceError::Service(7));
        for (code, data) in [
            (Code::BadArguments, Some(json!(7))),
            (Code::MethodFailed, Some(json!("7"))),
            (Code::MethodFailed, None),
        ] {
            let error = remote(code, data.clone());
            assert_eq!(read(code, data), ServiceError::Call(error));
        }
        assert_eq!(
            ServiceError::<u8>::from(CallError::Closed),
            ServiceError::Call(CallError::Closed)
        );
    }
}
