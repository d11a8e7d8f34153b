//! `rpcd token`: makes secrets with their lines, and says whose tokens a file has.

use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use rpc_client::SecretString;
use rpc_security::secret::{self, ExposeSecret};
use rpc_security::{Credential, Digest, FileError, Identity, TokenFile, Tokens, TokensError};
use rpc_settings::TOKEN_VARIABLE;
use serde_json::{Value, json};

use crate::cli::{NewToken, TokenAction};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::output::table::Table;

/// Does it.
///
/// # Errors
/// A flag or the file is wrong, or the secret is nobody's.
pub fn token(action: &TokenAction) -> Result<(), Failure> {
    match action {
        TokenAction::New(typed) => new(typed),
        TokenAction::List { file, json } => list(file, *json),
        TokenAction::Check { file, certificate, json, .. } => {
            check(file, certificate.as_deref(), *json)
        }
    }
}

fn new(typed: &NewToken) -> Result<(), Failure> {
    let secret = secret::generate();
    let line = line(typed, &secret)?;
    if typed.json {
        let both = json!({ "secret": secret.expose_secret(), "line": line });
        return output::json(&both.to_string());
    }
    output::text(secret.expose_secret())?;
    output::text(&line)?;
    if output::is_terminal() {
        output::say(
            "the first line is the secret, shown only now: give it to the program in RPCD_TOKEN or a token_file; the second goes into the file of [security] tokens",
        );
    }
    Ok(())
}

/// The line of a new token, read as the daemons will read it.
fn line(typed: &NewToken, secret: &SecretString) -> Result<String, Failure> {
    let NewToken { name, roles, expires, services, hosts, .. } = typed;
    let flags = [
        ("--name", Some(name)),
        ("--roles", Some(roles)),
        ("--expires", expires.as_ref()),
        ("--services", services.as_ref()),
        ("--hosts", hosts.as_ref()),
    ];
    for (flag, value) in flags {
        let has_space = |value: &String| value.contains(char::is_whitespace);
        if value.is_some_and(|value| value.is_empty() || has_space(value)) {
            let what = format!("{flag} is empty or has a space; write a value without spaces");
            return Err(Failure::usage(what));
        }
    }
    let mut line = format!("{name} {roles} {}", Digest::of(secret));
    for (key, value) in [("expires", expires), ("services", services), ("hosts", hosts)] {
        if let Some(value) = value {
            line.push_str(&format!(" {key}={value}"));
        }
    }
    match Tokens::parse(&line) {
        Ok(tokens) => match tokens.identities().next() {
            Some(made) if made.is_expired(SystemTime::now()) => {
                Err(Failure::usage("--expires is in the past; write a date to come"))
            }
            Some(_) => Ok(line),
            None => Err(Failure::usage("--name begins with '#'; write one that does not")),
        },
        Err(TokensError::Line { problem, .. }) => Err(Failure::usage(problem)),
        Err(other) => Err(Failure::usage(other.to_string())),
    }
}

fn list(file: &Path, as_json: bool) -> Result<(), Failure> {
    let tokens = load(file)?;
    if as_json {
        return tokens.entries().try_for_each(|(credential, identity)| {
            let mut line = in_json(identity);
            line["certificate"] = certificate_of(credential).into();
            output::json(&line.to_string())
        });
    }
    let mut table = Table::new(&["NAME", "ROLES", "SHOWS", "EXPIRES", "SERVICES", "HOSTS"], &[]);
    for (credential, identity) in tokens.entries() {
        let Identity { name, roles, .. } = identity;
        table.push(vec![
            name.clone(),
            roles.to_string(),
            certificate_of(credential).unwrap_or("a token").to_owned(),
            expiry(identity, SystemTime::now()),
            services(identity).unwrap_or_else(|| "any".to_owned()),
            hosts(identity).unwrap_or_else(|| "any".to_owned()),
        ]);
    }
    output::table(&table)
}

fn check(file: &Path, certificate: Option<&Path>, as_json: bool) -> Result<(), Failure> {
    let tokens = load(file)?;
    let now = SystemTime::now();
    let identity = match certificate {
        Some(path) => tokens.identify_names(&names(path)?, now),
        None => tokens.identify(&shown()?, now),
    };
    let identity =
        identity.map_err(|why| Failure::new(Exit::Failed, format!("{}: {why}", file.display())))?;
    if as_json {
        return output::json(&in_json(&identity).to_string());
    }
    let Identity { name, roles, .. } = &*identity;
    let limits = [("services", services(&identity)), ("hosts", hosts(&identity))];
    let limits = limits.into_iter().filter_map(|(key, names)| Some(format!("{key} {}", names?)));
    let expires = identity.expires.map(|_| format!("expires {}", expiry(&identity, now)));
    let parts: Vec<String> =
        [format!("{name}: {roles}")].into_iter().chain(limits).chain(expires).collect();
    output::text(&parts.join("; "))
}

fn load(file: &Path) -> Result<std::sync::Arc<Tokens>, Failure> {
    let loaded = TokenFile::load(file);
    Ok(loaded.map_err(|error: FileError| Failure::usage(error.to_string()))?.tokens())
}

/// The name of a certificate, if it is one.
fn certificate_of(credential: &Credential) -> Option<&str> {
    match credential {
        Credential::Certificate(name) => Some(name),
        Credential::Token(_) => None,
    }
}

/// The names of a certificate in a file.
#[cfg(feature = "tls")]
fn names(path: &Path) -> Result<Vec<String>, Failure> {
    rpc_security::tls::names(path).map_err(|error| Failure::usage(error.to_string()))
}

#[cfg(not(feature = "tls"))]
fn names(_: &Path) -> Result<Vec<String>, Failure> {
    Err(Failure::usage("this rpcd was built without TLS; it reads no certificates"))
}

/// The secret of the variable, else of standard input; never of the command line, which others can see.
fn shown() -> Result<SecretString, Failure> {
    let of = |text: &str, place: &str| {
        secret::parse(text).map_err(|why| Failure::usage(format!("{place} holds no token: {why}")))
    };
    if let Ok(text) = std::env::var(TOKEN_VARIABLE)
        && !text.trim().is_empty()
    {
        return of(&text, TOKEN_VARIABLE);
    }
    let mut text = String::new();
    let most = 2 * secret::MAX_SECRET as u64;
    let read = std::io::stdin().lock().take(most).read_to_string(&mut text);
    read.map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
    of(&text, "standard input")
}

fn in_json(identity: &Identity) -> Value {
    let Identity { name, roles, services, hosts, expires } = identity;
    let roles: Vec<_> = roles.iter().map(|role| role.name()).collect();
    let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    json!({
        "name": name,
        "roles": roles,
        "services": services,
        "hosts": (!hosts.is_empty()).then_some(hosts),
        "expires": expires.map(|end| humantime::format_rfc3339_seconds(end).to_string()),
    })
}

fn services(identity: &Identity) -> Option<String> {
    let services = identity.services.as_ref()?;
    Some(services.iter().map(String::as_str).collect::<Vec<_>>().join(","))
}

fn hosts(identity: &Identity) -> Option<String> {
    let hosts: Vec<_> = identity.hosts.iter().map(ToString::to_string).collect();
    (!hosts.is_empty()).then(|| hosts.join(","))
}

fn expiry(identity: &Identity, now: SystemTime) -> String {
    match identity.expires {
        None => "never".to_owned(),
        Some(end) if end <= now => format!("{} (past)", humantime::format_rfc3339_seconds(end)),
        Some(end) => humantime::format_rfc3339_seconds(end).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed() -> NewToken {
        NewToken {
            name: "ci".to_owned(),
            roles: "call,observe".to_owned(),
            expires: Some("2100-01-31".to_owned()),
            services: Some("a,b".to_owned()),
            hosts: Some("10.1.0.0/16".to_owned()),
            json: false,
        }
    }

    #[test]
    fn a_line_is_read_as_it_was_asked_for_and_has_no_secret() {
        let secret = secret::generate();
        let line = line(&typed(), &secret).unwrap();
        assert!(!line.contains(secret.expose_secret()));
        let tokens = Tokens::parse(&line).unwrap();
        let ci = tokens.identify(&secret, SystemTime::now()).unwrap();
        assert_eq!((ci.name.as_str(), ci.roles.to_string().as_str()), ("ci", "call,observe"));
        assert_eq!(
            (services(&ci).as_deref(), hosts(&ci).as_deref()),
            (Some("a,b"), Some("10.1.0.0/16"))
        );
        assert_eq!(in_json(&ci)["expires"], "2100-01-31T00:00:00Z");
    }

    #[test]
    fn what_cannot_be_a_line_is_a_usage_error_that_says_why() {
        let wrong = |typed: NewToken, what: &str| {
            let failure = line(&typed, &secret::generate()).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains(what), "{}", failure.message);
        };
        wrong(NewToken { name: "a b".to_owned(), ..typed() }, "--name is empty or has a space");
        wrong(NewToken { roles: String::new(), ..typed() }, "--roles is empty");
        wrong(NewToken { name: "#a".to_owned(), ..typed() }, "begins with '#'");
        wrong(NewToken { roles: "admin".to_owned(), ..typed() }, "roles must be");
        wrong(NewToken { expires: Some("soon".to_owned()), ..typed() }, "date such as");
        wrong(NewToken { hosts: Some("here".to_owned()), ..typed() }, "networks such as");
        wrong(NewToken { services: Some("a hosts=::/0".to_owned()), ..typed() }, "--services is");
        wrong(NewToken { expires: Some("2020-01-01".to_owned()), ..typed() }, "in the past");
        wrong(NewToken { hosts: Some("10.1.0.5/16".to_owned()), ..typed() }, "beyond its prefix");
    }
}
