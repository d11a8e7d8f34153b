//! Fuzz target: any text as the file of saved requests.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use std::time::Duration;

use rpc_console_core::model::saved::file::{change, parse};
use rpc_console_core::model::saved::{Change, SavedRequest};
use rpc_console_core::model::service::Service;
use rpc_wire::call::Args;
use serde_json::{Map, json};

#[test]
fn any_text_is_refused_with_a_line_or_keeps_its_requests_when_one_is_saved() {
    rpc_fuzz::text("requests", |text| {
        let before = match parse(text) {
            Ok(contents) => contents,
            Err(error) => {
                assert!(error.line >= 1 && error.line <= text.split('\n').count(), "{error}");
                assert!(!error.message.contains('\n'), "{error}");
                return;
            }
        };
        let request = SavedRequest {
            name: "a name that is hardly taken".to_owned(),
            service: Service::named("shop"),
            method: text.to_owned() + "m",
            args: Args::from_values(&[json!(text)], &Map::new()),
            target: None,
            timeout: Duration::from_secs(1),
            stream: false,
        };
        let save = Change::Save { request: request.clone(), replace: true };
        let saved = change(text, &save).unwrap();
        let after = parse(&saved).unwrap();
        assert_eq!(after.requests.last(), Some(&request));
        assert_eq!(after.requests[..before.requests.len()], before.requests);
        assert_eq!(after.environments, before.environments);
        let deleted = change(&saved, &Change::Delete(request.name)).unwrap();
        assert_eq!(parse(&deleted).unwrap(), before);
    });
}
