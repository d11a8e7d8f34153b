//! Fuzz target: any text as the schema of a parameter and a result.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use rpc_console_core::model::docs::{Docs, docs};
use rpc_console_core::model::form::Form;
use rpc_console_core::text::printable;
use rpc_wire::signature::{Parameter, Signature};
use serde_json::Value;

/// More than any page or form has, whatever a schema refers to.
const MAX_BYTES: usize = 1 << 20;

#[test]
fn any_schema_makes_a_form_and_a_page_of_bounded_size() {
    rpc_fuzz::text("schema", |text| {
        let Ok(schema) = serde_json::from_str::<Value>(text) else { return };
        let signature = Signature {
            name: "m".to_owned(),
            parameters: vec![Parameter::required("p", schema.clone())],
            result: Some(schema),
            ..Signature::default()
        };
        let mut form = Form::new(signature.clone());
        // With a skeleton of the value, and with what may be a value.
        for typed in ["", "1", "[{}]", "{\"a\":{\"b\":[1]}}"] {
            form.fields[0].set_text(typed);
            let _ = (form.fields[0].value(), form.fields[0].kind.choices());
            let json = form.to_json();
            assert!(json.len() < MAX_BYTES, "{}", json.len());
            serde_json::from_str::<Value>(&json).unwrap();
        }
        let page = docs(&Docs { signature: signature.into(), ..Docs::default() }, 80);
        let bytes: usize = page.iter().map(|line| line.text.len()).sum();
        assert!(bytes + page.len() < MAX_BYTES, "{bytes} in {} lines", page.len());
        assert!(page.iter().all(|line| printable(&line.text) == line.text), "{page:?}");
    });
}
