//! `rpcd methods`: lists methods, with who offers them if there is more than one kind of instance.
//!
//! - [`table`]: methods in columns.
//! - [`union`]: the methods of all instances that a registry lists.

mod table;
mod union;

use rpc_client::{Catalog, Client, Dialect, Target};
use rpc_wire::shell_word;
use rpc_wire::signature::{Signature, to_openapi, to_openrpc};
use rpc_wire::target::host_port;
use serde_json::json;
use url::Url;

use super::{list_source, mistaken, no_instance, offers, signature};
use crate::failure::Failure;
use crate::output;
use crate::plan::Ask;

/// Prints the OpenAPI document of a server, which says where it is.
///
/// # Errors
/// The target is no single server, has no `POST /call`, or could not be asked.
pub async fn openapi(ask: Ask, filter: Option<&str>) -> Result<(), Failure> {
    let (host, port) = match &ask.target {
        Target::Direct { host, port } => (host, port),
        Target::JsonRpc { url } => return Err(Failure::usage(openapi_of_url(url))),
        Target::Registry { .. } => {
            return Err(Failure::usage("--openapi is for one server; add -i HOST and -p PORT"));
        }
    };
    let scheme = if ask.options.tls { "https" } else { "http" };
    let url = format!("{scheme}://{}", host_port(host, *port));
    let is_wanted = is_wanted(filter);
    let (methods, dialect) = listed_by(&ask).await?;
    if dialect == Some(Dialect::JsonRpc) {
        return Err(Failure::usage(format!(
            "{} is a JSON-RPC server of another make, without the POST /call that an OpenAPI document describes; \
             write --json for its OpenRPC document",
            ask.target
        )));
    }
    let methods = methods.iter().filter(|method| is_wanted(&method.name));
    let mut document = to_openapi(&ask.target.to_string(), env!("CARGO_PKG_VERSION"), methods);
    document["servers"] = json!([{ "url": url }]);
    output::json(&document.to_string())?;
    Ok(())
}

/// Why there is none of a URL: it is where JSON-RPC is spoken, and `POST /call` is elsewhere.
fn openapi_of_url(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let place =
        parsed.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    let instead = match place {
        Some((host, port)) => {
            let tls = if url.starts_with("https") { " --tls" } else { "" };
            format!("-i {} -p {port}{tls}", shell_word(host.trim_matches(['[', ']'])))
        }
        None => "-i HOST and -p PORT".to_owned(),
    };
    format!(
        "--openapi takes no URL: what it describes is not there; for a server of rpcd write {instead}"
    )
}

fn is_wanted(filter: Option<&str>) -> impl Fn(&str) -> bool + use<> {
    let wanted = filter.map(str::to_lowercase).unwrap_or_default();
    move |name: &str| name.to_lowercase().contains(&wanted)
}

/// Lists the methods of the target; of all instances if it is a registry.
///
/// # Errors
/// No instance could be asked.
pub async fn methods(ask: Ask, filter: Option<&str>) -> Result<(), Failure> {
    let is_wanted = is_wanted(filter);
    let rows = match ask.target {
        Target::Registry { .. } => {
            let catalog = catalog(&ask).await?;
            let rows = union::rows(&catalog, &is_wanted);
            if ask.json {
                output::json(&union::document(&ask.target, &catalog, &is_wanted).to_string())?;
            }
            offers::warn_of_unknown(&catalog);
            rows
        }
        Target::Direct { .. } | Target::JsonRpc { .. } => {
            let mut methods = listed(&ask).await?;
            methods.retain(|method| is_wanted(&method.name));
            if ask.json {
                let title = ask.target.to_string();
                let document = to_openrpc(&title, env!("CARGO_PKG_VERSION"), &methods);
                output::json(&document.to_string())?;
            }
            methods.iter().map(table::Row::new).collect()
        }
    };
    if ask.json {
        return Ok(());
    }
    let target = &ask.target;
    match (rows.is_empty(), filter) {
        (true, Some(filter)) => {
            output::say(&format!("no method of {target} has {filter:?} in its name"))
        }
        (true, None) => output::say(&format!("{target} has no methods")),
        (false, _) => {
            let (heading, lines) = table::lines(&rows);
            output::heading(&heading)?;
            lines.iter().try_for_each(|line| output::text(line))?;
        }
    }
    Ok(())
}

/// The methods of one server.
pub(super) async fn listed(ask: &Ask) -> Result<Vec<Signature>, Failure> {
    listed_by(ask).await.map(|(methods, _)| methods)
}

/// The same, with what the server speaks; `None`: it was not asked.
async fn listed_by(ask: &Ask) -> Result<(Vec<Signature>, Option<Dialect>), Failure> {
    if let Some(described) = &ask.described {
        return Ok((described.methods.clone(), None));
    }
    let client = Client::new(ask.target.clone(), ask.options.clone())?;
    let listed = list_source::said_during(&client, client.methods()).await;
    let dialect = client.dialect();
    super::close(client).await;
    match listed {
        Ok(listed) => Ok((listed, dialect)),
        Err(error) => Err(mistaken::failure(error).await),
    }
}

/// The methods of all instances of a registry.
///
/// # Errors
/// None of them could be asked, or there is none.
pub(super) async fn catalog(ask: &Ask) -> Result<Catalog, Failure> {
    let client = Client::new(ask.target.clone(), ask.options.clone())?;
    let catalog = list_source::said_during(&client, client.catalog()).await;
    super::close(client).await;
    let catalog = match catalog {
        Ok(catalog) => catalog,
        Err(error) => {
            let none = no_instance::of_error(&error, &ask.options).await;
            return Err(none.unwrap_or_else(|| error.into()));
        }
    };
    match catalog.unknown.first() {
        Some(unknown) if catalog.replicas.is_empty() => Err(unknown.reason.clone().into()),
        _ => Ok(catalog),
    }
}
