//! The console: reads command line and settings, then runs the screen.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use rpc_client::registry::RegistryClient;
use rpc_client::{Client, ClientOptions};
use rpc_console::options::{self, Options};
use rpc_console::runtime::{self, Clock, Ended, HistoryFolder};
use rpc_console::view::{self, Theme};
use rpc_console::{demo, terminal};
use rpc_console_core::model::registries::{NamedRegistry, Registries};
use rpc_host::logging::{self, LogOptions};
use rpc_settings::{Glyphs, Settings, Sources, Theme as Colours};
use rpc_wire::target::Target;

fn main() -> ExitCode {
    // Before any thread starts: reading the local time zone is safe only then.
    let clock = Clock::local();
    let line: Vec<OsString> = std::env::args_os().collect();
    if let Some(moved) = options::moved(&line) {
        print_error(&moved);
        return ExitCode::from(2);
    }
    let options = match Options::try_parse_from(line) {
        Ok(options) => options,
        Err(error) if !error.use_stderr() => return print_help(&error.render().to_string()),
        Err(error) => {
            print_error(&options::mistake(&error));
            return ExitCode::from(2);
        }
    };
    terminal::restore_on_panic();
    match run(&options, clock) {
        Ok(Ended::Quit) => ExitCode::SUCCESS,
        Ok(Ended::TerminalLost) => ExitCode::FAILURE,
        Ok(Ended::Signal(number)) => ExitCode::from(128 + number),
        Err(Failure { text, code }) => {
            print_error(&text);
            ExitCode::from(code)
        }
    }
}

/// Why the program failed, and its exit code.
struct Failure {
    text: String,
    code: u8,
}

fn usage(text: impl std::fmt::Display) -> Failure {
    Failure { text: text.to_string(), code: 2 }
}

fn failed(text: impl std::fmt::Display) -> Failure {
    Failure { text: text.to_string(), code: 1 }
}

fn run(options: &Options, clock: Clock) -> Result<Ended, Failure> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(usage(
            "standard input or output is not a terminal; in scripts use rpcd: see rpcd --help",
        ));
    }
    let mut settings = settings(options)?;
    let logging = logging::init(&log_options(options, &settings)).map_err(usage)?;
    let keys = rpc_console::keys::keymap(&settings).map_err(usage)?;
    let mut registries = options.registries(&settings).map_err(usage)?;
    let token = options.client_token(&settings).map_err(usage)?;
    let client = ClientOptions { token, ..settings.client.clone() };
    let mut warnings = std::mem::take(&mut settings.warnings);
    let clients = options.clients(&settings, &mut warnings).map_err(usage)?;
    registries.set_access(|named| {
        options.access(named, &settings, clients.get(&named.name).unwrap_or(&client))
    });
    warnings.extend(registries.access().withheld);
    for named in registries.all() {
        check(named, clients.get(&named.name).unwrap_or(&client))?;
    }
    let console = runtime::Settings {
        registries: if options.demo { Registries::default() } else { registries },
        keys,
        theme: theme(&settings),
        mouse: settings.console.mouse,
        max_log_lines: settings.console.max_log_lines,
        max_log_bytes: settings.console.max_log_bytes,
        max_events: settings.console.max_events,
        max_history: settings.console.max_history,
        max_probed: settings.console.max_probed,
        client,
        clients,
        opened: options.opened(&settings).map_err(usage)?,
        warnings,
        readonly: options.readonly,
        histories: histories(&settings),
        clock,
        log: logging.ring(""),
        demo: options.demo.then(|| demo::starter(&logging)),
    };
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(failed)?;
    let ended = threads.block_on(runtime::run(console));
    threads.shutdown_background();
    ended.map_err(failed)
}

/// Refuses to start with files or addresses that cannot be used, whichever registry they are for.
fn check(named: &NamedRegistry, options: &ClientOptions) -> Result<(), Failure> {
    let wrong = |error: String| usage(format!("[{}]: {error}", named.section));
    match &named.target {
        Target::Registry { url } => {
            let usable = RegistryClient::new(url, options.registry());
            usable.map_err(|error| wrong(error.to_string())).map(drop)
        }
        target @ (Target::Direct { .. } | Target::JsonRpc { .. }) => {
            let usable = Client::new(target.clone(), options.clone());
            usable.map_err(|error| wrong(error.to_string())).map(drop)
        }
    }
}

fn settings(options: &Options) -> Result<Settings, Failure> {
    Settings::load(options.config.as_deref(), Sources::of_process()).map_err(usage)
}

fn histories(settings: &Settings) -> Option<HistoryFolder> {
    let environment = |name: &str| std::env::var_os(name);
    let wanted = settings.console.save_history;
    wanted.then(|| HistoryFolder::find(settings.console.max_history, environment)).flatten()
}

/// Logging of the settings, but never to the terminal, which shows the screen.
fn log_options(options: &Options, settings: &Settings) -> LogOptions {
    let mut log = settings.log.clone();
    if let Some(level) = &options.log_level {
        log.level.clone_from(level);
    } else if options.demo && log.level == LogOptions::default().level {
        demo::LOG_LEVEL.clone_into(&mut log.level);
    }
    LogOptions { terminal: false, file_prefix: "rpc-console".to_owned(), ..log }
}

fn theme(settings: &Settings) -> Theme {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let has_colours = view::has_colours(&std::env::var("TERM").unwrap_or_default());
    let terminal_is_light = || std::env::var("COLORFGBG").is_ok_and(|text| view::is_light(&text));
    Theme {
        mono: no_colour || !has_colours || settings.console.theme == Colours::Mono,
        light: match settings.console.theme {
            Colours::Light => true,
            Colours::Auto => terminal_is_light(),
            Colours::Dark | Colours::Mono => false,
        },
        ascii: match settings.console.glyphs {
            Glyphs::Auto => {
                let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(|name| std::env::var(name).ok());
                view::is_ascii(&locale, &std::env::var("TERM").unwrap_or_default())
            }
            Glyphs::Ascii => true,
            Glyphs::Unicode => false,
        },
    }
}

/// Help or version; a closed pipe has had what it wanted.
fn print_help(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            print_error(&format!("cannot write to standard output: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

#[expect(clippy::print_stderr, reason = "there is no screen to show it on")]
fn print_error(text: &str) {
    // File names, sections and values may hold escape sequences.
    eprintln!("rpc-console: {}", logging::escape_controls(text));
}
