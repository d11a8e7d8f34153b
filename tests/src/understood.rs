//! Whether an earlier program still finds in a value what it found there before.

use serde_json::Value;

/// Keys that may have been added since: an earlier program passes over them.
const ADDED: &[&str] = &[
    // Of an instance, and of a server's health.
    "service",
    "version",
    "contract",
    "tls",
    // Of a registry's readiness.
    "store_kind",
    "sharing",
    // Of an instance that one of several registries lists.
    "owner",
    // Of a method in discovery.
    "x-read-only",
    "x-idempotent",
    "deprecated",
    "examples",
];

/// Keys whose values differ from run to run; only their types are compared.
const VARYING: &[&str] = &[
    "uptime_ms",
    "age_ms",
    "registered_ms_ago",
    "heartbeats",
    "incarnation",
    "version",
    "at_ms",
    // Of rpc.stats.
    "connections",
    "connections_accepted",
    "in_flight",
    "calls",
    "errors",
    "p50_us",
    "p95_us",
    "p99_us",
];

/// Which keys may be new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum New {
    /// Those on the list of this file: what goes over the wire.
    Listed,
    /// Any: what scripts read from `--json`. The message of an error is for people and may get better.
    Any,
}

/// What an earlier program would miss in `ours`, each difference a line.
pub fn differences(recorded: &Value, ours: &Value, new: New) -> Vec<String> {
    let mut found = Vec::new();
    compare(recorded, ours, new, "", &mut found);
    found
}

fn compare(recorded: &Value, ours: &Value, new: New, at: &str, found: &mut Vec<String>) {
    match (recorded, ours) {
        (Value::Object(before), Value::Object(now)) => {
            // A line of a log: what happened is another run's.
            let is_line = before.contains_key("at_ms") && before.contains_key("target");
            for (key, value) in before {
                let path = format!("{at}.{key}");
                match now.get(key) {
                    None => found.push(format!("{path} is missing")),
                    Some(same)
                        if is_line
                            || VARYING.contains(&key.as_str())
                            || (new == New::Any && path.ends_with(".error.message")) =>
                    {
                        if kind(value) != kind(same) {
                            found.push(format!("{path} was {value} and is {same}"));
                        }
                    }
                    Some(other) => compare(value, other, new, &path, found),
                }
            }
            let added = now.keys().filter(|key| !before.contains_key(*key));
            for key in added.filter(|key| new == New::Listed && !ADDED.contains(&key.as_str())) {
                found.push(format!("{at}.{key} is new"));
            }
        }
        // Parameters have a place as well as a name.
        (Value::Array(before), Value::Array(now))
            if !at.ends_with(".params") && before.iter().any(|value| name(value).is_some()) =>
        {
            for value in before {
                let path = format!("{at}[{}]", name(value).unwrap_or_default());
                match now.iter().find(|other| name(other) == name(value)) {
                    Some(other) => compare(value, other, new, &path, found),
                    None => found.push(format!("{path} is missing")),
                }
            }
        }
        (Value::Array(before), Value::Array(now)) if before.len() == now.len() => {
            for (index, (value, other)) in before.iter().zip(now).enumerate() {
                compare(value, other, new, &format!("{at}[{index}]"), found);
            }
        }
        (Value::String(before), Value::String(now))
            if without_times(before) == without_times(now) => {}
        _ if recorded == ours => {}
        _ => found.push(format!("{at} was {recorded} and is {ours}")),
    }
}

/// What identifies an entry of a list of methods: more of them are no difference.
fn name(value: &Value) -> Option<&str> {
    value.get("name").or_else(|| value.get("method_name"))?.as_str()
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// A text with every number before `ms` replaced.
fn without_times(text: &str) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    for index in 0..words.len() {
        let is_number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        let unit_follows = words.get(index + 1).is_some_and(|word| word.starts_with("ms"));
        let word = &words[index];
        if is_number(word) && unit_follows || word.strip_suffix("ms").is_some_and(is_number) {
            words[index] = "TIME".to_owned();
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_earlier_program_would_miss_is_a_difference() {
        let before =
            json!({"id": 1, "res": {"uptime_ms": 5, "list": [1, 2], "text": "after 7 ms"}});
        for (ours, expected) in [
            (json!({"id": 1, "res": {"uptime_ms": 9, "list": [1, 2], "text": "after 8 ms"}}), ""),
            (json!({"id": 1, "res": {"uptime_ms": 9, "list": [1, 2]}}), ".res.text is missing"),
            (
                json!({"id": 1, "res": {"uptime_ms": "9", "list": [1, 2], "text": "after 7 ms"}}),
                ".res.uptime_ms was 5 and is \"9\"",
            ),
            (
                json!({"id": 1, "res": {"uptime_ms": 5, "list": [1], "text": "after 7 ms"}}),
                ".res.list was [1,2] and is [1]",
            ),
            (
                json!({"id": "1", "res": {"uptime_ms": 5, "list": [1, 2], "text": "after 7 ms"}}),
                ".id was 1 and is \"1\"",
            ),
        ] {
            assert_eq!(differences(&before, &ours, New::Listed).join("; "), expected);
        }
    }

    #[test]
    fn only_listed_keys_may_be_new_on_the_wire() {
        let before = json!({"host": "a"});
        let ours = json!({"host": "a", "contract": "0", "odd": 1});
        assert_eq!(differences(&before, &ours, New::Listed), [".odd is new"]);
        assert_eq!(differences(&before, &ours, New::Any), [""; 0]);
    }

    #[test]
    fn methods_may_be_added_but_parameters_have_places() {
        let method = |name: &str, params: Value| json!({"name": name, "params": params});
        let [a, b] = ["a", "b"].map(|name| json!({"name": name}));
        let before = json!({"methods": [method("one", json!([a, b]))]});
        let more = json!({"methods": [method("two", json!([])), method("one", json!([a, b]))]});
        assert_eq!(differences(&before, &more, New::Listed), [""; 0]);
        let swapped = json!({"methods": [method("one", json!([b, a]))]});
        assert_eq!(differences(&before, &swapped, New::Listed).len(), 2);
    }
}
