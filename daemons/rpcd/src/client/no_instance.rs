//! No instance to call: those of the service that are out of use, or what the registry lists instead, in
//! the same words everywhere.

use std::collections::BTreeSet;
use std::time::Duration;

use rpc_client::registry::RegistryClient;
use rpc_client::{CallError, ClientOptions, Target};
use rpc_wire::instance::{Instance, InstanceRecord};
use rpc_wire::nearest;
use rpc_wire::paths::PROTO_JSON;
use serde_json::json;

use super::{offers, overrides};
use crate::failure::{Exit, Failure, NO_INSTANCE, NO_SUCH_METHOD};
use crate::output;

/// How long a failed command waits to learn that.
const WITHIN: Duration = Duration::from_secs(1);
/// Services that the message names.
const NAMED: usize = 5;

/// The failure of a call for which there is no instance; `None`: another error, or the registry says nothing.
pub(super) async fn of_error(error: &CallError, options: &ClientOptions) -> Option<Failure> {
    let CallError::NoInstance { registry: url, service, .. } = error else { return None };
    let registry = RegistryClient::new(url, options.registry()).ok()?;
    let records = tokio::time::timeout(WITHIN, registry.instances(PROTO_JSON));
    if let Ok(Ok(records)) = records.await
        && let Some(failure) = out_of_use(url, service.as_deref(), &records)
    {
        return Some(failure);
    }
    let service = service.as_ref()?;
    // All of them: the client has asked for those of one service.
    let listed = tokio::time::timeout(WITHIN, registry.find_all(PROTO_JSON)).await.ok()?.ok()?;
    let has_one = listed.iter().any(|instance| instance.service() == Some(service));
    (!has_one).then(|| failure(service, url, &listed))
}

/// The failure; of a method that nobody who may be called offers, with who is out of use and was not asked: one of
/// those may offer it.
pub(super) async fn with_not_asked(
    failure: Failure,
    target: &Target,
    options: &ClientOptions,
) -> Failure {
    let (NO_SUCH_METHOD, Target::Registry { url }) = (failure.kind(), target) else {
        return failure;
    };
    let Ok(registry) = RegistryClient::new(url, options.registry()) else { return failure };
    let records = tokio::time::timeout(WITHIN, registry.instances(PROTO_JSON));
    let Ok(Ok(records)) = records.await else { return failure };
    match not_asked(url, options.service.as_deref(), &records) {
        Some(not_asked) => Failure { message: failure.message.clone() + &not_asked, ..failure },
        None => failure,
    }
}

fn not_asked(url: &str, service: Option<&str>, records: &[InstanceRecord]) -> Option<String> {
    let mut out_of_use = records
        .iter()
        .filter(|record| offers::is_of(&record.instance, service))
        .filter_map(|record| Some((&record.instance, record.overridden.as_ref()?)));
    let (instance, overridden) = out_of_use.next()?;
    let key = instance.key();
    let others = match out_of_use.count() {
        0 => String::new(),
        more => format!(", and {more} more that are out of use"),
    };
    Some(format!(
        "; not asked: {key} ({}), which is {}{others}; {} brings it back",
        offers::shown(instance.service()),
        overrides::state(overridden),
        overrides::undrain(&key, url),
    ))
}

/// Every instance that could be called is out of use, if that is so.
fn out_of_use(url: &str, service: Option<&str>, records: &[InstanceRecord]) -> Option<Failure> {
    let mut meant = records.iter().filter(|record| offers::is_of(&record.instance, service));
    let drained: Option<Vec<_>> = meant
        .by_ref()
        .map(|record| Some((record.instance.key(), record.overridden.as_ref()?)))
        .collect();
    let drained = drained.filter(|drained| !drained.is_empty())?;
    let (key, overridden) = drained.first()?;
    let of = service.map(|service| format!(" of service {service}")).unwrap_or_default();
    let others = match drained.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more are out of use"),
    };
    let message = format!(
        "no instance{of} takes calls; of those at {url} {key} is {}{others}; {} brings it back",
        overrides::state(overridden),
        overrides::undrain(key, url),
    );
    let keys: Vec<_> = drained.iter().map(|(key, _)| key.to_string()).collect();
    Some(
        Failure::new(Exit::Unreachable, message)
            .with_kind(NO_INSTANCE)
            .with_data(json!({ "out_of_use": keys })),
    )
}

/// Says it if none of the instances is of the service, where that is no failure.
pub(super) fn say<'a>(
    service: Option<&str>,
    url: &str,
    listed: impl IntoIterator<Item = &'a Instance> + Clone,
) {
    let Some(service) = service else { return };
    if !listed.clone().into_iter().any(|instance| instance.service() == Some(service)) {
        output::say(&failure(service, url, listed).message);
    }
}

/// The registry at `url` lists these instances, and none of the service.
pub(super) fn failure<'a>(
    service: &str,
    url: &str,
    listed: impl IntoIterator<Item = &'a Instance>,
) -> Failure {
    let services: BTreeSet<Option<&str>> = listed.into_iter().map(Instance::service).collect();
    let named: Vec<&str> = services.iter().copied().flatten().collect();
    let near = nearest(service, named.iter().copied());
    let there = match (named.as_slice(), services.is_empty()) {
        (_, true) => "no instances; start a server that registers there".to_owned(),
        ([], false) => "only instances without a service name; leave out --service".to_owned(),
        ([one], false) => format!("service {one}"),
        (several, false) => {
            let shown = several.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
            match several.len().saturating_sub(NAMED) {
                0 => format!("services {shown}"),
                more => format!("services {shown} and {more} more"),
            }
        }
    };
    let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    let message =
        format!("no instance of service {service}; the registry at {url} lists {there}{hint}");
    Failure::new(Exit::Unreachable, message)
        .with_kind(NO_INSTANCE)
        .with_data(json!({ "services": services }))
        .with_nearest(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_the_services_there_are() {
        let instance = |service: &str| {
            let mut instance = Instance::new("h", 1);
            if !service.is_empty() {
                instance.parameters.insert("service".to_owned(), json!(service));
            }
            instance
        };
        for (services, said) in [
            (&[][..], "no instances; start a server that registers there"),
            (&[""], "only instances without a service name; leave out --service"),
            (&["shop", "", "shop"], "service shop; did you mean shop?"),
            (&["shop", "rpcd"], "services rpcd, shop; did you mean shop?"),
            (&["a", "b", "c", "d", "e", "f", "g"], "services a, b, c, d, e and 2 more"),
        ] {
            let listed: Vec<Instance> = services.iter().map(|name| instance(name)).collect();
            let failure = failure("shp", "http://r:1", &listed);
            let expected =
                format!("no instance of service shp; the registry at http://r:1 lists {said}");
            assert_eq!(failure.message, expected);
            assert_eq!((failure.exit, failure.kind()), (Exit::Unreachable, "no_instance"));
        }
        let failure = failure("shp", "http://r:1", &[instance("shop"), instance("")]);
        let data = failure.details.unwrap().data;
        assert_eq!(data, Some(json!({"services": [null, "shop"], "nearest": ["shop"]})));
    }
}
