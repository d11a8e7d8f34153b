//! An instance as the client keeps it: what it needs of the parameters, and the rest as text.

use std::borrow::Cow;
use std::fmt;

use rpc_wire::instance::{
    CONTRACT_KEY, Entry, INCARNATION_KEY, Instance, InstanceKey, Parameters, SERVICE_KEY, TLS_KEY,
    Tls, WEIGHT_KEY, WIRE_KEY,
};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::pool::Route;

/// The parameters that are looked at.
const KEYS: [&str; 6] = [WIRE_KEY, WEIGHT_KEY, INCARNATION_KEY, SERVICE_KEY, CONTRACT_KEY, TLS_KEY];
/// None of them is longer: a service has up to 64 bytes.
const MAX_VALUE: usize = 128;

/// An instance that a registry lists. Values would take up to ninety times their text.
#[derive(Debug)]
pub(super) struct Listed {
    instance: Instance<Box<RawValue>>,
    speaks_extended: bool,
    weight: u16,
    incarnation: Option<u64>,
    service: Option<Box<str>>,
    contract: Option<Box<str>>,
    tls: Option<Tls>,
}

impl Listed {
    pub(super) fn host(&self) -> &str {
        &self.instance.host
    }

    pub(super) fn port(&self) -> u16 {
        self.instance.port
    }

    /// The way to it: whom it leads to is the service, and not whoever is at the address.
    pub(super) fn route(&self) -> Route {
        Route::to_listed(self.host(), self.port(), self.service(), self.tls)
    }

    pub(super) fn key(&self) -> InstanceKey {
        self.instance.key()
    }

    pub(super) fn speaks_extended(&self) -> bool {
        self.speaks_extended
    }

    pub(super) fn weight(&self) -> u16 {
        self.weight
    }

    pub(super) fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    pub(super) fn contract(&self) -> Option<&str> {
        self.contract.as_deref()
    }

    /// Whether it may be the process that was listed before.
    pub(super) fn is_same_process(&self, before: &Self) -> bool {
        before.incarnation == self.incarnation
            && before.speaks_extended == self.speaks_extended
            && before.service == self.service
            && before.tls == self.tls
    }

    /// As a registry lists it.
    pub(super) fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&self.instance)
    }

    /// With all its parameters.
    pub(super) fn to_instance(&self) -> Instance {
        // Only parameters nested deeper than JSON is read are left out.
        let parameters: Option<Parameters> =
            serde_json::from_str(self.instance.parameters.get()).unwrap_or_default();
        self.instance.clone().with_parameters(parameters.unwrap_or_default())
    }
}

impl PartialEq for Listed {
    /// The rest follows from the text.
    fn eq(&self, other: &Self) -> bool {
        let Instance { protocol, host, port, status, parameters } = &self.instance;
        let it = &other.instance;
        (protocol, host, port, status) == (&it.protocol, &it.host, &it.port, &it.status)
            && parameters.get() == it.parameters.get()
    }
}

impl Entry for Listed {
    fn address(&self) -> (&str, u16) {
        (self.host(), self.port())
    }

    fn memory(text: &str) -> usize {
        text.len()
    }
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let instance = Instance::<Box<RawValue>>::deserialize(input)?;
        let known: Option<Known> =
            serde_json::from_str(instance.parameters.get()).map_err(serde::de::Error::custom)?;
        let known = Instance {
            protocol: String::new(),
            host: String::new(),
            port: 0,
            status: false,
            parameters: known.map(|known| known.0).unwrap_or_default(),
        };
        Ok(Self {
            instance,
            speaks_extended: known.speaks_extended(),
            weight: known.weight(),
            incarnation: known.incarnation(),
            service: known.service().map(Box::from),
            contract: known.contract().map(Box::from),
            tls: known.tls(),
        })
    }
}

/// The parameters of [`KEYS`], without values that cannot be theirs.
struct Known(Parameters);

impl<'de> Deserialize<'de> for Known {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct KnownVisitor;
        impl<'de> Visitor<'de> for KnownVisitor {
            type Value = Known;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of parameters")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Known, A::Error> {
                let mut known = Parameters::new();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    if !KEYS.contains(&&*key) {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let text = map.next_value::<&RawValue>()?.get();
                    let value = (text.len() <= MAX_VALUE).then(|| serde_json::from_str(text));
                    // Of equal keys the last counts, whatever it is.
                    known.insert(key.into_owned(), value.and_then(Result::ok).unwrap_or_default());
                }
                Ok(Known(known))
            }
        }
        input.deserialize_map(KnownVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn listed(parameters: &str) -> serde_json::Result<Listed> {
        let text =
            format!(r#"{{"protocol":"json","host":"h","port":1,"parameters":{parameters}}}"#);
        serde_json::from_str(&text)
    }

    #[test]
    fn only_objects_are_parameters() {
        assert_eq!(listed("null").unwrap().to_instance().parameters, Parameters::new());
        for other in ["5", "[]", "\"x\"", "{\"a\":}"] {
            assert!(listed(other).is_err(), "{other}");
        }
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        let listed = listed(r#"{"weight":7,"we\u0069ght":9}"#).unwrap();
        assert_eq!((listed.weight(), listed.to_instance().weight()), (9, 9));
    }

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<u64>().prop_map(Value::from),
            (0u16..20).prop_map(Value::from),
            "[a-z0-9 ]{0,80}".prop_map(Value::from),
            "[a-f0-9]{32}".prop_map(Value::from),
            Just(json!(null)),
            Just(json!(1.5)),
            Just(json!(vec![1; 100])),
            Just(json!({"wire": 1})),
        ]
    }

    proptest! {
        #[test]
        fn it_says_what_the_whole_instance_says(
            parameters in prop::collection::vec((prop::sample::select(vec![
                "wire", "weight", "incarnation", "service", "contract", "version", "zone",
            ]), values()), 0..7),
        ) {
            let parameters: Parameters =
                parameters.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            let listed = listed(&json!(parameters).to_string()).unwrap();
            let whole = listed.to_instance();
            prop_assert_eq!(&whole.parameters, &parameters);
            prop_assert_eq!(listed.speaks_extended(), whole.speaks_extended());
            prop_assert_eq!(listed.weight(), whole.weight());
            prop_assert_eq!(listed.incarnation, whole.incarnation());
            prop_assert_eq!(listed.service(), whole.service());
            prop_assert_eq!(listed.contract(), whole.contract());
        }
    }
}
