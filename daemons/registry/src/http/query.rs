//! Parameters of a query string.

use std::borrow::Cow;
use std::time::Duration;

use rpc_wire::instance::is_service_name;
use rpc_wire::paths;

use crate::error::Refusal;
use crate::service::Sender;
use crate::table::Scope;

/// The first non-empty value of that name.
pub(super) fn first<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, value)| key == name && !value.is_empty())
        .map(|(_, value)| value)
}

/// The instances that [`paths::PROTO`], [`paths::SERVICE`] and [`paths::SCOPE`] name, as far as the
/// sender sees them.
///
/// # Errors
/// The service cannot be a name: no instance has it; or the scope is none.
pub(super) fn scope(query: &str, sender: &Sender) -> Result<Scope, Refusal> {
    let service = first(query, paths::SERVICE).map(Cow::into_owned);
    if service.as_deref().is_some_and(|name| !is_service_name(name)) {
        return Err(bad(
            paths::SERVICE,
            "must be 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'",
        ));
    }
    let is_local = match first(query, paths::SCOPE).as_deref() {
        None => false,
        Some(paths::SCOPE_LOCAL) => true,
        Some(_) => return Err(bad(paths::SCOPE, "must be local, or not be there")),
    };
    let protocol = first(query, paths::PROTO).map(Cow::into_owned);
    Ok(Scope { protocol, service, is_local, sight: sender.sight() })
}

/// Whether a parameter that is 1 or 0 is 1; without it: 0.
///
/// # Errors
/// It is neither.
pub(super) fn is_on(query: &str, name: &str) -> Result<bool, Refusal> {
    match first(query, name).as_deref() {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(_) => Err(bad(name, "must be 0 or 1")),
    }
}

/// A duration written as `30s` or `500ms`.
///
/// # Errors
/// It is not one.
pub(super) fn duration(name: &str, text: &str) -> Result<Duration, Refusal> {
    let parsed = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => number.parse().map(Duration::from_millis),
        (None, Some(number)) => number.parse().map(Duration::from_secs),
        (None, None) => return Err(bad(name, "must be a time like 30s or 500ms")),
    };
    parsed.map_err(|_| bad(name, "must be a time like 30s or 500ms"))
}

pub(super) fn bad(name: &str, what: &str) -> Refusal {
    Refusal::BadRequest(format!("query {name}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts_decoded() {
        assert_eq!(first("a=1&proto=js%6Fn&proto=x", "proto").unwrap(), "json");
        assert_eq!(first("proto=&x", "proto"), None);
        assert_eq!(first("", "proto"), None);
    }

    #[test]
    fn times_need_a_unit() {
        assert_eq!(duration("wait", "30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("wait", "250ms"), Ok(Duration::from_millis(250)));
        for text in ["30", "s", "-1s", "1.5s", "1h", "99999999999999999999s"] {
            assert!(duration("wait", text).is_err(), "{text}");
        }
    }

    #[test]
    fn any_text_is_a_query_whose_values_can_be_written_again_or_an_error() {
        rpc_fuzz::text("query", |query| {
            let sender = Sender::anyone([127, 0, 0, 1].into());
            if let Ok(scope) = scope(query, &sender) {
                let names = [(paths::PROTO, scope.protocol), (paths::SERVICE, scope.service)];
                for (name, value) in names {
                    let Some(value) = value else { continue };
                    assert!(!value.is_empty());
                    let pair = [(name, value.as_str())];
                    let written = url::form_urlencoded::Serializer::new(String::new())
                        .extend_pairs(pair)
                        .finish();
                    assert_eq!(first(&written, name).unwrap(), value);
                }
            }
            for name in ["wait", "recent"] {
                let Some(text) = first(query, name) else { continue };
                if let Ok(time) = duration(name, &text)
                    && let Ok(millis) = u64::try_from(time.as_millis())
                {
                    assert_eq!(duration(name, &format!("{millis}ms")), Ok(time));
                }
            }
        });
    }
}
