//! `[registry]` on the console's screen.

use rpc_tests::pki::Authority;
use rpc_tests::terminal::Tty;

use crate::programs::{Settings, console};
use crate::registries::Registries;
use crate::secured::{Guarded, Secured};

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

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn token_file() {
    let guarded = Guarded::start().await;
    let file = guarded.token_file();
    let tty = guarded.console(&[("REGISTRY_TOKEN_FILE", &file)]);
    tty.until(&["● live", "⚿ watcher"]);
    let without = guarded.console(&[]);
    without.until(&["✗ refused", "does not let the console in", "see token_file in [registry]"]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn tls() {
    let secured = Secured::start("tls").await;
    Secured::is_live(&secured.console_of_a_trusting_machine(&[("REGISTRY_TLS", "true")]));
    let without = secured.console_of_a_trusting_machine(&[]);
    without.until(&["✗ no TLS", "this registry takes TLS only", "see tls, tls_ca"]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn tls_ca() {
    let secured = Secured::start("tls").await;
    let (own, other) = (secured.ca(), Authority::new("other"));
    let other = other.ca().display().to_string();
    Secured::is_live(&secured.console(&[("REGISTRY_TLS_CA", &own), ("CLIENT_TLS_CA", &other)]));
    let wrong = secured.console(&[("REGISTRY_TLS_CA", &other), ("CLIENT_TLS_CA", &own)]);
    wrong.until(&["✗ no TLS", "no authority that is trusted here has issued it"]);
    wrong.until(&["see tls, tls_ca, tls_cert and tls_key in [registry]"]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn tls_cert() {
    let secured = Secured::start("certificate").await;
    let (ca, own) = (secured.ca(), secured.client());
    let given =
        [("REGISTRY_TLS_CA", &*ca), ("REGISTRY_TLS_CERT", &own.0), ("REGISTRY_TLS_KEY", &own.1)];
    Secured::is_live(&secured.console(&given));
    let without = secured.console(&given[..1]);
    without.until(&["✗ no TLS", "one of this side"]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn tls_key() {
    let secured = Secured::start("certificate").await;
    let (ca, own) = (secured.ca(), secured.client());
    let [ca, cert] = [("REGISTRY_TLS_CA", &*ca), ("REGISTRY_TLS_CERT", &*own.0)];
    let mut without = secured.console(&[ca, cert]);
    assert_eq!(without.ends(), 2);
    without.until(&["[registry]: ", "tls_cert is set and tls_key is not"]);
    let of_another = secured.another_key();
    let mut wrong = secured.console(&[ca, cert, ("REGISTRY_TLS_KEY", &of_another)]);
    assert_eq!(wrong.ends(), 2);
    wrong.until(&["[registry]: ", "does not belong to the certificate"]);
}
