//! A registry, two servers, a caller and the console, each a process with a certificate of one authority, which this
//! program makes: TLS everywhere, nobody is served without a certificate, and tokens say who may do what.
//!
//! `cargo build && cargo run --example secure` writes certificates, tokens and a settings file for each program to a
//! temporary folder, starts them, makes calls, and ends what it has started; with `-- --console` once the console is left.
#![expect(clippy::print_stdout, reason = "the output is what this program is for")]

mod files;
mod processes;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use files::Files;
use processes::{Programs, Running, Signals};

/// Starts a registry, two servers, a caller and the console with TLS, certificates and tokens of their own.
#[derive(Debug, Parser)]
struct Options {
    /// Also open the console, and end with it
    #[arg(long)]
    console: bool,

    /// Where rpcd and rpc-console are [default: where cargo has built them, beside this program]
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    // Before anything is started: from then on a signal must end it.
    let mut signals = Signals::new()?;
    let folder = tempfile::tempdir().context("no temporary folder can be made")?;
    let programs = Programs::find(options.programs, folder.path())?;
    let mut running = Running::default();
    let code = tokio::select! {
        done = everything(options.console, &programs, &mut running) => done,
        code = signals.next() => Ok(code),
    };
    running.end().await;
    code
}

async fn everything(
    with_console: bool,
    programs: &Programs,
    running: &mut Running,
) -> anyhow::Result<ExitCode> {
    // Who calls and watches shows a token. Servers are who their certificates say, and register by that.
    let token = programs.output(&["token", "new", "--name", "caller", "--roles", "call,observe"]);
    let token = token.await?;
    let (secret, line) = token.split_once('\n').context("rpcd token new has printed one line")?;
    let files = Files::new(programs.folder())?;
    files.tokens(&[line.trim(), "sums register certificate:rpcd://service/sums services=sums"])?;
    files.secret(secret)?;

    let config = files.of_registry()?;
    let registry = running.daemon(programs, "registry", &config).await?;
    println!("the registry listens on {registry}");
    for name in ["first", "second"] {
        let config = files.of_server(name, registry)?;
        let server = running.daemon(programs, "serve", &config).await?;
        println!("the {name} server listens on {server}");
    }

    let caller = files.of_caller("caller", registry, &["certificate", "token"])?;
    programs.instances(2, &caller).await?;
    for (who, shows) in [
        ("caller", &["certificate", "token"][..]),
        ("no-token", &["certificate"]),
        ("no-certificate", &["token"]),
    ] {
        let config = files.of_caller(who, registry, shows)?;
        println!("\n$ rpcd call add 1 2 --config {who}.ini");
        println!("{}", programs.said(&["call", "add", "1", "2", "--config", &config]).await?);
    }
    match with_console {
        true => running.console(programs, &caller).await,
        false => Ok(ExitCode::SUCCESS),
    }
}
