//! Instances as targets of Prometheus: its HTTP service discovery.

use std::collections::BTreeMap;

use rpc_wire::instance::{Instance, InstanceRecord, Parameters, WIRE_KEY, host_port};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A target, as Prometheus reads it.
#[derive(Debug, Serialize)]
pub(super) struct Target {
    targets: [String; 1],
    labels: BTreeMap<&'static str, String>,
}

impl Target {
    /// The target of an instance. Those without `__meta_rpcd_wire` have no `/metrics`: older servers, and
    /// programs that are none of ours.
    pub(super) fn of(record: &InstanceRecord<&RawValue>) -> Self {
        let instance = with_parameters(record);
        let mut labels = BTreeMap::from([
            ("__meta_rpcd_protocol", instance.protocol.clone()),
            ("__meta_rpcd_state", record.state.to_string()),
        ]);
        let wire = instance.parameters.get(WIRE_KEY).and_then(Value::as_u64);
        let further = [
            ("__meta_rpcd_service", instance.service().map(str::to_owned)),
            ("__meta_rpcd_version", instance.version().map(str::to_owned)),
            ("__meta_rpcd_contract", instance.contract().map(str::to_owned)),
            ("__meta_rpcd_wire", wire.map(|version| version.to_string())),
        ];
        labels.extend(further.into_iter().filter_map(|(name, value)| Some((name, value?))));
        Self { targets: [host_port(&instance.host, instance.port)], labels }
    }
}

/// The instance of a record with its parameters as values.
pub(super) fn with_parameters(record: &InstanceRecord<&RawValue>) -> Instance {
    let instance = record.instance.clone();
    // They are a JSON object: the registry read them once.
    let parameters: Parameters =
        serde_json::from_str(instance.parameters.get()).unwrap_or_default();
    instance.with_parameters(parameters)
}
