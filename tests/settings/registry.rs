//! `[registry]` on the console's screen.

use rpc_tests::terminal::Tty;

use crate::programs::{Settings, console};
use crate::registries::Registries;

/// A console with these settings of `[registry]` and the port of a registry that lists one instance.
async fn with(settings: Settings<'_>) -> (Tty, Registries) {
    let registries = Registries::start(1).await;
    let port = registries.port(0);
    let settings = [settings, &[("REGISTRY_PORT", port.as_str())]].concat();
    let tty = console(&settings, "");
    assert_eq!(registries.on_the_screen(&tty), port);
    (tty, registries)
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn host() {
    let (tty, registries) = with(&[("REGISTRY_HOST", "localhost")]).await;
    tty.until(&[&format!("localhost:{}", registries.port(0))]);
    let elsewhere = console(&[("REGISTRY_HOST", "127.0.0.9")], "");
    elsewhere.until(&["127.0.0.9:9999"]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn port() {
    let (tty, registries) = with(&[]).await;
    tty.until(&[&format!("127.0.0.1:{}", registries.port(0))]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn also() {
    let registries = Registries::start(1).await;
    let also = format!("127.0.0.1:{}", registries.port(0));
    // Nothing listens at the first one.
    let tty = console(&[("REGISTRY_PORT", "1"), ("REGISTRY_ALSO", &also)], "");
    assert_eq!(registries.on_the_screen(&tty), registries.port(0));
    tty.until(&[&format!("registry {also} ")]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn color() {
    let of_the_name = async |settings: Settings<'_>| {
        let (tty, _registries) = with(settings).await;
        let column = tty.screen().lines().next().unwrap().find("@local").unwrap();
        let column = u16::try_from(column).unwrap();
        tty.look(|screen| format!("{:?}", screen.cell(0, column).unwrap().fgcolor()))
    };
    let red = of_the_name(&[("REGISTRY_COLOR", "red")]).await;
    assert_eq!(red, format!("{:?}", vt100::Color::Idx(1)));
    assert_ne!(of_the_name(&[]).await, red);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn confirm() {
    let after_a_call = async |settings: Settings<'_>, expected: &str| {
        let (mut tty, _registries) = with(settings).await;
        tty.press("2");
        tty.until(&["[2 Methods]", "from_"]);
        tty.press("\r");
        tty.until(&["⏎ Send"]);
        tty.press("\r");
        tty.until(&[expected]);
    };
    after_a_call(&[("REGISTRY_CONFIRM", "yes")], "to local?").await;
    after_a_call(&[], "✗ from_").await;
}
