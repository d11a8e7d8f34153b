//! The options that commands have in common: one word, one meaning.

use std::path::PathBuf;

use clap::{Arg, Args, ValueEnum};
use rpc_settings::parse;
use rpc_wire::shell_word;

use super::{CallTime, values};

/// The target, the timeout and the output.
#[derive(Debug, Clone, Default, Args)]
pub struct Asking {
    /// The target.
    #[command(flatten)]
    pub direct: Direct,
    /// Only instances of this service; '': of any [default: any]
    #[arg(long, value_name = "NAME", help_heading = "Target", value_parser = parse::any_service)]
    pub service: Option<String>,
    /// Total time of a call or request: 500ms, 10s, or seconds [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<CallTime>,
    /// Print JSON, errors included
    #[arg(long)]
    pub json: bool,
    /// Settings and log.
    #[command(flatten)]
    pub common: Common,
}

impl Asking {
    /// The flags that choose the target as they were typed, for commands that are shown.
    pub fn target_as_typed(&self) -> String {
        let service = self.service.as_deref().filter(|service| !service.is_empty());
        let service = service.map(|service| format!("--service {}", shell_word(service)));
        let words = [self.direct.as_typed(), service.unwrap_or_default()];
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// What the server's methods are, where it does not say it.
#[derive(Debug, Clone, Default, Args)]
pub struct Described {
    /// OpenRPC document with the methods of the server, which is then not asked for them
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub openrpc: Option<PathBuf>,
}

/// Settings file and logging, the same for every command.
#[derive(Debug, Clone, Default, Args)]
pub struct Common {
    /// Settings file [default: ./config.ini, else ~/.config/rpcd/config.ini]
    #[arg(long, value_name = "FILE", help_heading = "Settings and log")]
    pub config: Option<PathBuf>,
    /// Minimum level: off, error, warn, info, debug, trace; per target: info,rpc_server=debug
    #[arg(long, value_name = "LEVEL", help_heading = "Settings and log",
          value_parser = parse::log_level)]
    pub log_level: Option<String>,
    /// Also write daily log files to this directory
    #[arg(long, value_name = "DIR", help_heading = "Settings and log")]
    pub log_dir: Option<PathBuf>,
    /// text or json (one object per line)
    #[arg(long, value_name = "FORMAT", help_heading = "Settings and log",
          value_parser = parse::log_format)]
    pub log_format: Option<rpc_host::logging::LogFormat>,
}

/// The target: one address, or any instance a registry lists. Without -m an address, if given, wins.
#[derive(Debug, Clone, Default, Args)]
pub struct Direct {
    /// server: the one at -i and -p; registry: any instance it lists
    #[arg(short, long, value_name = "MODE", help_heading = "Target", hide_possible_values = true)]
    pub mode: Option<Via>,
    /// Server address or name, or the URL of one of JSON-RPC: http://…, jsonrpc+tcp://HOST:PORT [default: 127.0.0.1]
    #[arg(short = 'i', long, value_name = "HOST", help_heading = "Target",
          value_parser = values::host_or_url)]
    pub host: Option<String>,
    /// Server port
    #[arg(short, long, value_name = "PORT", help_heading = "Target",
          value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// The registry.
    #[command(flatten)]
    pub through: Through,
}

impl Direct {
    /// Whether `-i` or `-p` was given.
    pub fn has_address(&self) -> bool {
        self.host.is_some() || self.port.is_some()
    }

    /// The flags as they were typed, for commands that are shown.
    pub fn as_typed(&self) -> String {
        let host = self.host.as_ref().map(|host| format!("-i {}", shell_word(host)));
        let port = self.port.map(|port| format!("-p {port}"));
        let registry =
            self.through.registry.as_ref().map(|url| format!("--registry {}", shell_word(url)));
        let tls = self.through.tls.then(|| "--tls".to_owned());
        let ca = self.through.tls_ca.as_ref();
        let ca = ca.map(|file| format!("--tls-ca {}", shell_word(&file.to_string_lossy())));
        [host, port, registry, tls, ca].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// The help of the options of [`Direct`] for a command that asks the registry itself.
pub(super) fn of_a_registry(option: Arg) -> Arg {
    match option.get_id().as_str() {
        "mode" => option.help("registry: only a registry lists instances"),
        "host" => {
            option.help("Registry address or name [default: 127.0.0.1]").value_parser(parse::host)
        }
        "port" => option.help("Registry port"),
        _ => option,
    }
}

/// The same for a command that asks any daemon.
pub(super) fn of_any_daemon(option: Arg) -> Arg {
    match option.get_id().as_str() {
        "host" => option
            .help("Address or name of the server or registry [default: 127.0.0.1]")
            .value_parser(parse::host),
        "port" => option.help("Its port"),
        _ => option,
    }
}

/// Which registry.
#[derive(Debug, Clone, Default, Args)]
pub struct Through {
    /// Registry: a URL, or the NAME of a [registry.NAME] section [default: http://127.0.0.1:9999]
    #[arg(long, value_name = "URL", help_heading = "Target")]
    pub registry: Option<String>,
    /// Only by TLS; the registry, too, unless its URL says http://
    #[arg(long, help_heading = "Target")]
    pub tls: bool,
    /// Authorities to trust, a PEM file; means --tls [default: those of the system]
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub tls_ca: Option<PathBuf>,
}

/// How an instance is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// One server, by its address.
    Server,
    /// Any instance that the registry lists.
    Registry,
}
