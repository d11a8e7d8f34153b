//! `[console]` on the screen, and in the file of the call history.

use std::collections::HashSet;
use std::time::Duration;

use rpc_tests::eventually::eventually;
use rpc_tests::fakes::{Do, result};
use rpc_tests::home::Home;
use rpc_tests::terminal::Tty;
use vt100::MouseProtocolMode;

use crate::programs::{Settings, call, console, console_in, listing, watching};
use crate::ticks::{extended, instance};

/// A registry address where nothing listens.
const UNREACHABLE_REGISTRY: &str = "--registry http://127.0.0.1:1";
/// Replies at once.
const AT_ONCE: Duration = Duration::from_millis(1);

/// The colours of the text on the screen.
fn colours(tty: &Tty) -> HashSet<String> {
    let (columns, rows) = (160, 40);
    let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    tty.look(|screen| {
        let colour = |(row, column)| Some(format!("{:?}", screen.cell(row, column)?.fgcolor()));
        cells.filter_map(colour).collect()
    })
}

/// A console that shows a list of methods.
fn with_methods(setting: (&str, &str)) -> Tty {
    let mut tty = console(&[setting], "--demo");
    tty.until(&["4 up"]);
    tty.press("2");
    tty.until(&["[2 Methods]", "forecast"]);
    tty
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn theme() {
    let of = |theme| colours(&with_methods(("CONSOLE_THEME", theme)));
    let [mono, light, dark, auto] = ["mono", "light", "dark", "auto"].map(of);
    assert_eq!(mono.len(), 1, "{mono:?}");
    assert!(light != dark && light.len() > 1, "{light:?}");
    assert_eq!(dark, auto);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn glyphs() {
    let ascii = with_methods(("CONSOLE_GLYPHS", "ascii"));
    assert!(ascii.screen().is_ascii(), "{}", ascii.screen());
    let unicode = with_methods(("CONSOLE_GLYPHS", "unicode"));
    assert!(!unicode.screen().is_ascii(), "{}", unicode.screen());
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn mouse() {
    let mode = |settings: &[(&str, &str)]| {
        let tty = console(settings, UNREACHABLE_REGISTRY);
        tty.until(&["[1 Instances]"]);
        tty.look(vt100::Screen::mouse_protocol_mode)
    };
    assert_eq!(mode(&[("CONSOLE_MOUSE", "false")]), MouseProtocolMode::None);
    assert_ne!(mode(&[]), MouseProtocolMode::None);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn max_log_lines() {
    // Unknown settings: one log line each.
    let lines =
        ["EFFECT_1", "EFFECT_2", "EFFECT_3", "EFFECT_4", "EFFECT_5"].map(|name| (name, "1"));
    let shown = |settings: &[(&str, &str)], what: &str| {
        let mut tty = console(settings, UNREACHABLE_REGISTRY);
        tty.until(&["[1 Instances]"]);
        tty.press("4");
        tty.until(&["[4 Logs]", what]);
        let is_ours = |line: &&str| line.contains("WARN") && line.contains("EFFECT_");
        tty.screen().lines().filter(is_ours).count()
    };
    let limited = [&[("CONSOLE_MAX_LOG_LINES", "2")][..], &lines].concat();
    // Later lines, about the registry, take the place of the first ones.
    assert!(shown(&limited, "· 2 lines ") <= 2);
    assert_eq!(shown(&lines, "EFFECT_5"), 5);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn max_log_bytes() {
    let lines = ["EFFECT_1", "EFFECT_2", "EFFECT_3"].map(|name| (name, "1"));
    let mut tty =
        console(&[&[("CONSOLE_MAX_LOG_BYTES", "1")][..], &lines].concat(), UNREACHABLE_REGISTRY);
    tty.until(&["[1 Instances]"]);
    tty.press("4");
    tty.until(&["[4 Logs]", "· 1 line ", "registry unreachable"]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn max_events() {
    assert_eq!(events(Home::new(), &[("CONSOLE_MAX_EVENTS", "2")]).await, 2);
    let default = events(Home::new(), &[]).await;
    assert!(default >= 5, "{default}");
}

/// How many events a console shows of a registry where four instances have come.
pub(crate) async fn events(home: Home, settings: Settings<'_>) -> usize {
    let registry = listing(&[]).await;
    let settings = [settings, &[("CLIENT_REFRESH_INTERVAL", "100ms")]].concat();
    let tty = console_in(home, &settings, &format!("--registry {}", registry.url()));
    registry.has_received("findAllInstances", 2).await;
    registry.list(&[1, 2, 3, 4].map(|port| ([127, 0, 0, 1], port).into()));
    tty.until(&["127.0.0.1:4 ", "4 up"]);
    // Every one begins with its time.
    let is_time = |word: &str| word.len() == 8 && word.matches(':').count() == 2;
    let has_time = |line: &&str| line.split_whitespace().any(is_time);
    tty.screen().lines().filter(has_time).count()
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn max_history() {
    let (peer, ticks) = extended(AT_ONCE).await;
    let (mut tty, _registry) = watching(&[&peer], &[("CONSOLE_MAX_HISTORY", "2")]).await;
    call(&mut tty);
    for number in 2..=4 {
        ticks.received(number - 1).await;
        tty.press("\r");
    }
    ticks.received(4).await;
    tty.press("3");
    tty.until(&["[3 History]", "History 2 "]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn save_history() {
    let is_kept = async |settings: &[(&str, &str)]| {
        let (peer, ticks) = extended(AT_ONCE).await;
        let (mut tty, _registry) = watching(&[&peer], settings).await;
        call(&mut tty);
        ticks.received(1).await;
        // Only a call that has ended is saved.
        tty.press("3");
        tty.until(&["[3 History]", "✓ 1"]);
        tty.press("\x03");
        assert_eq!(tty.ends(), 0);
        let folder = tty.home().path().join("state/rpc-console");
        std::fs::read_dir(folder).is_ok_and(|files| files.count() > 0)
    };
    assert!(!is_kept(&[("CONSOLE_SAVE_HISTORY", "false")]).await);
    assert!(is_kept(&[]).await);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn max_probed() {
    let soon = ("CLIENT_REFRESH_INTERVAL", "100ms");
    let probed = async |settings: &[(&str, &str)], number: usize| {
        let server = || instance(|tick| Do::Write(result(tick, "1")));
        let peers = [server().await, server().await, server().await];
        let (_tty, registry) = watching(&peers.each_ref(), settings).await;
        let count = || peers.iter().filter(|peer| peer.seen.accepted() > 0).count();
        eventually(&format!("{number} are probed"), async || count() >= number).await;
        registry.has_received("findAllInstances", 3).await;
        count()
    };
    assert_eq!(probed(&[soon, ("CONSOLE_MAX_PROBED", "1")], 1).await, 1);
    assert_eq!(probed(&[soon], 3).await, 3);
}
