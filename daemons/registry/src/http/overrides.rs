//! The operators' overrides: which instance a path names, and what a body asks for.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use rpc_wire::instance::{
    InstanceKey, MAX_BY_BYTES, MAX_REASON_BYTES, OverrideEntry, OverrideRequest,
};
use rpc_wire::{is_hidden, paths};
use serde::Serialize;

use super::{Reply, acknowledged, json};
use crate::RegistryOptions;
use crate::error::Refusal;
use crate::registration;
use crate::service::{Acknowledged, Sender, Service};
use crate::table::{Override, Sight};

/// The longest time of an override that is given one: a year.
const MAX_OVERRIDE_TIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// The instance that a path names: `/v1/overrides/{proto}/{host}/{port}`, an IPv6 address with or without
/// brackets.
///
/// # Errors
/// It is another path, or names nothing that could register.
pub(super) fn key(path: &str, limits: &RegistryOptions) -> Result<InstanceKey, Refusal> {
    let named = path.strip_prefix(paths::OVERRIDES).and_then(|rest| rest.strip_prefix('/'));
    let mut segments = named.ok_or(Refusal::NotFound)?.split('/').map(|segment| {
        percent_decode_str(segment).decode_utf8().map_err(|_| bad("path", "must be UTF-8"))
    });
    let mut segment = || segments.next().ok_or(Refusal::NotFound)?;
    let (protocol, host, port) = (segment()?, segment()?, segment()?);
    if segments.next().is_some() {
        return Err(Refusal::NotFound);
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
    let port = port.parse().map_err(|_| bad("port", "must be a whole number from 1 to 65535"))?;
    registration::key(protocol.into_owned(), bare.to_owned(), port, limits)
}

/// Sets the override that the body asks for.
///
/// # Errors
/// The body is invalid, or there are as many overrides as there may be.
pub(super) async fn set(
    service: &Service,
    key: InstanceKey,
    body: &[u8],
    sender: &Sender,
) -> Result<Reply, Refusal> {
    let (what, time) = parse(body, sender)?;
    Ok(changed(service.set_override(key, what, time, sender).await?))
}

/// Takes an override back: the reply is what stood until now, or `null`.
///
/// # Errors
/// The sender may not.
pub(super) async fn clear(
    service: &Service,
    key: &InstanceKey,
    sender: &Sender,
) -> Result<Reply, Refusal> {
    let Acknowledged { of, durable } = service.clear_override(key, sender).await?;
    Ok(match of {
        Some(of) => changed(Acknowledged { of, durable }),
        None => acknowledged(written(&()), durable),
    })
}

fn changed(Acknowledged { of, durable }: Acknowledged<OverrideEntry>) -> Reply {
    acknowledged(written(&OverrideEntry { durable, ..of }), durable)
}

/// All that stand, as far as a reader sees them.
pub(super) fn list(service: &Service, sight: Option<&Sight>) -> Reply {
    written(&service.overrides(sight))
}

fn parse(body: &[u8], sender: &Sender) -> Result<(Override, Option<Duration>), Refusal> {
    let request: OverrideRequest =
        serde_json::from_slice(body).map_err(|error| bad("body", error.to_string()))?;
    let OverrideRequest { state, reason, duration, by } = request;
    let reason = reason.filter(|text| !text.is_empty());
    // Who has shown who they are cannot say to be somebody else.
    let name = sender.name().map(str::to_owned);
    let by = name.or(by.filter(|text| !text.is_empty()));
    let by = by.or_else(|| Some(sender.address.to_string()));
    for (name, text, most) in [("reason", &reason, MAX_REASON_BYTES), ("by", &by, MAX_BY_BYTES)] {
        let text = text.as_deref().unwrap_or_default();
        if text.len() > most {
            return Err(bad(name, format!("takes {} bytes, at most {most} fit", text.len())));
        }
        if text.contains(is_hidden) {
            return Err(bad(name, "must have no control or invisible characters"));
        }
    }
    let time = duration.as_deref().map(time).transpose()?;
    Ok((Override { state, reason, by, until_ms: None }, time))
}

fn time(text: &str) -> Result<Duration, Refusal> {
    let time = humantime::parse_duration(text).ok();
    time.filter(|time| !time.is_zero() && *time <= MAX_OVERRIDE_TIME)
        .ok_or_else(|| bad("for", "must be a time like 10m or 1h 30m, above 0 and within a year"))
}

fn written(value: &impl Serialize) -> Reply {
    // Texts and numbers serialise.
    json(serde_json::to_vec(value).unwrap_or_default().into())
}

fn bad(key: &str, what: impl AsRef<str>) -> Refusal {
    Refusal::BadRequest(format!("{key}: {}", what.as_ref()))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn named(path: &str) -> Result<(String, String, u16), Refusal> {
        let InstanceKey { protocol, host, port } = key(path, &RegistryOptions::default())?;
        Ok((protocol, host, port))
    }

    #[test]
    fn a_path_names_an_instance_also_by_its_ipv6_address() {
        let json = |host: &str, port| Ok(("json".to_owned(), host.to_owned(), port));
        assert_eq!(named("/v1/overrides/json/127.0.0.1/8089"), json("127.0.0.1", 8089));
        assert_eq!(named("/v1/overrides/json/%3A%3A1/80"), json("::1", 80));
        assert_eq!(named("/v1/overrides/json/::1/80"), json("::1", 80));
        assert_eq!(named("/v1/overrides/json/%5bfe80::1%5D/80"), json("fe80::1", 80));
        for other in [
            "/v1/overrides",
            "/v1/overrides/json/h",
            "/v1/overridesx/json/h/1",
            "/",
            "/v1/overrides/json/h/1/",
            "/v1/overrides/json/h/1/x",
            "/myRegistry/register",
        ] {
            assert_eq!(named(other), Err(Refusal::NotFound), "{other}");
        }
        for bad in [
            "json/h/0",
            "json/h/70000",
            "json/h/x",
            "json/a%2Fb/1",
            "JSON/h/1",
            "json//1",
            "json/%ff/1",
            "json/a%1b/1",
        ] {
            let refused = named(&format!("/v1/overrides/{bad}"));
            assert!(matches!(refused, Err(Refusal::BadRequest(_))), "{bad}: {refused:?}");
        }
    }

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));

    fn asked(body: &str) -> Result<(Override, Option<Duration>), String> {
        parse(body.as_bytes(), &Sender::anyone(PEER)).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn all_but_the_state_is_optional_and_who_asks_is_the_peer_unless_said() {
        let (what, time) = asked(r#"{"state":"draining"}"#).unwrap();
        assert_eq!((what.reason, what.by.as_deref(), time), (None, Some("10.0.0.7"), None));
        let body = r#"{"state":"maintenance","reason":"disk, é","for":"1h 30m","by":"me@home"}"#;
        let (what, time) = asked(body).unwrap();
        assert_eq!(
            (what.reason.as_deref(), what.by.as_deref()),
            (Some("disk, é"), Some("me@home"))
        );
        assert_eq!(time, Some(Duration::from_secs(5400)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = |key: &str, bytes: usize| {
            format!(r#"{{"state":"draining","{key}":"{}"}}"#, "x".repeat(bytes))
        };
        for (body, what) in [
            ("", "body: "),
            (r#"{"reason":"r"}"#, "body: missing field `state`"),
            (r#"{"state":"up"}"#, "body: unknown variant `up`"),
            (r#"{"state":"draining","fro":"1m"}"#, "body: unknown field `fro`"),
            (r#"{"state":"draining","for":"10"}"#, "for: must be a time like 10m"),
            (r#"{"state":"draining","for":"0s"}"#, "for: must be"),
            (r#"{"state":"draining","for":"2years"}"#, "within a year"),
            (r#"{"state":"draining","reason":"a\nb"}"#, "reason: must have no control"),
            (r#"{"state":"draining","by":"\u001b[2J"}"#, "by: must have no control"),
            (&long("reason", 257), "reason: takes 257 bytes, at most 256 fit"),
            (&long("by", 129), "by: takes 129 bytes, at most 128 fit"),
        ] {
            let refused = asked(body).unwrap_err();
            assert!(refused.contains(what), "{body}: {refused}");
        }
        assert!(asked(&long("reason", 256)).is_ok());
    }

    #[test]
    fn any_text_is_a_path_of_an_instance_that_could_register_or_an_error() {
        rpc_fuzz::text("override_path", |text| {
            let limits = RegistryOptions::default();
            if let Ok(found) = key(&format!("{}/{text}", paths::OVERRIDES), &limits) {
                let InstanceKey { protocol, host, port } = found.clone();
                let again = registration::key(protocol, host, port, &limits);
                assert_eq!(again, Ok(found));
            }
        });
    }
}
