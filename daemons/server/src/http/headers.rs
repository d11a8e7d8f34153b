//! The head of a request: when it came, and what its headers say, found in one pass over them.

use std::time::{Duration, Instant};

use hyper::header::{self, HeaderMap, HeaderValue};
use rpc_host::web::{self, Asked};
use rpc_security::secret::{self, SecretString};
use rpc_wire::fault::{Code, Fault};
use rpc_wire::{is_traceparent, paths};

use crate::session::Defaults;

/// Those that matter to every request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Headers<'a> {
    /// When they came.
    pub(super) came: Instant,
    all: &'a HeaderMap,
    host: Given<'a>,
    origin: Given<'a>,
    fetch_site: Given<'a>,
    content_type: Given<'a>,
    timeout: Given<'a>,
    traceparent: Given<'a>,
    has_token: bool,
}

/// The values of one of them.
#[derive(Debug, Clone, Copy, Default)]
struct Given<'a> {
    first: Option<&'a HeaderValue>,
    is_repeated: bool,
}

impl<'a> Given<'a> {
    fn add(&mut self, value: &'a HeaderValue) {
        self.is_repeated = self.first.is_some();
        self.first = self.first.or(Some(value));
    }

    /// The texts of all; of those after the first only that they are there.
    fn texts(self) -> impl Iterator<Item = Option<&'a str>> {
        let first = self.first.map(|value| value.to_str().ok());
        first.into_iter().chain(self.is_repeated.then_some(None))
    }
}

impl<'a> Headers<'a> {
    pub(super) fn of(all: &'a HeaderMap, came: Instant) -> Self {
        let [mut host, mut origin, mut fetch_site, mut content_type] = [Given::default(); 4];
        let [mut timeout, mut traceparent] = [Given::default(); 2];
        let mut has_token = false;
        for (name, value) in all {
            match name.as_str() {
                "host" => host.add(value),
                "origin" => origin.add(value),
                web::FETCH_SITE => fetch_site.add(value),
                "content-type" => content_type.add(value),
                paths::TIMEOUT_HEADER => timeout.add(value),
                "traceparent" => traceparent.add(value),
                "authorization" => has_token = true,
                _ => {}
            }
        }
        Self { came, all, host, origin, fetch_site, content_type, timeout, traceparent, has_token }
    }

    /// What tells whether a foreign web page may have caused the request.
    pub(super) fn asked(&self, on_loopback: bool) -> Asked<'a> {
        let [host, origin, fetch_site] = [self.host, self.origin, self.fetch_site];
        Asked::read([host.texts(), origin.texts(), fetch_site.texts()], on_loopback)
    }

    /// The page that it comes from.
    pub(super) fn origin(&self) -> Option<&'a HeaderValue> {
        self.origin.first
    }

    /// Whether the body is of one of these types.
    pub(super) fn has_type(&self, types: &[&str]) -> bool {
        let given = self.content_type.first.map(HeaderValue::as_bytes);
        web::has_type(given, self.origin.first.is_some(), types)
    }

    /// The secret of the request.
    pub(super) fn bearer(&self) -> Option<SecretString> {
        if !self.has_token {
            return None;
        }
        let given = self.all.get_all(header::AUTHORIZATION).iter();
        secret::bearer(given.map(HeaderValue::as_bytes))
    }

    /// What they say for each call of the request.
    pub(super) fn defaults(&self) -> Option<Defaults> {
        match (self.deadline_ms(), self.traceparent()) {
            (Err(fault), _) => Some(Defaults::refusing(fault)),
            (Ok(None), None) => None,
            (Ok(deadline_ms), traceparent) => Some(Defaults::new(deadline_ms, traceparent)),
        }
    }

    /// # Errors
    /// They name a time that there could not be, or more than one.
    fn deadline_ms(&self) -> Result<Option<u64>, Fault> {
        if self.timeout.is_repeated {
            let wrong = "the header Timeout is there twice; send one, with seconds, such as 2.5";
            return Err(Fault::new(Code::Malformed, wrong));
        }
        self.timeout.first.map(milliseconds).transpose()
    }

    /// The trace that the request is part of; one that is none, or not the only one, starts no other.
    fn traceparent(&self) -> Option<&'a str> {
        let given = self.traceparent.first.filter(|_| !self.traceparent.is_repeated)?;
        given.to_str().ok().filter(|text| is_traceparent(text))
    }

    /// Whether the body follows only when it is asked for.
    pub(super) fn expects_continue(&self) -> bool {
        self.all.contains_key(header::EXPECT)
    }

    /// What the caller would like to have.
    pub(super) fn accepted(&self) -> impl Iterator<Item = &'a str> {
        let all = self.all.get_all(header::ACCEPT).iter();
        all.filter_map(|value| value.to_str().ok())
    }
}

/// A number of seconds.
fn milliseconds(value: &HeaderValue) -> Result<u64, Fault> {
    let seconds = value.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
    let duration = seconds
        .filter(|seconds| *seconds >= 0.001)
        .map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    let wrong = "the header Timeout must be seconds, 0.001 at least, such as 2.5";
    let milliseconds = duration.ok_or_else(|| Fault::new(Code::Malformed, wrong))?.as_millis();
    Ok(u64::try_from(milliseconds).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderName;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        HeaderMap::from_iter(headers.iter().map(header))
    }

    #[test]
    fn of_a_header_given_twice_that_decides_nothing_is_believed() {
        let mut all = map(&[("host", "localhost"), ("content-type", "text/plain")]);
        assert_eq!(Headers::of(&all, Instant::now()).asked(true).host, Some("localhost"));
        all.append("host", HeaderValue::from_static("localhost"));
        assert_ne!(Headers::of(&all, Instant::now()).asked(true).host, Some("localhost"));
    }

    #[test]
    fn of_two_traces_none_is_taken() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut all = map(&[("traceparent", trace)]);
        assert_eq!(Headers::of(&all, Instant::now()).traceparent(), Some(trace));
        all.append("traceparent", HeaderValue::from_static(trace));
        assert_eq!(Headers::of(&all, Instant::now()).traceparent(), None);
    }

    #[test]
    fn every_header_is_found_under_its_name() {
        let all = map(&[
            ("host", "h"),
            ("origin", "http://o"),
            ("sec-fetch-site", "none"),
            ("content-type", "application/json; charset=utf-8"),
            ("authorization", "Bearer s"),
            ("timeout", "2.5"),
            ("traceparent", "00-1"),
            ("accept", "a, b"),
            ("expect", "100-continue"),
        ]);
        let headers = Headers::of(&all, Instant::now());
        let asked = headers.asked(true);
        assert_eq!([asked.host, asked.origin], [Some("h"), Some("http://o")]);
        assert_eq!(asked.fetch_site, Some("none"));
        assert!(headers.has_type(&["application/json"]) && !headers.has_type(&["text/plain"]));
        assert!(headers.bearer().is_some() && headers.expects_continue());
        assert_eq!(milliseconds(headers.timeout.first.unwrap()).unwrap(), 2500);
        assert_eq!(headers.traceparent.first.unwrap(), "00-1");
        assert_eq!(headers.accepted().collect::<Vec<_>>(), ["a, b"]);
        let none = HeaderMap::new();
        let none = Headers::of(&none, Instant::now());
        assert!(none.bearer().is_none() && none.origin().is_none() && !none.expects_continue());
    }
}
