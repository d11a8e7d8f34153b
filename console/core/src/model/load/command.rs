//! A load test as an `rpcd bench` command.

use rpc_load::{Length, Mode};
use rpc_wire::target::Target;

use crate::model::access::Access;
use crate::model::load::LoadRequest;
use crate::model::snippet::{command_line, marked};

/// The `rpcd bench` command that makes the same load test, quoted for a POSIX shell.
///
/// # Errors
/// Something that a command line cannot express.
pub fn bench_command(request: &LoadRequest, access: &Access) -> Result<String, String> {
    let mut words = vec!["rpcd".to_owned(), "bench".to_owned()];
    words.extend(access.options());
    let mut flag = |name: &str, value: String| words.extend([name.to_owned(), value]);
    match request.mode {
        Mode::OpenLoop { rate, max_in_flight } => {
            flag("--rate", rate.to_string());
            flag("--concurrency", max_in_flight.to_string());
        }
        Mode::ClosedLoop { concurrency } => flag("--concurrency", concurrency.to_string()),
    }
    flag("--connections", request.connections.to_string());
    match request.length {
        Length::Time(time) => flag("--duration", crate::text::flag_duration(time)),
        Length::Calls(calls) => flag("--count", calls.to_string()),
    }
    flag("--warmup", crate::text::flag_duration(request.warm_up));
    flag("--timeout", crate::text::flag_duration(request.timeout));
    match &request.target {
        Target::Registry { url } => {
            flag("--registry", url.clone());
            if let Some(service) = request.service.name() {
                flag("--service", service.to_owned());
            }
        }
        Target::JsonRpc { url } => flag("-i", url.clone()),
        Target::Direct { host, port } if host.starts_with('-') => {
            return Err(format!("{host}:{port} is no address"));
        }
        Target::Direct { host, port } => {
            flag("-i", host.clone());
            flag("-p", port.to_string());
        }
    }
    let args = marked(&request.args)?.to_words().map_err(|error| error.to_string())?;
    let call: Vec<String> = [request.method.clone()].into_iter().chain(args).collect();
    if call.iter().any(|word| word.starts_with('-')) {
        words.push("--".to_owned());
    }
    words.extend(call);
    Ok(access.variables()? + &command_line(&words)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::service::Service;
    use rpc_wire::call::Args;
    use serde_json::json;

    fn request(args: &serde_json::Value, keyword: &serde_json::Value) -> LoadRequest {
        LoadRequest {
            id: 1,
            service: Default::default(),
            method: "add".to_owned(),
            args: Args::from_values(args.as_array().unwrap(), keyword.as_object().unwrap()),
            target: Target::direct("127.0.0.1:8089").unwrap(),
            timeout: Duration::from_secs(10),
            mode: Mode::OpenLoop { rate: 100.0, max_in_flight: 240 },
            connections: 1,
            length: Length::Time(Duration::from_secs(10)),
            warm_up: Duration::from_millis(500),
        }
    }

    #[test]
    fn every_setting_is_on_the_command_line() {
        let open = request(&json!([1, -2]), &json!({"c": 3}));
        assert_eq!(
            bench_command(&open, &Access::default()).unwrap(),
            "rpcd bench --rate 100 --concurrency 240 --connections 1 --duration 10s \
             --warmup 500ms --timeout 10s -i 127.0.0.1 -p 8089 -- add 1 -2 c=3"
        );
        let closed = LoadRequest {
            mode: Mode::ClosedLoop { concurrency: 8 },
            connections: 2,
            length: Length::Calls(500),
            target: Target::Registry { url: "http://127.0.0.1:9999".to_owned() },
            ..request(&json!([]), &json!({}))
        };
        assert_eq!(
            bench_command(&closed, &Access::default()).unwrap(),
            "rpcd bench --concurrency 8 --connections 2 --count 500 --warmup 500ms --timeout 10s \
             --registry http://127.0.0.1:9999 add"
        );
        let of_a_service = LoadRequest { service: Service::named("orders"), ..closed };
        let command = bench_command(&of_a_service, &Access::default()).unwrap();
        assert!(
            command.ends_with("--registry http://127.0.0.1:9999 --service orders add"),
            "{command}"
        );
    }

    #[test]
    fn arguments_that_no_command_can_express_are_refused() {
        let odd_name = request(&json!([]), &json!({"a b": 1}));
        assert!(bench_command(&odd_name, &Access::default()).unwrap_err().contains("a b"));
        let evil = LoadRequest { method: "x\nreboot".into(), ..request(&json!([]), &json!({})) };
        assert!(
            bench_command(&evil, &Access::default()).unwrap_err().contains("control character")
        );
    }
}
