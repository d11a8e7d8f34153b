//! The table of what every server's own methods and routes need.

use rpc_security::Permission;
#[cfg(doc)]
use rpc_security::Role;

use crate::reserved::Reserved;

/// What the methods of every server and, as `GET /…`, its routes over HTTP need, in the order of
/// docs/security.md. Methods of one's own need [`Role::Call`], or what
/// [`Method::with_role`](crate::Method::with_role) says.
pub fn permissions() -> Vec<(String, Permission)> {
    let reserved = Reserved::NAMES.into_iter().filter_map(|name| {
        Reserved::find(name).map(|reserved| (name.to_owned(), reserved.permission()))
    });
    #[cfg(feature = "http")]
    let reserved = {
        let routes = crate::http::ROUTES.into_iter();
        reserved.chain(routes.map(|(path, permission)| (format!("GET {path}"), permission)))
    };
    reserved.collect()
}
