//! The keys below the prefix, by their names.

use bytes::Bytes;
use rpc_wire::instance::InstanceKey;

/// The keys of registries that share what they know.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
}

/// What a key below the prefix is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name {
    Format,
    Registry(String),
    Instance(InstanceKey),
    Strange,
}

impl Keys {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// What all of them begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn format(&self) -> Bytes {
        self.key("format")
    }

    pub(super) fn registry(&self, id: &str) -> Bytes {
        self.key(&format!("registries/{id}"))
    }

    pub(super) fn instance(&self, InstanceKey { protocol, host, port }: &InstanceKey) -> Bytes {
        self.key(&format!("instances/{protocol}/{host}/{port}"))
    }

    fn key(&self, rest: &str) -> Bytes {
        format!("{}{rest}", self.prefix).into()
    }

    pub(super) fn name(&self, key: &[u8]) -> Name {
        let text = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix(&self.prefix));
        let Some(text) = text else { return Name::Strange };
        if text == "format" {
            return Name::Format;
        }
        match text.split_once('/') {
            Some(("registries", id)) if !id.is_empty() && !id.contains('/') => {
                Name::Registry(id.to_owned())
            }
            Some(("instances", rest)) => instance(rest).map_or(Name::Strange, Name::Instance),
            _ => Name::Strange,
        }
    }
}

/// `PROTOCOL/HOST/PORT`.
fn instance(text: &str) -> Option<InstanceKey> {
    let (protocol, rest) = text.split_once('/')?;
    let (host, port) = rest.rsplit_once('/')?;
    let is_one = !protocol.is_empty() && !host.is_empty() && !host.contains('/');
    let (protocol, host) = (protocol.to_owned(), host.to_owned());
    is_one.then_some(InstanceKey { protocol, host, port: port.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_its_name_says_and_any_other_is_strange() {
        let keys = Keys::new("rpcd/".to_owned());
        let one = InstanceKey { protocol: "json".to_owned(), host: "::1".to_owned(), port: 9 };
        assert_eq!(keys.instance(&one), "rpcd/instances/json/::1/9");
        assert_eq!(keys.name(&keys.instance(&one)), Name::Instance(one));
        assert_eq!(keys.name(&keys.format()), Name::Format);
        assert_eq!(keys.name(&keys.registry("a")), Name::Registry("a".to_owned()));
        for strange in [
            "rpcd/",
            "rpcd/odd",
            "rpcd/registries/",
            "rpcd/registries/a/b",
            "rpcd/instances/json/h",
            "rpcd/instances/json/h/x",
            "rpcd/instances/json/h/70000",
            "rpcd/instances//h/1",
            "rpcd/instances/json//1",
            "rpcd/instances/json/a/b/1",
            "other/format",
        ] {
            assert_eq!(keys.name(strange.as_bytes()), Name::Strange, "{strange}");
        }
        assert_eq!(keys.name(b"rpcd/\xff"), Name::Strange);
    }
}
