//! `rpcd methods`: lists methods.

use rpc_client::Client;
use rpc_wire::signature::{Signature, to_openrpc};

use super::signature;
use crate::failure::Failure;
use crate::output;
use crate::plan::Ask;

/// A longer signature has a line of its own, so that it does not push the others' docs away.
const WIDEST: usize = 56;

/// Lists the methods of the target; of any instance if it is a registry.
///
/// # Errors
/// The call failed.
pub async fn methods(ask: Ask, filter: Option<&str>) -> Result<(), Failure> {
    let title = ask.target.to_string();
    let mut methods = listed(&ask).await?;
    let wanted = filter.map(str::to_lowercase).unwrap_or_default();
    methods.retain(|method| method.name.to_lowercase().contains(&wanted));
    if ask.json {
        return output::line(&to_openrpc(&title, env!("CARGO_PKG_VERSION"), &methods).to_string());
    }
    match (methods.is_empty(), filter) {
        (true, Some(filter)) => {
            output::say(&format!("no method of {title} has {filter:?} in its name"))
        }
        (true, None) => output::say(&format!("{title} has no methods")),
        (false, _) => {
            let (heading, lines) = table(&methods);
            output::heading(&heading)?;
            lines.iter().try_for_each(|line| output::text(line))?;
        }
    }
    Ok(())
}

/// The methods of the target.
pub(super) async fn listed(ask: &Ask) -> Result<Vec<Signature>, Failure> {
    let client = Client::new(ask.target.clone(), ask.options.clone())?;
    let listed = client.methods().await;
    super::close(client).await;
    Ok(listed?)
}

fn table(methods: &[Signature]) -> (String, Vec<String>) {
    let calls: Vec<String> = methods.iter().map(signature::of).collect();
    let lengths = calls.iter().map(|call| call.chars().count());
    let width = lengths.filter(|length| *length <= WIDEST).max().unwrap_or(0).max("METHOD".len());
    let mut lines = Vec::new();
    for (method, call) in methods.iter().zip(&calls) {
        let doc = method.doc.lines().next().unwrap_or_default();
        if call.chars().count() <= width {
            lines.push(format!("{call:width$}  {doc}").trim_end().to_owned());
        } else {
            lines.push(call.clone());
            if !doc.is_empty() {
                lines.push(format!("{:width$}  {doc}", ""));
            }
        }
    }
    (format!("{:width$}  {}", "METHOD", "DESCRIPTION"), lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::signature::Parameter;
    use serde_json::json;

    #[test]
    fn a_long_signature_does_not_pad_the_others() {
        let method = |name: &str, parameters: usize| Signature {
            name: name.to_owned(),
            doc: format!("Does {name}.\nMore."),
            parameters: (0..parameters)
                .map(|at| Parameter::required(format!("argument_{at}"), json!(true)))
                .collect(),
            ..Signature::default()
        };
        let (heading, lines) = table(&[method("a", 0), method("long", 20), method("bcdefg", 0)]);
        assert_eq!(heading, "METHOD    DESCRIPTION");
        assert_eq!(
            (lines[0].as_str(), lines[3].as_str()),
            ("a()       Does a.", "bcdefg()  Does bcdefg.")
        );
        assert!(lines[1].starts_with("long(argument_0, ") && lines[2] == "          Does long.");
    }
}
