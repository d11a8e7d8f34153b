//! Fuzz target: any text as the value of a field, of a variable, and of the process environment.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use rpc_console_core::model::template::{Variables, has_reference, resolve, secrets};
use rpc_wire::call::Args;
use serde_json::{Map, json};

fn sent(args: &Args, secret: &str) -> String {
    let resolved = resolve(args, |_| Some(secret.to_owned())).unwrap();
    let [text] = serde_json::from_str::<[String; 1]>(resolved.positional()).unwrap();
    text
}

fn args(text: &str) -> Args {
    Args::from_values(&[json!(text)], &Map::new())
}

#[test]
fn any_text_is_sent_as_it_is_but_for_its_references() {
    rpc_fuzz::text("template", |text| {
        let mut variables = Variables { environment: Some("e".to_owned()), ..Variables::default() };
        match variables.fill(text) {
            Ok(filled) if !has_reference(text) => {
                assert_eq!(filled, text);
                assert_eq!(sent(&args(text), ""), text);
            }
            // Filling is idempotent: a call of the history is filled again.
            Ok(filled) => assert_eq!(variables.fill(&filled).unwrap(), filled),
            Err(error) => assert!(has_reference(text), "{error}"),
        }
        // The value of a variable arrives as it is, but for the process environment.
        variables.values.insert("v".to_owned(), text.to_owned());
        variables.process = secrets(&args(text));
        let filled = variables.fill("<{{v}}>").unwrap();
        assert_eq!(variables.fill(&filled).unwrap(), filled);
        if secrets(&args(text)).is_empty() && !text.contains('=') {
            assert_eq!(sent(&args(&filled), ""), format!("<{text}>"));
        }
        // A secret is put in once, whatever it contains.
        assert_eq!(sent(&args("a{{env:S}}b"), text), format!("a{text}b"));
    });
}
