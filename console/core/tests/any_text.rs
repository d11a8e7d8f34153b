//! Fuzz target: any text as JSON arguments of a form.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use rpc_console_core::model::form::Form;
use rpc_wire::signature::{Parameter, Signature};
use serde_json::{Value, json};

fn form() -> Form {
    Form::new(Signature {
        name: "add".to_owned(),
        parameters: vec![
            Parameter::required("a", json!({"type": "number"})),
            Parameter::required("b", Value::Bool(true)),
            Parameter::optional("c", json!({"enum": ["x", 1, null]}), json!("x")),
        ],
        ..Signature::default()
    })
}

#[test]
fn any_text_is_an_error_or_fills_a_form_that_reads_its_own_json() {
    rpc_fuzz::text("arguments", |text| {
        let mut form = form();
        if form.read_json(text).is_ok() {
            let own = form.to_json();
            form.read_json(&own).unwrap();
            assert_eq!(form.to_json(), own);
        }
    });
}
