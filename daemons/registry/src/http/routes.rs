//! Every route, with what it needs: there is none without a permission.

use hyper::Method;
use rpc_security::{Permission, Role};
use rpc_wire::paths;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Register,
    Unregister,
    Heartbeats,
    ReleaseBrake,
    SetOverride,
    ClearOverride,
    FindAll,
    Instances,
    Overrides,
    Watch,
    Catalog,
    Targets,
    Logs,
    Whoami,
    Healthz,
    Readyz,
    Metrics,
}

/// A route: how it is asked for, and what it needs.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) route: Route,
    method: &'static str,
    path: &'static str,
    /// An instance follows the path.
    names_instance: bool,
    pub(super) permission: Permission,
}

const REGISTER: Permission = Permission::Needs(Role::Register);
const OBSERVE: Permission = Permission::Needs(Role::Observe);
const OPERATE: Permission = Permission::Needs(Role::Operate);
/// One's own with the one, those of others with the other.
const REGISTER_OR_OPERATE: Permission = Permission::Either(Role::Register, Role::Operate);

/// What is not here is not found. The most frequent ones come first.
static ROUTES: [Entry; 17] = [
    of(Route::Register, "POST", paths::REGISTER, REGISTER),
    of(Route::FindAll, "GET", paths::FIND_ALL, OBSERVE),
    of(Route::Heartbeats, "POST", paths::HEARTBEATS, REGISTER),
    of(Route::Unregister, "POST", paths::UNREGISTER, REGISTER_OR_OPERATE),
    of(Route::Watch, "GET", paths::WATCH, OBSERVE),
    of(Route::Instances, "GET", paths::INSTANCES, OBSERVE),
    of(Route::Catalog, "GET", paths::CATALOG, OBSERVE),
    of(Route::Targets, "GET", paths::SD_PROMETHEUS, OBSERVE),
    of(Route::Overrides, "GET", paths::OVERRIDES, OBSERVE),
    of(Route::Logs, "GET", paths::LOGS, OBSERVE),
    of(Route::Whoami, "GET", paths::WHOAMI, Permission::Open),
    of(Route::Healthz, "GET", paths::HEALTHZ, Permission::Open),
    of(Route::Readyz, "GET", paths::READYZ, OBSERVE),
    of(Route::Metrics, "GET", paths::METRICS, OBSERVE),
    of(Route::ReleaseBrake, "DELETE", paths::BRAKE, OPERATE),
    of_instance(Route::SetOverride, "PUT", paths::OVERRIDES, OPERATE),
    of_instance(Route::ClearOverride, "DELETE", paths::OVERRIDES, OPERATE),
];

const fn of(
    route: Route,
    method: &'static str,
    path: &'static str,
    permission: Permission,
) -> Entry {
    Entry { route, method, path, names_instance: false, permission }
}

const fn of_instance(
    route: Route,
    method: &'static str,
    path: &'static str,
    permission: Permission,
) -> Entry {
    Entry { names_instance: true, ..of(route, method, path, permission) }
}

impl Entry {
    fn is_of(&self, method: &Method, path: &str) -> bool {
        self.is_at(path)
            && (self.method == method.as_str() || (self.has_head() && method == Method::HEAD))
    }

    fn is_at(&self, path: &str) -> bool {
        match self.names_instance {
            false => path == self.path,
            true => path.strip_prefix(self.path).is_some_and(|rest| rest.starts_with('/')),
        }
    }

    /// Whether `HEAD` is `GET` without its body: not where the older system has it otherwise.
    fn has_head(&self) -> bool {
        self.method == "GET" && self.route != Route::FindAll
    }
}

/// The route of a request; `None`: there is none.
pub(super) fn find(method: &Method, path: &str) -> Option<&'static Entry> {
    ROUTES.iter().find(|entry| entry.is_of(method, path))
}

/// Method, path and permission of every route, for the documentation's test.
pub(crate) fn table() -> impl Iterator<Item = (String, Permission)> {
    ROUTES.iter().map(|entry| {
        let instance = if entry.names_instance { "/PROTO/HOST/PORT" } else { "" };
        (format!("{} {}{instance}", entry.method, entry.path), entry.permission)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_only_nearly_one_is_none() {
        for path in [
            "/v1/instances/",
            "//v1/instances",
            "/v1/Instances",
            "/v1/instances/x",
            "/v1%2finstances",
            "/v1/instances;x",
            "/v1/overridesx",
            "/healthz/",
            "/",
            "",
            "*",
        ] {
            assert!(find(&Method::GET, path).is_none(), "{path}");
        }
        for method in [Method::POST, Method::PUT, Method::OPTIONS, Method::TRACE] {
            assert!(find(&method, paths::INSTANCES).is_none(), "{method}");
        }
    }

    #[test]
    fn only_liveness_and_who_one_is_are_open_and_what_changes_anything_needs_more_than_looking() {
        for entry in &ROUTES {
            let is_open = entry.permission == Permission::Open;
            let is_about_itself = matches!(entry.route, Route::Healthz | Route::Whoami);
            assert_eq!(is_open, is_about_itself, "{entry:?}");
            let is_for_readers = matches!(entry.permission, OBSERVE | Permission::Open);
            assert_eq!(is_for_readers, entry.method == "GET", "{entry:?}");
        }
    }

    #[test]
    fn each_route_is_there_once() {
        for (at, entry) in ROUTES.iter().enumerate() {
            let path = match entry.names_instance {
                true => format!("{}/json/h/1", entry.path),
                false => entry.path.to_owned(),
            };
            let found = find(&entry.method.parse().unwrap(), &path).unwrap();
            assert_eq!(found.route, entry.route);
            assert!(ROUTES.iter().skip(at + 1).all(|other| other.route != entry.route));
        }
    }
}
