//! Names that both sides must spell alike: HTTP paths, query parameters, headers and reserved methods.

/// `POST`: register an instance, or renew it (registering again is the heartbeat).
pub const REGISTER: &str = "/myRegistry/register";
/// `POST`: remove an instance.
pub const UNREGISTER: &str = "/myRegistry/unregister";
/// `GET`: every live instance of the protocol named by [`PROTO`].
pub const FIND_ALL: &str = "/myRegistry/findAllInstances";
/// `GET`: instances with ages and states, as [`InstanceRecord`](crate::instance::InstanceRecord)s.
pub const INSTANCES: &str = "/v1/instances";
/// `GET`: the services that have instances, and how many of these are in which state.
pub const CATALOG: &str = "/v1/catalog";
/// `GET`: instances as targets of Prometheus, for its HTTP service discovery.
pub const SD_PROMETHEUS: &str = "/sd/prometheus";
/// `GET`: changes as Server-Sent Events, see [`WatchEvent`](crate::instance::WatchEvent).
pub const WATCH: &str = "/v1/watch";
/// `POST`: the heartbeats of many instances, which were registered one by one.
pub const HEARTBEATS: &str = "/v1/heartbeats";
/// `DELETE`: ends the brake on mass expiry. The reply is `{"released":N}`, the number of instances that
/// it held; 0 if it does not hold.
pub const BRAKE: &str = "/v1/brake";
/// `GET`: the operator's overrides, as [`OverrideEntry`](crate::instance::OverrideEntry)s. With the
/// protocol, host and port of an instance as further segments: `PUT` an
/// [`OverrideRequest`](crate::instance::OverrideRequest), `DELETE` what stands.
pub const OVERRIDES: &str = "/v1/overrides";
/// `GET`: the registry's own log as Server-Sent Events of [`LogLine`](crate::report::LogLine)s.
pub const LOGS: &str = "/v1/logs";
/// `GET`: who the registry takes its caller for, as [`Whoami`](crate::report::Whoami).
pub const WHOAMI: &str = "/v1/whoami";
/// How the error of a registry begins that takes no plain text.
pub const TLS_ONLY: &str = "this registry takes TLS only";
/// `GET`: whether the process is alive.
pub const HEALTHZ: &str = "/healthz";
/// `GET`: whether the process is ready to be used.
pub const READYZ: &str = "/readyz";
/// `GET`: metrics, in the format that `Accept` asks for.
pub const METRICS: &str = "/metrics";
/// `GET` on a server: the OpenRPC document of its methods.
pub const OPENRPC: &str = "/openrpc.json";
/// `GET` on a server: the OpenAPI document of its methods, as [`CALL`] takes them.
pub const OPENAPI: &str = "/openapi.json";
/// `POST` on a server: JSON-RPC 2.0, one request or a batch.
pub const RPC: &str = "/rpc";
/// `POST` on a server: a call of the method whose name follows, with its arguments as the body.
pub const CALL: &str = "/call/";
/// Header of a call by [`CALL`]: seconds until its deadline, as in `2.5`.
pub const TIMEOUT_HEADER: &str = "timeout";

/// Query parameter: the protocol an instance speaks.
pub const PROTO: &str = "proto";
/// The only protocol this product speaks, by its name in older programs.
pub const PROTO_JSON: &str = "json";
/// Query parameter of [`FIND_ALL`], [`INSTANCES`] and [`WATCH`]: only instances of this service.
/// Older registries ignore it.
pub const SERVICE: &str = "service";
/// Query parameter of [`FIND_ALL`]: how long to wait for a list other than the one that `If-None-Match` names,
/// `30s` or `500ms`. Older registries ignore it.
pub const WAIT: &str = "wait";
/// Query parameter of [`FIND_ALL`], [`INSTANCES`] and [`WATCH`], with [`SCOPE_LOCAL`]: of several registries that
/// share what they know, only the instances whose heartbeats this one takes. Older registries ignore it.
pub const SCOPE: &str = "scope";
/// The value of [`SCOPE`].
pub const SCOPE_LOCAL: &str = "local";
/// Query parameter of [`INSTANCES`] and [`WATCH`]: `owners=1` says that the reader takes a record without an
/// age, which is not known of an instance whose heartbeats another registry takes. Older registries ignore it.
pub const OWNERS: &str = "owners";
/// Query parameter of [`WATCH`]: `beats=1` adds heartbeat ages, at most once a second.
pub const BEATS: &str = "beats";
/// Query parameter of [`LOGS`]: the minimum level.
pub const LEVEL: &str = "level";
/// Query parameter of [`LOGS`]: a substring that lines must contain.
pub const CONTAINS: &str = "contains";
/// Query parameter of [`LOGS`]: how many recent lines come first.
pub const RECENT: &str = "recent";

/// Header of a registration that is a heartbeat, with [`BEATS_HELD`]: its sender keeps this connection
/// for its heartbeats, so the end of it says something about the instance. Older registries ignore it.
pub const BEATS_HEADER: &str = "rpcd-beats";
/// The value of [`BEATS_HEADER`].
pub const BEATS_HELD: &str = "held";

/// Header of the reply to a registration: the operator's override of the instance, by the
/// [name](crate::instance::OverrideState::name) of its state; absent: none.
pub const OVERRIDE_HEADER: &str = "rpcd-override";
/// Header of the reply to a registration: seconds, perhaps with a fraction, after which the registry removes an
/// instance without a heartbeat. Older registries do not say.
pub const TTL_HEADER: &str = "rpcd-ttl";
/// Header of a reply that acknowledges a change: `no` if the change would be lost with the registry's
/// process, since its store fails; else absent.
pub const DURABLE_HEADER: &str = "rpcd-durable";
/// Header of a list: for so many seconds the registry will say that it has just started, so that
/// what is missing may only have to register again; else absent.
pub const WARMING_HEADER: &str = "rpcd-warming";
/// Header of [`INSTANCES`] and [`WATCH`]: of several registries that share what they know, the
/// [id](crate::instance::RegistryName::id) of the one that replies; [`READYZ`] names the others.
pub const REGISTRY_HEADER: &str = "rpcd-registry";

/// Classic discovery: a list of names and defaults.
pub const ALL_YOUR_METHODS: &str = "all_your_methods";
/// Extended discovery: an OpenRPC document.
pub const RPC_DISCOVER: &str = "rpc.discover";
/// Counters and latencies, as [`ServerStats`](crate::report::ServerStats).
pub const RPC_STATS: &str = "rpc.stats";
/// A stream of [`LogLine`](crate::report::LogLine)s.
pub const RPC_LOGS: &str = "rpc.logs";
/// Health and dialect, as [`Health`](crate::report::Health).
pub const RPC_HEALTH: &str = "rpc.health";
/// Who the server takes its caller for, as [`Whoami`](crate::report::Whoami).
pub const RPC_WHOAMI: &str = "rpc.whoami";
/// Names with this prefix are reserved; no user's method may have one.
pub const RESERVED_PREFIX: &str = "rpc.";

/// Whether a name is none of a user's method: every server has that method, or says that it is an older one.
pub fn is_reserved(method: &str) -> bool {
    method.starts_with(RESERVED_PREFIX) || method == ALL_YOUR_METHODS
}
