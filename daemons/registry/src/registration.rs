//! The body of a registration or unregistration, and why it is refused.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use rpc_wire::exact;
use rpc_wire::instance::{self, InstanceKey, MAX_PARAMETERS_MEMORY, Parameters};
use rpc_wire::json::memory_of_value;
use rpc_wire::target::is_host;
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::RegistryOptions;
use crate::error::Refusal;

/// An instance whose parameters are only passed on: text takes a fraction of the memory.
type Instance = instance::Instance<Box<RawValue>>;

/// A checked registration, with the reply to it.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    /// The instance that registers.
    pub(crate) key: InstanceKey,
    /// The service it says it is an instance of, if the name is valid.
    pub(crate) service: Option<String>,
    /// The instance's incarnation, if given.
    pub(crate) incarnation: Option<u64>,
    /// The name of who registers it, which no body says; `None` until that is known.
    pub(crate) identity: Option<Arc<str>>,
    /// The instance as JSON, with status `true`: the reply to each of its heartbeats, and its element
    /// in a list.
    pub(crate) reply: Bytes,
    /// Where its parameters begin in the reply; they end one byte before it does.
    pub(crate) parameters_at: usize,
    /// It says that it is a server of ours: it speaks the extended dialect.
    pub(crate) extended: bool,
}

impl Registration {
    /// Reads a body. Unknown keys and `status` are ignored, missing or null `parameters` are `{}`,
    /// of duplicate keys the last counts.
    ///
    /// # Errors
    /// Says which key is wrong, and why.
    pub(crate) fn parse(body: &[u8], limits: &RegistryOptions) -> Result<Self, Refusal> {
        // Not into a struct: it would accept an array, and refuse duplicate keys.
        let fields: Fields<'_> = serde_json::from_slice(body)
            .map_err(|error| bad("body", format!("not a JSON object: {error}")))?;
        let protocol = required(&fields, "protocol", "a string")?;
        let host = required(&fields, "host", "a string")?;
        let port = required(&fields, "port", A_PORT)?;
        let InstanceKey { protocol, host, port } = key(protocol, host, port, limits)?;
        let instance = instance::Instance {
            protocol,
            host,
            port,
            status: true,
            parameters: parameters(&fields)?,
        };
        let service = instance.service().map(str::to_owned);
        let incarnation = instance.incarnation();
        let extended = instance.speaks_extended();
        let parameters = to_text(&instance.parameters, limits.max_parameters_bytes)?;
        let instance = instance.with_parameters(parameters);
        let reply = to_json(&instance)?;
        let parameters_at = reply.len() - 1 - instance.parameters.get().len();
        let key = instance.key();
        Ok(Self { key, service, incarnation, identity: None, reply, parameters_at, extended })
    }

    /// The reply to an instance that is not listed.
    ///
    /// # Errors
    /// Never in practice; the signature is serde's.
    pub(crate) fn reply_unlisted(self) -> Result<Bytes, Refusal> {
        let mut instance: Instance =
            serde_json::from_slice(&self.reply).map_err(|error| bad("body", error.to_string()))?;
        instance.status = false;
        to_json(&instance)
    }
}

type Fields<'a> = HashMap<String, &'a RawValue>;

/// The longest name of a protocol; a longer one is refused with 400.
const MAX_PROTOCOL_BYTES: usize = 64;
/// What a port must be.
const A_PORT: &str = "a whole number from 1 to 65535";
/// The deepest nesting of parameters, their own object included.
const MAX_PARAMETERS_DEPTH: usize = 16;

/// The identity of an instance.
///
/// # Errors
/// Says what no instance can have.
pub(crate) fn key(
    protocol: String,
    host: String,
    port: u16,
    limits: &RegistryOptions,
) -> Result<InstanceKey, Refusal> {
    check_protocol(&protocol)?;
    check_host(&host, limits.max_host_bytes)?;
    if port == 0 {
        return Err(bad("port", format!("is 0, must be {A_PORT}")));
    }
    Ok(InstanceKey { protocol, host, port })
}

fn check_protocol(protocol: &str) -> Result<(), Refusal> {
    let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    if !(1..=MAX_PROTOCOL_BYTES).contains(&protocol.len()) || !protocol.bytes().all(allowed) {
        return Err(bad("protocol", "must be 1 to 64 characters of a-z, 0-9, '.', '_' and '-'"));
    }
    Ok(())
}

fn check_host(host: &str, max_bytes: usize) -> Result<(), Refusal> {
    if !(1..=max_bytes).contains(&host.len()) {
        return Err(bad("host", format!("is {} bytes long, must be 1 to {max_bytes}", host.len())));
    }
    if !is_host(host) {
        return Err(bad(
            "host",
            "must be an IP address (IPv6 without brackets or zone) or a host name",
        ));
    }
    Ok(())
}

fn parameters(fields: &Fields<'_>) -> Result<Parameters, Refusal> {
    let Some(raw) = fields.get("parameters") else { return Ok(Parameters::new()) };
    // Readers nest them in lists and events, each with its own limit of depth.
    if nesting(raw.get()) > MAX_PARAMETERS_DEPTH {
        let what = format!("are nested more than {MAX_PARAMETERS_DEPTH} deep");
        return Err(bad("parameters", what));
    }
    exact::check(*raw).map_err(|error| bad("parameters", error.to_string()))?;
    let parameters: Option<Parameters> = typed("parameters", raw, "an object")?;
    Ok(parameters.unwrap_or_default())
}

/// How deep lists and objects are nested in a JSON text.
fn nesting(json: &str) -> usize {
    let (mut depth, mut deepest): (usize, usize) = (0, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn to_text(parameters: &Parameters, max_bytes: usize) -> Result<Box<RawValue>, Refusal> {
    let text = to_raw_value(parameters).map_err(|error| bad("parameters", error.to_string()))?;
    let size = text.get().len();
    if size > max_bytes {
        return Err(bad("parameters", format!("take {size} bytes, at most {max_bytes} fit")));
    }
    if memory_of_value(text.get()) > MAX_PARAMETERS_MEMORY {
        let what = "have so many lists and objects that readers would skip the instance";
        return Err(bad("parameters", what));
    }
    Ok(text)
}

fn required<'a, T: Deserialize<'a>>(
    fields: &Fields<'a>,
    key: &str,
    expected: &str,
) -> Result<T, Refusal> {
    let raw = fields.get(key).ok_or_else(|| bad(key, format!("is missing, must be {expected}")))?;
    typed(key, raw, expected)
}

fn typed<'a, T: Deserialize<'a>>(
    key: &str,
    raw: &'a RawValue,
    expected: &str,
) -> Result<T, Refusal> {
    const SHOWN: usize = 60;
    serde_json::from_str(raw.get()).map_err(|_| {
        let mut shown: String = raw.get().chars().take(SHOWN).collect();
        if shown.len() < raw.get().len() {
            shown.push('…');
        }
        bad(key, format!("is {shown}, must be {expected}"))
    })
}

fn to_json(value: &impl serde::Serialize) -> Result<Bytes, Refusal> {
    let json = serde_json::to_vec(value).map_err(|error| bad("body", error.to_string()))?;
    // Kept as long as the instance, so of its size: what is shrunk in its place leaves a hole beside it.
    Ok(Bytes::copy_from_slice(&json))
}

fn bad(key: &str, what: impl AsRef<str>) -> Refusal {
    Refusal::BadRequest(format!("{key}: {}", what.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::instance::read_entry;

    fn parse(body: &str) -> Result<Registration, String> {
        let parsed = Registration::parse(body.as_bytes(), &RegistryOptions::default());
        parsed.map_err(|refusal| refusal.to_string())
    }

    fn reply(body: &str) -> String {
        String::from_utf8(parse(body).unwrap().reply.to_vec()).unwrap()
    }

    #[test]
    fn an_older_servers_body_gets_a_reply_in_the_older_shape() {
        let answer =
            r#"{"protocol":"json","host":"127.0.0.1","port":8089,"status":true,"parameters":{}}"#;
        for body in [
            answer,
            r#"{"protocol": "json", "host": "127.0.0.1", "port": 8089, "status": {"odd": [1e999]}}"#,
            r#"{"port":8089,"host":"x","host":"127.0.0.1","extra":[],"parameters":null,"protocol":"json"}"#,
        ] {
            assert_eq!(reply(body), answer, "{body}");
        }
        let unlisted = parse(answer).unwrap().reply_unlisted().unwrap();
        assert_eq!(unlisted, answer.replace("true", "false"));
    }

    #[test]
    fn parameters_come_back_as_they_were() {
        let body = r#"{"protocol":"a.b_c-9","host":"::1","port":1,"status":true,"parameters":{"f":1.0,"n":18446744073709551615,"t":"é\n","x":[null]}}"#;
        assert_eq!(reply(body), body);
    }

    fn refused(body: &str, what: &str) {
        let refusal = parse(body).unwrap_err();
        assert!(refusal.contains(what), "{body}: {refusal}");
        assert!(refusal.len() < 400, "{refusal}");
    }

    #[test]
    fn a_body_that_is_not_an_object_is_refused() {
        for body in ["", "{", "[]", r#"["json","h",1,true,{}]"#, "7", "\"x\"", "{} {}", "\u{0}"] {
            refused(body, "body: not a JSON object");
        }
        let not_text = Registration::parse(b"{\"host\":\"\xff\"}", &RegistryOptions::default());
        assert!(not_text.is_err());
    }

    #[test]
    fn a_wrong_field_is_named_with_what_it_must_be() {
        let with = |key: &str, value: &str| {
            let mut fields =
                vec![("protocol", "\"json\""), ("host", "\"h\""), ("port", "1"), (key, value)];
            fields.retain(|field| field.0 != key || *field == (key, value));
            let fields: Vec<_> = fields.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
            format!("{{{}}}", fields.join(","))
        };
        refused(r#"{"protocol":"json","port":1}"#, "host: is missing, must be a string");
        refused(&with("port", "70000"), "port: is 70000, must be a whole number from 1 to 65535");
        for port in ["0", "-1", "\"80\"", "1.5", "true", "null", "[1]"] {
            refused(&with("port", port), "port: is ");
        }
        let long = format!("\"{}\"", "h".repeat(254));
        for host in [
            "\"\"",
            "\"-l\"",
            "\"$(id)\"",
            "\"fe80::1%eth0\"",
            "\"a\\u200b\"",
            "\"a\\u0000\"",
            "\"a b\"",
            "\"a\\u001b[2J\"",
            "7",
            "null",
            &long,
        ] {
            refused(&with("host", host), "host: ");
        }
        let long = format!("\"{}\"", "p".repeat(65));
        for protocol in ["\"\"", "\"JSON\"", "\"a/b\"", "[]", &long] {
            refused(&with("protocol", protocol), "protocol: ");
        }
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(4096));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        let nested = |depth: usize| {
            format!("{{\"a\":{}\"]}}\\\"[\"{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1))
        };
        assert!(parse(&with("parameters", &nested(16))).is_ok());
        refused(&with("parameters", &nested(17)), "parameters: are nested more than 16 deep");
        let many = format!("{{\"a\":[{{}}{}]}}", ",{}".repeat(100));
        for parameters in [&many, "[]", "\"x\"", "{\"a\":18446744073709551616}", "1", &long, &deep]
        {
            refused(&with("parameters", parameters), "parameters: ");
        }
    }

    #[test]
    fn any_bytes_are_an_instance_that_every_reader_reads_or_an_error() {
        rpc_fuzz::bytes("registration", |body| {
            let limits = RegistryOptions::default();
            let Ok(Registration { key, incarnation, reply, parameters_at, .. }) =
                Registration::parse(body, &limits)
            else {
                return;
            };
            let again = Registration::parse(&reply, &limits).unwrap();
            assert_eq!((&again.key, again.incarnation), (&key, incarnation));
            assert_eq!((&again.reply, again.parameters_at), (&reply, parameters_at));
            let parameters = &reply[parameters_at..reply.len() - 1];
            assert!(serde_json::from_slice::<Parameters>(parameters).is_ok());
            let read = read_entry::<instance::Instance>(std::str::from_utf8(&reply).unwrap());
            assert_eq!(read.unwrap().key(), key);
        });
    }
}
