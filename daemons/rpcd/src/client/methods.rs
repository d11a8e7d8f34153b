//! `rpcd methods`: lists methods.

use rpc_client::{Client, ClientOptions, Target};
use rpc_wire::signature::{Signature, to_openrpc};

use crate::failure::Failure;
use crate::output;

/// Lists the methods of `target`; of any instance if it is a registry.
///
/// # Errors
/// The call failed.
pub async fn methods(target: Target, options: ClientOptions, json: bool) -> Result<(), Failure> {
    let title = target.to_string();
    let client = Client::new(target, options)?;
    let listed = client.methods().await;
    super::close(client).await;
    let methods = listed?;
    if json {
        return output::line(&to_openrpc(&title, env!("CARGO_PKG_VERSION"), &methods).to_string());
    }
    let calls: Vec<String> = methods.iter().map(call_of).collect();
    let width = calls.iter().map(|call| call.chars().count()).max().unwrap_or(0);
    for (method, call) in methods.iter().zip(&calls) {
        let doc = method.doc.lines().next().unwrap_or_default();
        output::line(format!("{call:width$}  {doc}").trim_end())?;
    }
    Ok(())
}

/// `add(a, b, c=10)`.
fn call_of(method: &Signature) -> String {
    let parameters: Vec<String> = method
        .parameters
        .iter()
        .map(|parameter| match &parameter.default {
            Some(default) => format!("{}={default}", parameter.name),
            None if !parameter.is_required() => format!("{}?", parameter.name),
            None => parameter.name.clone(),
        })
        .collect();
    let stream = if method.stream { " (stream)" } else { "" };
    format!("{}({}){stream}", method.name, parameters.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::signature::Parameter;
    use serde_json::json;

    #[test]
    fn a_method_is_listed_as_it_is_called() {
        let parameters = vec![
            Parameter::required("a", json!(true)),
            Parameter::optional("c", json!(true), json!("x")),
        ];
        let mut method =
            Signature { name: "m".to_owned(), parameters, stream: true, ..Signature::default() };
        assert_eq!(call_of(&method), r#"m(a, c="x") (stream)"#);
        method.parameters.clear();
        method.stream = false;
        assert_eq!(call_of(&method), "m()");
    }
}
