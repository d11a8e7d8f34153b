//! The target of a client command: one address, or any instance a registry lists.

use rpc_client::Target;
use rpc_settings::{RegistryAddress, Settings};
use rpc_wire::instance::host_port;
use rpc_wire::nearest;
use url::Url;

use crate::cli::{Asking, Direct, Through, Via};
use crate::failure::Failure;

/// The address, if given, else the registry; `-m` requires one of them.
pub(super) fn of(typed: &Direct, settings: &Settings) -> Result<Target, Failure> {
    let address_given = typed.has_address();
    let registry_given = typed.through.registry.is_some();
    if address_given && typed.mode == Some(Via::Registry) {
        return Err(Failure::usage(
            "-m registry takes no address; remove -i and -p, or use -m server",
        ));
    }
    if registry_given && (address_given || typed.mode == Some(Via::Server)) {
        return Err(both_given());
    }
    if !address_given && typed.mode != Some(Via::Server) {
        return Ok(Target::Registry { url: registry(&typed.through, settings)? });
    }
    if let Some(url) = typed.host.as_ref().filter(|host| is_url(host)) {
        if typed.port.is_some() {
            return Err(Failure::usage("-p does not go with a URL; write the port in the URL"));
        }
        let wants_tls = typed.through.tls || typed.through.tls_ca.is_some();
        if let Some((scheme, rest)) = url.split_once("://")
            && wants_tls
            && scheme.eq_ignore_ascii_case("http")
        {
            let flag = if typed.through.tls { "--tls" } else { "--tls-ca" };
            return Err(Failure::usage(format!(
                "{flag} calls by TLS only, and -i says http://; write https://{rest}"
            )));
        }
        return Ok(Target::JsonRpc { url: url.clone() });
    }
    let (host, port) = host_and_port(typed)?;
    Ok(Target::Direct { host, port })
}

/// Whether `-i` has a URL.
fn is_url(host: &str) -> bool {
    host.contains("://")
}

/// The same for a command that may choose a service, which one server has no choice of.
pub(super) fn of_call(typed: &Asking, settings: &Settings) -> Result<Target, Failure> {
    let target = of(&typed.direct, settings)?;
    match (&target, typed.service.as_deref().unwrap_or_default()) {
        (Target::Registry { .. }, _) | (_, "") => Ok(target),
        _ => Err(Failure::usage(
            "--service chooses among the instances of a registry; remove it, or -i, -p and -m server",
        )),
    }
}

/// The registry itself, for what only a registry knows: at the address, if given.
pub(super) fn registry_itself(typed: &Direct, settings: &Settings) -> Result<String, Failure> {
    if typed.mode == Some(Via::Server) {
        return Err(Failure::usage(
            "-m server does not go with this command: only a registry lists instances; remove it",
        ));
    }
    if !typed.has_address() {
        return registry(&typed.through, settings);
    }
    if typed.through.registry.is_some() {
        return Err(both_given());
    }
    let (host, port) = host_and_port(typed)?;
    registry_url(&host_port(&host, port), scheme(settings))
}

/// The registry of the settings that a command asks, or asks as well.
pub(super) fn of_settings<'a>(
    typed: &Direct,
    settings: &'a Settings,
) -> Option<&'a RegistryAddress> {
    if typed.has_address() || typed.mode == Some(Via::Server) {
        return None;
    }
    of_settings_through(typed.through.registry.as_deref(), settings)
}

/// The same for what names a registry only.
pub(super) fn of_settings_through<'a>(
    typed: Option<&str>,
    settings: &'a Settings,
) -> Option<&'a RegistryAddress> {
    let Some(text) = typed else { return Some(&settings.registry) };
    match settings.registries.get(text) {
        Some(known) => Some(known),
        // A URL, with the further addresses of the settings.
        None => settings.registry.of_folder.contains(&"also").then_some(&settings.registry),
    }
}

/// How a registry is asked whose address has no scheme.
fn scheme(settings: &Settings) -> &'static str {
    if settings.client.tls { "https" } else { "http" }
}

fn both_given() -> Failure {
    Failure::usage("--registry does not go with -m server, -i or -p; remove one of them")
}

fn host_and_port(typed: &Direct) -> Result<(String, u16), Failure> {
    let host = typed.host.clone().unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = typed.port.ok_or_else(|| Failure::usage("missing port; add -p PORT"))?;
    Ok((host, port))
}

/// The registry: the flag's, else the settings'.
pub(super) fn registry(typed: &Through, settings: &Settings) -> Result<String, Failure> {
    match &typed.registry {
        Some(text) => named_or_url(text, settings),
        None => Ok(settings.registry.url()),
    }
}

/// `--registry`: the name of a `[registry.NAME]` section, or a URL, which takes the place of host and port in
/// `[registry]`.
pub(super) fn named_or_url(text: &str, settings: &Settings) -> Result<String, Failure> {
    if let Some(known) = settings.registries.get(text) {
        return Ok(known.url());
    }
    // A word is a name: the port of a host without one would be 80, where no registry listens.
    let is_word = !text.is_empty() && !text.contains([':', '/', '.']);
    if !is_word || text.eq_ignore_ascii_case("localhost") {
        return Ok(settings.registry.with_also(registry_url(text, scheme(settings))?));
    }
    let names: Vec<&str> = settings.registries.keys().map(String::as_str).collect();
    let near = nearest(text, names.iter().copied());
    let hint = match near {
        Some(near) => format!("did you mean {near}? otherwise"),
        None if names.is_empty() => format!("add a section [registry.{text}] to config.ini, or"),
        None => format!("the settings name {}; otherwise", names.join(", ")),
    };
    let message = format!("no registry is named {text}; {hint} write http://HOST:PORT");
    Err(Failure::usage(message).with_nearest(near))
}

/// `host:port` of a daemon: of the server that is meant, else of the registry, the first of several.
pub(super) fn address(target: &Target) -> String {
    match target {
        Target::Direct { host, port } => host_port(host, *port),
        Target::Registry { url } | Target::JsonRpc { url } => {
            let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
            let rest = rest.split(',').next().unwrap_or(rest);
            if Target::direct(rest).is_ok() { rest.to_owned() } else { format!("{rest}:80") }
        }
    }
}

/// `http://HOST:PORT`, or `http://HOST:PORT,HOST:PORT`, or https; `scheme` holds where there is none.
pub(super) fn registry_url(text: &str, scheme: &str) -> Result<String, Failure> {
    let (scheme, addresses) = text.split_once("://").unwrap_or((scheme, text));
    let start = format!("{scheme}://");
    let mut urls = addresses.split(',').map(|address| {
        let address = address.trim();
        // Each may be a URL.
        one_url(text, &format!("{start}{}", address.strip_prefix(&start).unwrap_or(address)))
    });
    let first = urls.next().unwrap_or_else(|| one_url(text, text))?;
    urls.try_fold(first, |urls, url| {
        let url = url?;
        let address = url.split_once("://").map_or(url.as_str(), |(_, address)| address);
        Ok(format!("{urls},{address}"))
    })
}

fn one_url(text: &str, full: &str) -> Result<String, Failure> {
    let wrong = |why: &str| {
        Failure::usage(format!(
            "bad registry {text:?}: {why}; expected http://HOST:PORT, or of several http://HOST:PORT,HOST:PORT"
        ))
    };
    let url = Url::parse(full).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("only http and https are supported"));
    }
    if url.host().is_none() || url.port() == Some(0) {
        return Err(wrong("host or port missing"));
    }
    if !matches!(url.path(), "" | "/")
        || url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err(wrong("only a host and a port are allowed"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}
