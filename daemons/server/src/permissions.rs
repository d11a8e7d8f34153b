//! The table of what every server's own methods and routes need.

use rpc_security::Permission;
#[cfg(doc)]
use rpc_security::Role;

use crate::reserved::Reserved;

/// What the methods of every server and, as `GET /…` and `POST /…`, its routes over HTTP need, in the order of
/// docs/security.md; `None`: what the method needs that is called by it. Methods of one's own need
/// [`Role::Call`], or what [`Method::with_role`](crate::Method::with_role) says.
pub fn permissions() -> Vec<(String, Option<Permission>)> {
    let reserved = Reserved::NAMES.into_iter().filter_map(|name| {
        Reserved::find(name).map(|reserved| (name.to_owned(), Some(reserved.permission())))
    });
    #[cfg(feature = "http")]
    let reserved = {
        use crate::http::{CALLS, ROUTES};
        let routes = ROUTES.map(|(path, permission)| (format!("GET {path}"), Some(permission)));
        let calls = CALLS.map(|path| match path.ends_with('/') {
            true => (format!("POST {path}METHOD"), None),
            false => (format!("POST {path}"), None),
        });
        reserved.chain(routes).chain(calls)
    };
    reserved.collect()
}
