//! Methods that another program has: their arguments and results pass through as JSON.

use futures_util::{Stream, StreamExt};
use rpc_security::Role;
use rpc_wire::call::Args;
use rpc_wire::fault::Fault;
use rpc_wire::signature::Signature;
use serde_json::value::RawValue;

use super::{Body, Given, ItemStream, Method, Started, Unary};
use crate::arguments::{ForwardedParameters, Parameters};
use crate::call::Call;
use crate::extract::Needs;

impl Method {
    /// A method as another program describes it. `forward` gets each call with its arguments bound:
    /// by position, defaults filled in, as far as the signature knows them; the rest by name.
    ///
    /// ```
    /// use rpc_server::Method;
    /// use rpc_server::serde_json::value::{RawValue, to_raw_value};
    /// use rpc_server::signature::{Parameter, Signature};
    ///
    /// let mut signature = Signature { name: "echo".to_owned(), ..Signature::default() };
    /// signature.parameters.push(Parameter::required("value", true.into()));
    /// let echo = Method::forwarded(signature, |_call, args| {
    ///     let values: Vec<Box<RawValue>> = serde_json::from_str(args.positional()).unwrap();
    ///     async move { Ok(values.into_iter().next().unwrap()) }
    /// });
    /// assert_eq!(echo.signature().parameters.len(), 1);
    /// # let _ = to_raw_value(&1);
    /// ```
    pub fn forwarded<F>(
        mut signature: Signature,
        forward: impl Fn(Call, Args) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Box<RawValue>, Fault>> + Send + 'static,
    {
        signature.stream = false;
        let parameters = ForwardedParameters::new(&signature);
        let body = move |given: Given<'_>| -> Result<Unary, Fault> {
            let args = parameters.bind(given.arguments)?;
            let result = forward(given.parts.call().clone(), args);
            Ok(Box::pin(async move { result.await.map(into_bytes) }))
        };
        Self::of_another_program(signature, Body::Started(Started::Async(Box::new(body))))
    }

    /// The same of a method that returns many results.
    pub fn forwarded_stream<S>(
        mut signature: Signature,
        forward: impl Fn(Call, Args) -> S + Send + Sync + 'static,
    ) -> Self
    where
        S: Stream<Item = Result<Box<RawValue>, Fault>> + Send + 'static,
    {
        signature.stream = true;
        let parameters = ForwardedParameters::new(&signature);
        let body = move |given: Given<'_>| -> Result<ItemStream, Fault> {
            let args = parameters.bind(given.arguments)?;
            let items = forward(given.parts.call().clone(), args);
            Ok(Box::pin(items.map(|item| Ok((into_bytes(item?), 0)))))
        };
        Self::of_another_program(signature, Body::Started(Started::Stream(Box::new(body))))
    }

    fn of_another_program(signature: Signature, body: Body) -> Self {
        Self {
            // The body has its own.
            parameters: Parameters::new(signature.name.clone(), Vec::new(), Vec::new()),
            signature,
            body,
            needs: Needs::default(),
            role: Role::Call,
            problem: None,
        }
    }
}

fn into_bytes(json: Box<RawValue>) -> Vec<u8> {
    Box::<str>::from(json).into_string().into_bytes()
}
