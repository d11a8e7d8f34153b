//! Which HTTP requests are refused because a foreign web page may have caused them: by their
//! `Origin`, `Sec-Fetch-Site` and `Host`. Programs that are no browsers send none of the first two.

use std::net::IpAddr;

/// The origins and hosts that are accepted beside those that always are.
#[derive(Debug, Clone, Default)]
pub struct WebPolicy {
    allowed_origins: Vec<String>,
    allowed_hosts: Vec<String>,
    /// This machine's names.
    own_names: Vec<String>,
}

/// What the decision is made from; header values as received.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// `Host`.
    pub host: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`.
    pub fetch_site: Option<&'a str>,
    /// Whether the connection arrived at a loopback address: only there does a page that resolves
    /// its own name to this machine (DNS rebinding) reach what no other machine can.
    pub on_loopback: bool,
}

/// The name of the header by which a browser says whose page caused a request.
pub const FETCH_SITE: &str = "sec-fetch-site";

/// Stands for a header value that cannot be read: neither a known host nor an origin.
const UNREADABLE: &str = "unreadable.invalid";

impl<'a> Asked<'a> {
    /// Reads the values of the headers `Host`, `Origin` and [`FETCH_SITE`]; `None` for one that is no text. Such a
    /// value is no known one, and neither is the second of two.
    pub fn read<V>(values: [V; 3], on_loopback: bool) -> Self
    where
        V: Iterator<Item = Option<&'a str>>,
    {
        let [host, origin, fetch_site] = values.map(|mut values| {
            let value = values.next()?.unwrap_or(UNREADABLE);
            Some(if values.next().is_some() { UNREADABLE } else { value })
        });
        Self { host, origin, fetch_site, on_loopback }
    }
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is served.
    Serve,
    /// It is served, but its `Host` is none that is known: worth one warning.
    ServeUnknownHost,
    /// It is refused: the header, and what to do.
    Refuse(&'static str),
}

impl WebPolicy {
    /// With the origins (`https://example.org`) and host names given by an operator.
    pub fn new(allowed_origins: Vec<String>, allowed_hosts: Vec<String>) -> Self {
        let own = crate::person::machine().to_ascii_lowercase();
        Self { allowed_origins, allowed_hosts, own_names: vec![own] }
    }

    /// With a further name of this machine, by which others reach it.
    #[must_use]
    pub fn with_own_name(mut self, name: &str) -> Self {
        self.own_names.push(name.to_ascii_lowercase());
        self
    }

    /// Whether a request is served.
    pub fn judge(&self, asked: Asked<'_>) -> Verdict {
        let host = asked.host.map(host_name);
        let known_host = host.is_none_or(|host| self.knows(host));
        // A configured list is complete; without one, a name of the network is only unknown.
        if !known_host && (asked.on_loopback || !self.allowed_hosts.is_empty()) {
            return Verdict::Refuse(
                "host: not a known name of this daemon; use its IP address or add the name to allowed_hosts",
            );
        }
        let allowed_origin = asked.origin.map(|origin| self.allows(origin, asked.host));
        if allowed_origin == Some(false) {
            return Verdict::Refuse("origin: not allowed here; add it to allowed_origins");
        }
        // Browsers send no `Origin` with most GETs.
        let cross_site =
            asked.fetch_site.is_some_and(|site| site.eq_ignore_ascii_case("cross-site"));
        if cross_site && allowed_origin.is_none() {
            return Verdict::Refuse(
                "sec-fetch-site: a page of another site may not use this daemon",
            );
        }
        if known_host { Verdict::Serve } else { Verdict::ServeUnknownHost }
    }

    /// IP literals, `localhost`, names without a dot (containers), this machine's and the
    /// operator's.
    fn knows(&self, host: &str) -> bool {
        let known = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case(host));
        !host.contains('.')
            || host.parse::<IpAddr>().is_ok()
            || known(&self.own_names)
            || known(&self.allowed_hosts)
    }

    /// An operator's origin, or the one of a page that this daemon itself would serve.
    pub fn allows(&self, origin: &str, host: Option<&str>) -> bool {
        let own = |scheme: &str| {
            let rest = origin.strip_prefix(scheme);
            rest.is_some() && rest == host
        };
        self.allowed_origins.iter().any(|known| known == origin)
            || own("http://")
            || own("https://")
    }
}

/// Whether the body of a request is of one of these types, none of which a form of a foreign web page can
/// send. Older programs send no type (http.client does not), so a missing one counts as theirs, except from
/// a browser: `has_origin`.
pub fn has_type(content_type: Option<&[u8]>, has_origin: bool, types: &[&str]) -> bool {
    let Some(given) = content_type else { return !has_origin };
    let essence = given.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    types.iter().any(|wanted| essence.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// The host of a `Host` header, without port, brackets and a final dot.
fn host_name(header: &str) -> &str {
    let header = header.trim();
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    // Behind the brackets of an address only a port may follow: `[::1].example.org` is a name.
    let is_rest = |rest: &str| rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
    let host = match header.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) if is_rest(rest) => address,
        _ => match header.rsplit_once(':') {
            Some((host, port)) if is_port(port) => host,
            _ => header,
        },
    };
    host.strip_suffix('.').unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(hosts: &[&str]) -> WebPolicy {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        WebPolicy::new(list(&["https://ops.example"]), list(hosts)).with_own_name("rpc.example.org")
    }

    fn of_host(host: &str, on_loopback: bool) -> Asked<'_> {
        Asked { host: Some(host), on_loopback, ..Asked::default() }
    }

    fn refused(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Refuse(_))
    }

    #[test]
    fn a_program_that_sends_no_such_header_is_served() {
        assert_eq!(
            policy(&[]).judge(Asked { on_loopback: true, ..Asked::default() }),
            Verdict::Serve
        );
    }

    #[test]
    fn at_loopback_a_foreign_name_is_refused() {
        for host in [
            "127.0.0.1:9999",
            "[::1]:9999",
            "localhost",
            "LOCALHOST:1",
            "registry:9999",
            "rpc.example.org",
            "RPC.example.org.:9999",
            "",
        ] {
            assert_eq!(policy(&[]).judge(of_host(host, true)), Verdict::Serve, "{host}");
        }
        for host in [
            "rebind.attacker.example",
            "rebind.attacker.example:9999",
            "127.0.0.1.nip.io",
            "a.b]",
            "[::1].nip.io",
        ] {
            assert!(refused(&policy(&[]).judge(of_host(host, true))), "{host}");
        }
    }

    #[test]
    fn elsewhere_an_unknown_name_is_refused_only_beside_a_list() {
        let asked = of_host("lb.example.net", false);
        assert_eq!(policy(&[]).judge(asked), Verdict::ServeUnknownHost);
        assert!(refused(&policy(&["other.example.net"]).judge(asked)));
        assert_eq!(policy(&["lb.example.net"]).judge(asked), Verdict::Serve);
    }

    #[test]
    fn a_page_needs_an_allowed_origin() {
        let asked = |origin, fetch_site| Asked {
            host: Some("127.0.0.1:9999"),
            origin,
            fetch_site,
            on_loopback: true,
        };
        let judge = |origin, site| policy(&[]).judge(asked(origin, site));
        for origin in ["https://ops.example", "http://127.0.0.1:9999", "https://127.0.0.1:9999"] {
            assert_eq!(judge(Some(origin), Some("cross-site")), Verdict::Serve, "{origin}");
        }
        for origin in ["null", "", "https://evil.example", "http://127.0.0.1", "file://"] {
            assert!(refused(&judge(Some(origin), None)), "{origin}");
        }
        assert!(refused(&judge(None, Some("cross-site"))));
        assert_eq!(judge(None, Some("same-origin")), Verdict::Serve);
        assert_eq!(judge(None, Some("none")), Verdict::Serve);
    }

    #[test]
    fn any_text_in_front_of_a_foreign_name_is_a_foreign_host() {
        rpc_fuzz::text("web", |text| {
            let mut headers = text.split('\n');
            let mut header = || headers.next();
            let (host, origin, fetch_site) = (header(), header(), header());
            let asked = |on_loopback| Asked { host, origin, fetch_site, on_loopback };
            let (here, elsewhere) =
                (policy(&[]).judge(asked(true)), policy(&[]).judge(asked(false)));
            assert!(refused(&here) || here == elsewhere, "{here:?} but {elsewhere:?}");
            if fetch_site.is_some_and(|site| site.eq_ignore_ascii_case("cross-site"))
                && origin.is_none()
            {
                assert!(refused(&here));
            }
            let host = host.unwrap_or_default();
            for foreign in
                [format!("{host}.attacker.example"), format!("{host}.attacker.example:80")]
            {
                assert!(refused(&policy(&[]).judge(of_host(&foreign, true))), "{foreign}");
            }
        });
    }
}
