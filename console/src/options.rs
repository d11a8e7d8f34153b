//! The command line.

mod access;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use rpc_client::ClientOptions;
use rpc_settings::{self as settings, RegistryAddress, Settings, SettingsError, parse};
use rpc_wire::nearest;
use rpc_wire::target::Target;

use crate::runtime::Opened;
use rpc_console_core::model::access::Access;
use rpc_console_core::model::registries::{Colour, NamedRegistry, Registries};

/// Terminal console: watch instances, call methods, read logs, run load tests.
///
/// Press ? for all keys. The console also starts without a registry and connects once one is up.
/// HOST:PORT opens one server that is not registered anywhere, also one of another make that speaks JSON-RPC.
/// --demo runs an embedded registry and four servers. For scripts use rpcd.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "rpc-console", version, about, max_term_width = 100, after_help = EXAMPLES)]
pub struct Options {
    /// Open this server without a registry; one of JSON-RPC also by its URL: http://…, jsonrpc+tcp://HOST:PORT
    #[arg(value_name = "HOST:PORT", value_parser = Target::server,
          conflicts_with_all = ["demo", "registry"])]
    pub server: Option<Target>,

    /// OpenRPC document with the methods of the server, which is then not asked for them
    #[arg(long, value_name = "FILE", requires = "server")]
    pub openrpc: Option<PathBuf>,

    /// Run an embedded registry and four servers with live traffic; needs no set-up
    #[arg(long, conflicts_with = "registry")]
    pub demo: bool,

    /// Registry: a URL such as http://127.0.0.1:9999, or the NAME of a [registry.NAME] section
    /// [default: section registry]
    #[arg(long, value_name = "URL")]
    pub registry: Option<String>,

    /// Settings file [default: ./config.ini, else ~/.config/rpcd/config.ini]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Look only: refuse calls and load tests of methods that do not say that they are read-only,
    /// unregistering and draining
    #[arg(long)]
    pub readonly: bool,

    /// Minimum level of the console's own log, shown in the Logs view: debug, or
    /// info,rpc_client=debug [default: info]
    #[arg(long, value_name = "LEVEL", value_parser = parse::log_level)]
    pub log_level: Option<String>,
}

impl Options {
    /// The server of the command line, with its methods if a document says them.
    ///
    /// # Errors
    /// The document cannot be used.
    pub fn opened(&self, settings: &Settings) -> Result<Opened, String> {
        let read = |file: &PathBuf| {
            let cannot = |why: &str| format!("cannot use {}: {why}", file.display());
            let limit = settings.client.max_method_list_bytes;
            let text = read_at_most(file, limit).map_err(|error| cannot(&error.to_string()))?;
            let methods = rpc_client::methods_of_document(&text, &settings.client);
            methods
                .map(Arc::new)
                .map_err(|why| cannot(&format!("{why}; --openrpc takes an OpenRPC document")))
        };
        let described = self.openrpc.as_ref().map(read).transpose()?;
        Ok(Opened { server: self.server.clone(), described })
    }

    /// The options of calls and requests for each registry of the settings and the instances that it lists, by its
    /// name in the console. A file with the token of one of them that cannot be used is no reason not to open the
    /// others: it is a warning, and that one is asked without a token.
    ///
    /// # Errors
    /// The file with the token for all of them cannot be used.
    pub fn clients(
        &self,
        settings: &Settings,
        warnings: &mut Vec<String>,
    ) -> Result<BTreeMap<String, ClientOptions>, SettingsError> {
        let client = |(name, registry): (&str, &RegistryAddress)| {
            let token = match registry.token_file {
                Some(_) => settings
                    .registry_token(registry, &section(name, settings))
                    .unwrap_or_else(|error| {
                        warnings.push(format!(
                            "{error}, and start the console again: {name} is asked without a token"
                        ));
                        None
                    }),
                None => settings.client_token([registry])?,
            };
            Ok((name.to_owned(), ClientOptions { token, ..settings.client_of(registry) }))
        };
        addresses(settings).map(client).collect()
    }

    /// The registries of the settings and of `--registry`, the server of the command line, and which
    /// of them is current.
    ///
    /// # Errors
    /// `--registry` is neither the name of a registry nor a URL.
    pub fn registries(&self, settings: &Settings) -> Result<Registries, String> {
        let all = addresses(settings);
        let mut list: Vec<_> =
            all.map(|(name, registry)| named(name, registry, settings)).collect();
        if let Some(server) = &self.server {
            list.insert(0, NamedRegistry::new(server.to_string(), server.clone()));
            return Ok(Registries::new(list, 0));
        }
        let Some(wanted) = &self.registry else { return Ok(Registries::new(list, 0)) };
        if let Some(at) = list.iter().position(|named| named.name == *wanted) {
            return Ok(Registries::new(list, at));
        }
        if !wanted.contains([':', '/']) {
            let names = list.iter().map(|named| named.name.as_str());
            let suggestion = nearest(wanted, names).map(|near| format!(" (did you mean {near}?)"));
            return Err(format!(
                "no registry named {wanted}{}; use http://HOST:PORT, or add [registry.{wanted}] to the \
                 settings",
                suggestion.unwrap_or_default()
            ));
        }
        let scheme = if settings.client.tls { "https" } else { "http" };
        let url =
            if wanted.contains("://") { wanted.clone() } else { format!("{scheme}://{wanted}") };
        let url = settings.registry.with_also(url.trim_end_matches('/').to_owned());
        let target = Target::Registry { url: url.clone() };
        // What a folder's file names is not what was typed: that is a person's choice.
        let is_own =
            |(name, _): &(&str, &RegistryAddress), named: &NamedRegistry| *name == named.name;
        let of_folder = |named: &NamedRegistry| {
            let registry = addresses(settings).find(|known| is_own(known, named));
            registry.is_some_and(|(_, registry)| !registry.of_folder.is_empty())
        };
        let is_it = |named: &NamedRegistry| named.target == target && !of_folder(named);
        if let Some(at) = list.iter().position(is_it) {
            return Ok(Registries::new(list, at));
        }
        // It has no name in the settings.
        let name = url.split_once("://").map_or(url.as_str(), |(_, address)| address).to_owned();
        list.insert(0, NamedRegistry::new(name, target));
        Ok(Registries::new(list, 0))
    }
}

/// The text of a file; of one that is longer, a byte more than the limit.
fn read_at_most(file: &Path, limit: usize) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(limit as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// The registries of the settings by their names in the console, that of `[registry]` first.
fn addresses(settings: &Settings) -> impl Iterator<Item = (&str, &RegistryAddress)> {
    let is_taken = |name: &str| settings.registries.contains_key(name);
    let is_local = ["127.0.0.1", "::1", "localhost"].contains(&settings.registry.host.as_str());
    let default = if is_local && !is_taken("local") { "local" } else { "default" };
    let default = if is_taken(default) { "registry" } else { default };
    let others = settings.registries.iter().map(|(name, registry)| (name.as_str(), registry));
    [(default, &settings.registry)].into_iter().chain(others)
}

fn named(name: &str, registry: &RegistryAddress, settings: &Settings) -> NamedRegistry {
    NamedRegistry {
        name: name.to_owned(),
        target: Target::Registry { url: registry.url() },
        colour: match registry.color {
            settings::Colour::None => None,
            settings::Colour::Red => Some(Colour::Red),
            settings::Colour::Yellow => Some(Colour::Yellow),
            settings::Colour::Green => Some(Colour::Green),
            settings::Colour::Blue => Some(Colour::Blue),
            settings::Colour::Magenta => Some(Colour::Magenta),
            settings::Colour::Cyan => Some(Colour::Cyan),
        },
        confirm: registry.confirm,
        section: section(name, settings),
        // It is known with the options of the console.
        access: Access::default(),
    }
}

/// The section of the settings that a registry with that name in the console is from.
fn section(name: &str, settings: &Settings) -> String {
    match settings.registries.contains_key(name) {
        true => format!("registry.{name}"),
        false => "registry".to_owned(),
    }
}

const EXAMPLES: &str = "\
Examples:
  rpc-console --demo                      try it without any set-up
  rpc-console                             the registry of the settings
  rpc-console --registry http://10.0.0.5:9999 --readonly
  rpc-console 127.0.0.1:8089              one server, without a registry
  rpc-console http://127.0.0.1:8545/rpc --openrpc methods.json";

/// A mistake on the command line in one line, in the words of `rpcd`.
pub fn mistake(error: &clap::Error) -> String {
    let known = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) if !text.is_empty() => Some(text.as_str()),
        Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
        _ => None,
    };
    let argument = known(ContextKind::InvalidArg);
    let what = match (error.kind(), argument) {
        (ErrorKind::UnknownArgument, Some(argument)) => {
            let meant = known(ContextKind::SuggestedArg);
            let meant = meant.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
            let is_option = argument.starts_with('-');
            let what = if is_option { "unknown option" } else { "unexpected argument" };
            format!("{what} {argument}{meant}")
        }
        (ErrorKind::ArgumentConflict, Some(argument)) => match known(ContextKind::PriorArg) {
            Some(other) if other != argument => format!("{argument} cannot be used with {other}"),
            _ => format!("{argument} is given twice"),
        },
        (ErrorKind::InvalidValue, Some(argument)) => format!("missing value of {argument}"),
        (ErrorKind::ValueValidation, Some(argument)) => {
            let value = known(ContextKind::InvalidValue).unwrap_or_default();
            let why = std::error::Error::source(error).map(|why| format!(": {why}"));
            format!("bad value '{value}' for {argument}{}", why.unwrap_or_default())
        }
        _ => {
            let text = error.render().to_string();
            let first = text.split("\n\n").next().unwrap_or_default();
            let first = first.strip_prefix("error: ").unwrap_or(first);
            first.split_whitespace().collect::<Vec<_>>().join(" ")
        }
    };
    format!("{what}; see rpc-console --help")
}

/// The commands that the console had or that people try, and those of `rpcd`.
const MOVED: [(&str, &str); 10] = [
    ("ls", "rpcd instances"),
    ("instances", "rpcd instances"),
    ("methods", "rpcd methods"),
    ("call", "rpcd call"),
    ("watch", "rpcd watch"),
    ("logs", "rpcd logs"),
    ("stats", "rpcd stats"),
    ("describe", "rpcd describe"),
    ("health", "rpcd health"),
    ("bench", "rpcd bench"),
];

/// Where the command of the line `line` went, if it is one that the console had.
pub fn moved(line: &[OsString]) -> Option<String> {
    let mut words = line.iter().skip(1);
    let word = loop {
        let word = words.next()?.to_str()?;
        if ["--registry", "--config", "--log-level"].contains(&word) {
            words.next();
        } else if !word.starts_with('-') {
            break word;
        }
    };
    let (old, new) = MOVED.iter().find(|(old, _)| *old == word)?;
    Some(format!("{old} moved to: {new}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn help_says_what_a_console_that_only_looks_refuses() {
        let help = Options::command().render_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains("of methods that do not say that they are read-only"), "{help}");
    }

    #[test]
    fn a_demo_has_its_own_registry() {
        let both = ["rpc-console", "--demo", "--registry", "http://h:1"];
        assert!(Options::try_parse_from(both).is_err());
    }

    fn chosen(line: &[&str], settings: &str) -> Result<(Vec<String>, String), String> {
        let line = ["rpc-console"].iter().chain(line);
        let settings = Settings::parse(settings, "config.ini", []).unwrap();
        let all = Options::try_parse_from(line).unwrap().registries(&settings)?;
        let names = all.all().iter().map(|named| named.name.clone()).collect();
        Ok((names, all.current().unwrap().target.to_string()))
    }

    #[test]
    fn a_registry_is_chosen_by_name_or_address_and_that_of_the_settings_is_the_default() {
        let two = "[registry]\nport = 1\n[registry.staging]\nhost = 10.0.0.5";
        let names = ["local", "staging"].map(str::to_owned).to_vec();
        let check = |line: &[&str], expected: (Vec<String>, &str)| {
            let (names, url) = chosen(line, two).unwrap();
            assert_eq!((names, url.as_str()), expected, "{line:?}");
        };
        check(&[], (names.clone(), "http://127.0.0.1:1"));
        check(&["--registry", "staging"], (names.clone(), "http://10.0.0.5:9999"));
        check(&["--registry", "http://10.0.0.5:9999/"], (names, "http://10.0.0.5:9999"));
        let by_address = ["h:7", "local", "staging"].map(str::to_owned).to_vec();
        check(&["--registry", "h:7"], (by_address, "http://h:7"));
        let error = chosen(&["--registry", "stagign"], two).unwrap_err();
        assert!(error.contains("did you mean staging?"), "{error}");
        assert_eq!(chosen(&[], "[registry]\nhost = h").unwrap().0, ["default"]);
        assert_eq!(chosen(&[], "[registry.local]\nhost = h").unwrap().0, ["default", "local"]);
    }

    #[test]
    fn a_registry_has_the_token_of_its_own_file_and_the_others_have_none_of_it() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        let secret = "rpcd_0123456789abcdef0123456789abcdef";
        std::fs::write(file.path(), secret).unwrap();
        let text = format!("[registry.staging]\nhost = h\ntoken_file = {}", file.path().display());
        let settings = Settings::parse(&text, "config.ini", []).unwrap();
        let clients = Options::default().clients(&settings, &mut Vec::new()).unwrap();
        let have: Vec<_> = clients.iter().map(|(name, it)| (&**name, it.token.is_some())).collect();
        assert_eq!(have, [("local", false), ("staging", true)]);
        let readable = std::fs::Permissions::from_mode(0o604);
        std::fs::set_permissions(file.path(), readable).unwrap();
        let mut warnings = Vec::new();
        let clients = Options::default().clients(&settings, &mut warnings).unwrap();
        assert!(clients["staging"].token.is_none());
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        assert!(warning.starts_with("[registry.staging] token_file: "), "{warning}");
        assert!(!warning.contains(secret), "{warning}");
    }

    #[test]
    fn a_server_is_opened_by_its_address_and_the_registries_are_offered_too() {
        let two = "[registry]\nport = 1\n[registry.staging]\nhost = 10.0.0.5";
        let (names, target) = chosen(&["[::1]:8089"], two).unwrap();
        assert_eq!(names, ["[::1]:8089", "local", "staging"]);
        assert_eq!(target, "[::1]:8089");
        for line in [
            ["rpc-console", "nowhere", "--readonly"],
            ["rpc-console", "h:70000", "--readonly"],
            ["rpc-console", "::1:8089", "--readonly"],
            ["rpc-console", "a b:8089", "--readonly"],
            ["rpc-console", "0x7f000001:8089", "--readonly"],
            ["rpc-console", "ftp://127.0.0.1:8089", "--readonly"],
            ["rpc-console", "http://u:p@h", "--readonly"],
            ["rpc-console", "h:8089", "--demo"],
            ["rpc-console", "h:8089", "--registry=h:1"],
        ] {
            let error = Options::try_parse_from(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
        }
    }

    #[test]
    fn a_registry_has_the_colour_and_the_question_of_its_section() {
        let text = "[registry.prod]\ncolor = red\nconfirm = yes";
        let settings = Settings::parse(text, "config.ini", []).unwrap();
        let options = Options { registry: Some("prod".to_owned()), ..Options::default() };
        let all = options.registries(&settings).unwrap();
        let [local, prod] = all.all() else { panic!("{all:?}") };
        assert_eq!((local.colour, local.confirm), (None, false));
        assert_eq!((prod.colour, prod.confirm), (Some(Colour::Red), true));
        assert_eq!(all.current(), Some(prod));
    }

    #[test]
    fn a_mistake_is_one_line_in_the_words_of_rpcd() {
        for (line, said) in [
            (&["--jsn"][..], "unknown option --jsn"),
            (&["--readonyl"], "unknown option --readonyl (did you mean --readonly?)"),
            (&["h:1", "h:2"], "unexpected argument h:2"),
            (&["--config"], "missing value of --config <FILE>"),
            (&["--demo", "--demo"], "--demo is given twice"),
            (
                &["http://h:0"],
                "bad value 'http://h:0' for [HOST:PORT]: `http://h:0` is not an address: the port must be a \
                 number from 1 to 65535; write host:port, for example 127.0.0.1:8000",
            ),
        ] {
            let line = ["rpc-console"].iter().chain(line);
            let error = Options::try_parse_from(line).unwrap_err();
            assert_eq!(mistake(&error), format!("{said}; see rpc-console --help"));
        }
    }

    #[test]
    fn a_command_that_the_console_had_says_where_it_went() {
        let moved = |line: &str| moved(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for (line, said) in [
            ("rpc-console ls --json", "ls moved to: rpcd instances"),
            ("rpc-console instances", "instances moved to: rpcd instances"),
            ("rpc-console methods", "methods moved to: rpcd methods"),
            ("rpc-console --registry r call add 1 -2", "call moved to: rpcd call"),
            ("rpc-console --readonly watch", "watch moved to: rpcd watch"),
            ("rpc-console logs", "logs moved to: rpcd logs"),
            ("rpc-console stats --json", "stats moved to: rpcd stats"),
            ("rpc-console describe add", "describe moved to: rpcd describe"),
            ("rpc-console health", "health moved to: rpcd health"),
            ("rpc-console bench add 1 2", "bench moved to: rpcd bench"),
        ] {
            assert_eq!(moved(line).as_deref(), Some(said), "{line}");
        }
        for line in ["rpc-console", "rpc-console --registry call", "rpc-console other call"] {
            assert_eq!(moved(line), None, "{line}");
        }
    }
}
