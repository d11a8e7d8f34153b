//! The console's program: read the command line, borrow the terminal, run, give it back.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use rpc_console::options::Options;
use rpc_console::runtime::{self, Clock, Ended, Settings};
use rpc_console::view::Theme;
use rpc_console::{demo, terminal};
use rpc_host::config::{self, Config};
use rpc_host::logging::{self, LogOptions};

fn main() -> ExitCode {
    // Before any thread exists: the local time zone can be asked for safely only now.
    let clock = Clock::local();
    let options = Options::parse();
    terminal::give_back_on_panic();
    match run(&options, clock) {
        Ok(Ended::Quit) => ExitCode::SUCCESS,
        Ok(Ended::TerminalLost) => ExitCode::FAILURE,
        Ok(Ended::Signal(number)) => ExitCode::from(128 + number),
        Err(Failure { text, code }) => {
            complain(&text);
            ExitCode::from(code)
        }
    }
}

/// Why it did not run, and the exit code that says so.
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
            "this is a screen program and standard input or output is not a terminal; \
             in scripts use rpcd call, rpcd methods or rpcd instances",
        ));
    }
    let config = Config::load(options.config.as_deref(), config::environment()).map_err(usage)?;
    let logging = logging::init(&log_options(options, &config)).map_err(usage)?;
    let registry = options.registry.clone().unwrap_or_else(|| config.registry.url());
    rpc_client::registry::RegistryClient::new(&registry, Default::default()).map_err(usage)?;
    let settings = Settings {
        registry: (!options.demo).then_some(registry),
        theme: theme(&config),
        mouse: config.console.mouse,
        log_lines: config.console.log_lines,
        event_lines: config.console.event_lines,
        history: config.console.history,
        clock,
        log: logging.ring(""),
        demo: options.demo.then(|| demo::starter(&logging)),
    };
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(failed)?;
    let ended = threads.block_on(runtime::run(settings));
    threads.shutdown_background();
    ended.map_err(failed)
}

/// Never to the terminal: only to rings, and to files if the settings ask for them.
fn log_options(options: &Options, config: &Config) -> LogOptions {
    let level = if options.demo && options.log_level == "info" {
        demo::LOG_LEVEL.to_owned()
    } else {
        options.log_level.clone()
    };
    LogOptions {
        level,
        terminal: false,
        save: config.log.save.then(|| config.log.dir.clone()),
        file_prefix: "rpc-console".to_owned(),
        ..LogOptions::default()
    }
}

fn theme(config: &Config) -> Theme {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    Theme {
        mono: no_colour || dumb || config.console.theme == config::Theme::Mono,
        light: config.console.theme == config::Theme::Light,
        ascii: config.console.glyphs == config::Glyphs::Ascii,
    }
}

#[expect(clippy::print_stderr, reason = "the one line a person reads when there is no screen")]
fn complain(text: &str) {
    eprintln!("rpc-console: {text}");
}
