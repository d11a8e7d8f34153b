//! What the doors of a daemon have done, on its page of metrics: the same for servers and registries.

use rpc_metrics::Page;
use rpc_security::{Figures, REASONS, TOKEN_REASONS};

#[cfg(feature = "tls")]
use crate::tls::TlsFigures;

/// What the guard has done, all zero where everyone may do everything; names begin with `daemon`.
pub fn write_guard(page: &mut Page, daemon: &str, figures: &Figures) {
    let name = |what: &str| format!("{daemon}_{what}");
    let help = "Lines of the file of tokens, expired ones included";
    page.gauge(&name("tokens"), help).value(figures.tokens as u64);
    let help = "1 while the file of tokens has changed and cannot be used: those before hold on";
    page.gauge(&name("tokens_outdated"), help).value(u64::from(figures.is_outdated));
    let help = "Tokens and certificates shown that are not known, or have expired";
    let refused = name("tokens_refused_total");
    let mut refused = page.counter(&refused, help);
    for (reason, count) in TOKEN_REASONS.iter().zip(figures.unidentified) {
        refused.sample(&[("reason", reason)], count);
    }
    let help = "Requests that no role allows: refused, or with auth = warn served";
    let denied = name("denied_total");
    let mut denied = page.counter(&denied, help);
    for (outcome, counts) in [("refused", figures.refused), ("warned", figures.warned)] {
        for (reason, count) in REASONS.iter().zip(counts) {
            denied.sample(&[("outcome", outcome), ("reason", reason)], count);
        }
    }
}

/// What has happened at the entrance by TLS; names begin with `daemon`.
#[cfg(feature = "tls")]
pub fn write_tls(page: &mut Page, daemon: &str, figures: TlsFigures) {
    let name = |what: &str| format!("{daemon}_tls_{what}");
    let help = "TLS handshakes completed";
    page.counter(&name("handshakes_total"), help).value(figures.handshakes);
    let help = "TLS handshakes that failed: no certificate or a wrong one, too slow, not TLS";
    page.counter(&name("handshakes_failed_total"), help).value(figures.handshakes_failed);
    let help = "When the own certificate expires, in seconds since 1970";
    page.gauge(&name("not_after_seconds"), help).value(figures.not_after_seconds());
}
