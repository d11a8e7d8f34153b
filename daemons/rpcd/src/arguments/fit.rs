//! Whether arguments are those of a method, by number and name; what they are is for the method to judge.

use std::collections::BTreeMap;

use rpc_wire::call::Args;
use rpc_wire::nearest;
use rpc_wire::shell_word;
use rpc_wire::signature::{Parameter, Signature};
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::shell;

/// Refuses arguments that the method would refuse: one that it needs is missing, or there is one too many. `flags`
/// choose the target, for the command that is advised.
///
/// # Errors
/// They do not fit.
pub fn check(args: &Args, method: &Signature, flags: &str) -> Result<(), Failure> {
    let name = &method.name;
    let failure = |what: String| {
        let see = shell::command("rpcd describe", &[shell_word(name)], flags);
        Err(Failure::usage(format!("{what}; see {see}")))
    };
    // They were written by this program or read as JSON: what cannot be read here is not for here to judge.
    let Ok(positional) = serde_json::from_str::<Vec<&RawValue>>(args.positional()) else {
        return Ok(());
    };
    let Ok(named) = serde_json::from_str::<BTreeMap<String, &RawValue>>(args.keyword()) else {
        return Ok(());
    };
    let (given, parameters) = (positional.len(), &method.parameters);
    // Lists of other makes often leave them out.
    if parameters.is_empty() {
        return Ok(());
    }
    if given > parameters.len() {
        return failure(match parameters.len() {
            1 => format!("{name} takes 1 argument, not {given}"),
            most => format!("{name} takes at most {most} arguments, not {given}"),
        });
    }
    let names = || parameters.iter().map(|parameter| parameter.name.as_str());
    if let Some(unknown) = named.keys().find(|named| names().all(|name| name != named.as_str())) {
        let near = nearest(unknown, names());
        let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        return failure(format!("{name} has no argument {unknown}{hint}"));
    }
    let is_missing =
        |parameter: &&Parameter| parameter.is_required() && !named.contains_key(&parameter.name);
    let missing: Vec<&str> =
        parameters.iter().skip(given).filter(is_missing).map(|it| it.name.as_str()).collect();
    match missing.as_slice() {
        [] => Ok(()),
        [one] => failure(format!("the argument {one} of {name} is missing")),
        several => failure(format!("the arguments {} of {name} are missing", several.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_that_the_method_would_refuse_are_named() {
        let method = Signature {
            name: "discount".to_owned(),
            parameters: vec![
                Parameter::required("price", json!(true)),
                Parameter::required("code", json!(true)),
                Parameter::optional("percent", json!(true), json!(10)),
            ],
            ..Signature::default()
        };
        let said = |words: &[&str], method: &Signature| {
            let args = Args::from_words(words.iter().copied()).unwrap();
            check(&args, method, " -p 1").err().map(|failure| failure.message)
        };
        for words in [&["1", "a"][..], &["1", "a", "5"], &["1", "code=a"], &["code=a", "price=1"]] {
            assert_eq!(said(words, &method), None, "{words:?}");
        }
        for (words, expected) in [
            (&[][..], "the arguments price, code of discount are missing"),
            (&["1"], "the argument code of discount is missing"),
            (&["percent=5", "code=a"], "the argument price of discount is missing"),
            (&["1", "a", "5", "6"], "discount takes at most 3 arguments, not 4"),
            (&["1", "a", "percnt=5"], "discount has no argument percnt; did you mean percent?"),
        ] {
            let expected = format!("{expected}; see rpcd describe discount -p 1");
            assert_eq!(said(words, &method), Some(expected), "{words:?}");
        }
        let unsaid = Signature { name: "now".to_owned(), ..Signature::default() };
        assert_eq!(said(&["1", "a=2"], &unsaid), None);
    }
}
