//! Lines of a file of tokens, and whose secret is whose.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::role::Role;
use crate::secret::{generate, line};

fn now() -> SystemTime {
    date("2027-01-30T23:59:59Z").unwrap()
}

/// A line for a new secret, with `options` behind.
fn token(name: &str, options: &str) -> (SecretString, String) {
    let secret = generate();
    let line = format!("{} {options}", line(name, &[Role::Call], &secret));
    (secret, line)
}

#[test]
fn a_secret_is_its_holders_and_nobody_elses() {
    let (alice, a) = token("alice", "");
    let (bob, b) = token("bob", "services=orders,billing hosts=10.0.0.0/8,::1");
    let tokens = Tokens::parse(&format!("# who may call\n\n{a}\r\n  {b}\n")).unwrap();
    assert_eq!(tokens.identify(&alice, now()).unwrap().name, "alice");
    let known = tokens.identify(&bob, now()).unwrap();
    assert_eq!(known.services, Some(["billing".to_owned(), "orders".to_owned()].into()));
    assert_eq!(known.hosts.len(), 2);
    assert_eq!(tokens.identify(&generate(), now()), Err(NotIdentified::Unknown));
    for wrong in ["", "a", &"a".repeat(MAX_SECRET + 1)] {
        let wrong = SecretString::from(wrong);
        assert_eq!(tokens.identify(&wrong, now()), Err(NotIdentified::Unknown));
    }
}

#[test]
fn a_token_is_good_until_its_date_begins() {
    let (secret, line) = token("a", "expires=2027-01-31");
    let tokens = Tokens::parse(&line).unwrap();
    assert!(tokens.identify(&secret, now()).is_ok());
    let then = now() + Duration::from_secs(1);
    assert_eq!(tokens.identify(&secret, then), Err(NotIdentified::Expired));
}

#[test]
fn a_secret_that_was_shown_is_checked_again_in_a_new_file() {
    let (secret, line) = token("a", "");
    let shown = Digest::of(&secret);
    assert_eq!(Tokens::parse(&line).unwrap().recheck(shown, now()).unwrap().name, "a");
    let (_, other) = token("a", "");
    let replaced = Tokens::parse(&other).unwrap().recheck(shown, now());
    assert_eq!(replaced, Err(NotIdentified::Unknown));
}

#[test]
fn one_name_may_have_two_tokens_while_one_replaces_the_other() {
    let ((old, a), (new, b)) = (token("ci", ""), token("ci", ""));
    let tokens = Tokens::parse(&format!("{a}\n{b}")).unwrap();
    for secret in [old, new] {
        assert_eq!(tokens.identify(&secret, now()).unwrap().name, "ci");
    }
    let twice = Tokens::parse(&format!("{a}\n{a}"));
    assert!(matches!(twice, Err(TokensError::Line { line: 2, .. })), "{twice:?}");
}

fn certificate(names: &[&str]) -> PeerCertificate {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    PeerCertificate { names, not_after: now(), chain: Vec::new() }
}

#[test]
fn a_certificate_has_the_roles_of_the_first_good_line_that_names_it() {
    let tokens = Tokens::parse(
        "old call certificate:rpcd://service/orders expires=2027-01-01\n\
         orders register,call certificate:rpcd://service/orders expires=2027-01-31 hosts=10.0.0.0/8\n\
         ci call certificate:CI.example",
    );
    // The same name twice is refused, also where one of them is over.
    assert!(matches!(tokens, Err(TokensError::Line { line: 2, .. })), "{tokens:?}");
    let tokens = Tokens::parse(
        "orders register certificate:rpcd://service/orders expires=2027-01-31 hosts=10.0.0.0/8\n\
         ci call certificate:CI.example",
    )
    .unwrap();
    let who = |names: &[&str], at| tokens.identify_certificate(&certificate(names), at);
    let orders = who(&["rpcd://service/orders", "ci.example"], now()).unwrap();
    assert_eq!((orders.name.as_str(), orders.hosts.len()), ("orders", 1));
    assert_eq!(who(&["ci.EXAMPLE"], now()).unwrap().name, "ci");
    let later = now() + Duration::from_secs(1);
    assert_eq!(who(&["ci.example", "rpcd://service/orders"], later).unwrap().name, "ci");
    for names in [
        &[][..],
        &["rpcd://service/Orders"],
        &["rpcd://service/orders2"],
        &["*.example"],
        &["ci.example.org"],
    ] {
        assert_eq!(who(names, now()), Err(NotIdentified::Certificate), "{names:?}");
    }
    assert_eq!(who(&["rpcd://service/orders"], later), Err(NotIdentified::Certificate));
}

#[test]
fn a_line_of_a_certificate_is_displayed_as_it_was_written() {
    let line = "a call certificate:rpcd://service/orders";
    let tokens = Tokens::parse(line).unwrap();
    let (credential, identity) = tokens.entries().next().unwrap();
    assert_eq!(format!("{} {} {credential}", identity.name, identity.roles), line);
}

#[test]
fn a_wrong_line_is_named_and_never_quoted() {
    let (_, good) = token("a", "");
    let secret = "canary-canary-canary-canary-canary-canary";
    for wrong in [
        secret.to_owned(),
        format!("{secret} call"),
        format!("a {secret} sha256:00"),
        format!("a call {secret}"),
        format!("a call sha256:{secret}"),
        format!("{good} {secret}"),
        format!("{good} expires={secret}"),
        format!("{good} hosts={secret}"),
        format!("{good} services="),
        format!("{good} expires=2027-01-31 expires=2028-01-31"),
        format!("a,b {secret} x"),
        "a call sha256:\u{e9}".to_owned(),
        "a call certificate:".to_owned(),
        format!("a call certificate:canary{}", "x".repeat(300)),
        format!("a call certificate:{secret}\u{e9}"),
    ] {
        let error = Tokens::parse(&format!("# first\n{wrong}")).unwrap_err();
        assert!(matches!(error, TokensError::Line { line: 2, .. }), "{wrong}: {error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}

#[test]
fn the_number_of_tokens_and_bytes_is_limited() {
    let lines: Vec<String> = (0..=MAX_TOKENS).map(|_| token("a", "").1).collect();
    assert!(Tokens::parse(&lines[1..].join("\n")).is_ok());
    assert_eq!(Tokens::parse(&lines.join("\n")).unwrap_err(), TokensError::TooMany);
    let long = "#".repeat(MAX_BYTES + 1);
    assert_eq!(Tokens::parse(&long).unwrap_err(), TokensError::TooLarge);
}

#[test]
fn nothing_that_is_printed_of_tokens_has_a_digest_of_a_secret() {
    let (secret, line) = token("a", "");
    let hex = Digest::of(&secret).to_string();
    assert!(line.contains(&hex));
    let shown = format!("{:?} {:?}", Tokens::parse(&line).unwrap(), Digest::of(&secret));
    assert!(!shown.contains(hex.trim_start_matches("sha256:")), "{shown}");
}

proptest! {
    #[test]
    fn any_line_near_a_good_one_is_read_or_refused(at in 0usize..120, with in any::<char>()) {
        let line = "a call,observe sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa \
                    expires=2027-01-31 hosts=10.0.0.0/8";
        let mut line: Vec<char> = line.chars().collect();
        let at = at.min(line.len() - 1);
        line[at] = with;
        let _ = Tokens::parse(&line.into_iter().collect::<String>());
    }
}

#[test]
fn any_text_is_tokens_of_which_none_is_twice_or_an_error_that_quotes_nothing() {
    rpc_fuzz::text("tokens", |text| {
        match Tokens::parse(text) {
            Ok(tokens) => {
                assert!(tokens.identities().len() <= MAX_TOKENS);
                for identity in tokens.identities() {
                    assert!(is_name(&identity.name));
                    assert_eq!(identity.roles.to_string().parse(), Ok(identity.roles));
                }
                let twice = Tokens::parse(&format!("{text}\n{text}"));
                assert!(tokens.identities().len() == 0 || twice.is_err());
            }
            Err(error) => {
                let shown = format!("{error} {error:?}");
                // Whatever is long enough to be a secret is not in it.
                let words = text.split_whitespace().filter(|word| word.len() >= MIN_SECRET);
                words.for_each(|word| assert!(!shown.contains(word), "{shown}"));
            }
        }
        if let Ok(date) = date(text) {
            let again = humantime::format_rfc3339_nanos(date).to_string();
            assert_eq!(self::date(&again), Ok(date));
        }
    });
}
