//! Copying: by the terminal, and by a clipboard program where one is installed.
//!
//! The terminal's sequence works over SSH, but nothing tells whether the terminal takes it; a program
//! says whether it worked, but copies on the machine it runs on. So both are used.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use rpc_settings::SECRET_VARIABLES;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::mpsc;

use rpc_console_core::message::{MAX_COPIED_BYTES, Msg};
use rpc_console_core::text;

/// A program that takes longer is stopped.
const TIMEOUT: Duration = Duration::from_secs(2);
/// A copy that takes longer says so, and again while it lasts.
const PATIENCE: Duration = Duration::from_millis(300);
/// Cells of the copied text in the notice.
const SHOWN: usize = 50;

/// A program that reads what it copies from its standard input.
type Program = &'static [&'static str];

/// `-w` has tmux pass the text on to the terminal's clipboard, too.
const TMUX: Program = &["tmux", "load-buffer", "-w", "-"];
const WAYLAND: Program = &["wl-copy"];
const X11: [Program; 2] =
    [&["xclip", "-selection", "clipboard"], &["xsel", "--clipboard", "--input"]];
const MACOS: Program = &["pbcopy"];

/// The programs to try, those of each group until one succeeds. `variable` reads the environment.
fn programs(
    variable: impl Fn(&str) -> Option<OsString>,
    is_installed: impl Fn(&str) -> bool,
) -> Vec<Vec<Program>> {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let multiplexer = is_set("TMUX").then_some(TMUX);
    let mut desktop = Vec::new();
    if is_set("WAYLAND_DISPLAY") {
        desktop.push(WAYLAND);
    }
    if is_set("DISPLAY") {
        desktop.extend(X11);
    }
    // Over SSH it would copy on the remote Mac.
    if !is_set("SSH_CONNECTION") {
        desktop.push(MACOS);
    }
    [multiplexer.into_iter().collect(), desktop]
        .into_iter()
        .map(|group: Vec<Program>| {
            group.into_iter().filter(|program| is_installed(program[0])).collect()
        })
        .filter(|group: &Vec<Program>| !group.is_empty())
        .collect()
}

/// Whether `PATH` has the program.
fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder: std::path::PathBuf| is_executable(&folder.join(name)))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Copies a text with the programs at hand and reports to `inbox` how. `sent`: the terminal got its
/// sequence.
pub(super) async fn copy(what: String, copied: String, sent: bool, inbox: mpsc::Sender<Msg>) {
    let programs = programs(|name| std::env::var_os(name), is_installed);
    let mut copying = pin!(copy_with(programs, &what, &copied, sent));
    let notice = loop {
        match tokio::time::timeout(PATIENCE, &mut copying).await {
            Ok((text, true)) => break Msg::Error(text),
            Ok((text, false)) => break Msg::Notice(text),
            Err(_) => {
                let _ = inbox.send(Msg::Notice(format!("copying the {what} …"))).await;
            }
        }
    };
    let _ = inbox.send(notice).await;
}

/// Copies with the programs of each group; the notice, and whether it is an error.
async fn copy_with(
    programs: Vec<Vec<Program>>,
    what: &str,
    copied: &str,
    sent: bool,
) -> (String, bool) {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for group in programs {
        for program in group {
            match run(program, copied.as_bytes()).await {
                Ok(()) => {
                    done.push(program[0]);
                    break;
                }
                Err(error) => failed.push(format!("{} {error}", program[0])),
            }
        }
    }
    notice(what, copied, &done, &failed, sent)
}

/// What is known, and no more: nobody confirms the terminal's sequence.
fn notice(
    what: &str,
    copied: &str,
    done: &[&str],
    failed: &[String],
    sent: bool,
) -> (String, bool) {
    let shown = text::cut(&text::one_line(copied), SHOWN).into_owned();
    let mut failures = failed.join("; ");
    if !sent && copied.len() > MAX_COPIED_BYTES {
        let (size, limit) = (text::bytes(copied.len()), text::bytes(MAX_COPIED_BYTES));
        let too_large = format!("it is {size}, the terminal takes {limit}; save it to a file");
        failures = if failures.is_empty() { too_large } else { format!("{failures}; {too_large}") };
    }
    match (done, sent) {
        ([], true) if failed.is_empty() => {
            (format!("{what} sent to the terminal's clipboard: {shown}"), false)
        }
        ([], true) => (format!("{what} only sent to the terminal's clipboard: {failures}"), true),
        ([], false) => (format!("{what} not copied: {failures}"), true),
        (done, _) => (format!("{what} copied with {}: {shown}", done.join(" and ")), false),
    }
}

/// Runs a program with `input`; the error says what went wrong.
async fn run(program: Program, input: &[u8]) -> Result<(), String> {
    let attempt = async {
        let mut command = Command::new(OsStr::new(program[0]));
        for secret in SECRET_VARIABLES {
            command.env_remove(secret);
        }
        let mut child = command
            .args(&program[1..])
            .stdin(Stdio::piped())
            // Some leave a process behind that serves the clipboard: it must not hold a pipe of ours,
            // or draw on the screen.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start: {error}"))?;
        let mut written = Ok(());
        if let Some(mut stdin) = child.stdin.take() {
            written = stdin.write_all(input).await;
        }
        let status = child.wait().await.map_err(|error| error.to_string())?;
        match status.code() {
            // A program that fails reads nothing: its exit code says more.
            Some(0) => written.map_err(|error| format!("took no text: {error}")),
            Some(code) => Err(format!("failed with exit code {code}")),
            None => Err("was killed".to_owned()),
        }
    };
    match tokio::time::timeout(TIMEOUT, attempt).await {
        Ok(result) => result,
        Err(_) => Err(format!("did not end within {} s", TIMEOUT.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[&str], installed: &[&str]) -> Vec<Vec<&'static str>> {
        let set = |name: &str| variables.contains(&name).then(|| OsString::from("x"));
        let groups = programs(set, |name| installed.contains(&name));
        groups.into_iter().map(|group| group.into_iter().map(|words| words[0]).collect()).collect()
    }

    #[test]
    fn programs_follow_the_environment_and_what_is_installed() {
        let all = ["tmux", "wl-copy", "xclip", "xsel", "pbcopy"];
        assert_eq!(chosen(&["TMUX"], &all[..4]), [["tmux"]]);
        let wayland = chosen(&["TMUX", "WAYLAND_DISPLAY", "DISPLAY"], &all[..4]);
        assert_eq!(wayland, [vec!["tmux"], vec!["wl-copy", "xclip", "xsel"]]);
        assert_eq!(chosen(&["DISPLAY"], &["xsel"]), [["xsel"]]);
        assert_eq!(chosen(&[], &all), [["pbcopy"]]);
        assert!(
            chosen(&["SSH_CONNECTION"], &all).is_empty(),
            "the remote Mac's clipboard is not ours"
        );
        assert!(chosen(&["WAYLAND_DISPLAY"], &[]).is_empty());
    }

    #[test]
    fn the_notice_says_what_is_known() {
        let notice = |done: &[&str], failed: &[&str], sent| {
            let failed: Vec<String> = failed.iter().map(ToString::to_string).collect();
            notice("address", "h:1", done, &failed, sent)
        };
        let (text, is_error) = notice(&[], &[], true);
        assert_eq!(
            (text.as_str(), is_error),
            ("address sent to the terminal's clipboard: h:1", false)
        );
        let (text, is_error) = notice(&["tmux", "wl-copy"], &[], true);
        assert_eq!((text.as_str(), is_error), ("address copied with tmux and wl-copy: h:1", false));
        let (text, is_error) = notice(&[], &["xclip failed with exit code 1"], true);
        assert!(is_error && text.ends_with("clipboard: xclip failed with exit code 1"), "{text}");
        assert!(notice(&[], &["xclip was killed"], false).0.starts_with("address not copied"));
    }

    #[test]
    fn a_text_too_large_for_the_terminal_is_copied_by_a_program_or_says_what_to_do() {
        let large = "x".repeat(MAX_COPIED_BYTES + 1);
        let (text, is_error) = super::notice("result", &large, &["tmux"], &[], false);
        assert!(!is_error && text.starts_with("result copied with tmux"), "{text}");
        let (text, is_error) = super::notice("result", &large, &[], &[], false);
        assert!(is_error && text.starts_with("result not copied: it is "), "{text}");
        assert!(text.ends_with("save it to a file"), "{text}");
    }

    #[tokio::test]
    async fn a_program_gets_the_text_and_its_failure_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("copied");
        let script: &'static str = format!("cat > {}", file.display()).leak();
        let shell: Program = Box::leak(Box::new(["sh", "-c", script]));
        run(shell, b"two\nlines").await.unwrap();
        assert_eq!(std::fs::read(file).unwrap(), b"two\nlines");
        assert_eq!(
            run(&["sh", "-c", "exit 3"], &[0; 1 << 20]).await.unwrap_err(),
            "failed with exit code 3"
        );
        assert!(
            run(&["rpc-console-no-such-program"], b"x").await.unwrap_err().contains("cannot start")
        );
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_stopped() {
        let started = std::time::Instant::now();
        let error = run(&["sh", "-c", "sleep 60"], &[0; 1 << 20]).await.unwrap_err();
        assert!(error.contains("within 2 s"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}
