//! The console's program: read the command line, borrow the terminal, run, give it back.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use rpc_console::action::Keymap;
use rpc_console::model::registries::Registries;
use rpc_console::options::{Command, Options};
use rpc_console::runtime::{self, Clock, Ended, HistoryFolder, Settings};
use rpc_console::view::{self, Theme};
use rpc_console::{demo, scripts, terminal};
use rpc_host::config::{self, Config};
use rpc_host::logging::{self, LogOptions};

fn main() -> ExitCode {
    // Before any thread exists: the local time zone can be asked for safely only now.
    let clock = Clock::local();
    let options = Options::parse();
    if let Some(command) = &options.command {
        return script(&options, command, clock).unwrap_or_else(|failure| {
            complain(&failure.text);
            ExitCode::from(failure.code)
        });
    }
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

fn script(options: &Options, command: &Command, clock: Clock) -> Result<ExitCode, Failure> {
    if options.demo {
        return Err(usage("--demo is a screen and takes no command; leave out one of the two"));
    }
    let config = Config::load(options.config.as_deref(), config::environment()).map_err(usage)?;
    let registries = options.registries(&config).map_err(usage)?;
    let Some(registry) = registries.current() else { return Err(usage("no registry")) };
    let thread = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = scripts::run(command, &registry.url, &config, clock.shift_ms());
    Ok(thread.map_err(failed)?.block_on(done))
}

fn run(options: &Options, clock: Clock) -> Result<Ended, Failure> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(usage(
            "this is a screen program and standard input or output is not a terminal; \
             in scripts use rpc-console ls, methods, call or watch, with --json",
        ));
    }
    let config = Config::load(options.config.as_deref(), config::environment()).map_err(usage)?;
    let logging = logging::init(&log_options(options, &config)).map_err(usage)?;
    let keys = Keymap::new(&config.keys).map_err(usage)?;
    let registries = options.registries(&config).map_err(usage)?;
    for named in registries.all() {
        rpc_client::registry::RegistryClient::new(&named.url, Default::default()).map_err(usage)?;
    }
    let settings = Settings {
        registries: if options.demo { Registries::default() } else { registries },
        keys,
        theme: theme(&config),
        mouse: config.console.mouse,
        log_lines: config.console.log_lines,
        event_lines: config.console.event_lines,
        history: config.console.history,
        max_probed: config.console.max_probed,
        readonly: options.readonly,
        histories: histories(&config),
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

fn histories(config: &Config) -> Option<HistoryFolder> {
    let environment = |name: &str| std::env::var_os(name);
    let wanted = config.console.save_history;
    wanted.then(|| HistoryFolder::find(config.console.history, environment)).flatten()
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
    let says_light = || std::env::var("COLORFGBG").is_ok_and(|text| view::is_light(&text));
    Theme {
        mono: no_colour || dumb || config.console.theme == config::Theme::Mono,
        light: match config.console.theme {
            config::Theme::Light => true,
            config::Theme::Auto => says_light(),
            config::Theme::Dark | config::Theme::Mono => false,
        },
        ascii: config.console.glyphs == config::Glyphs::Ascii,
    }
}

#[expect(clippy::print_stderr, reason = "the one line a person reads when there is no screen")]
fn complain(text: &str) {
    eprintln!("rpc-console: {text}");
}
