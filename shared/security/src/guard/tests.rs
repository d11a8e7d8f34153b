//! Who is identified, and what is counted and logged.

use std::fs::write;
use std::path::Path;

use super::*;
use crate::secret::{generate, line};

fn file(path: &Path, text: &str) -> TokenFile {
    replace(path, text);
    TokenFile::load(path).unwrap()
}

/// As a careful program replaces a file: at once.
fn replace(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let next = path.with_extension("new");
    write(&next, format!("{text}\n")).unwrap();
    std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(&next, path).unwrap();
}

fn guard(auth: Auth, tokens: Option<TokenFile>) -> Guard {
    Guard::new(Access { auth, ..Access::default() }, tokens)
}

const CALL: Permission = Permission::Needs(Role::Call);

fn caller(identity: Option<&Identity>) -> Caller<'_> {
    Caller { identity, address: [10, 0, 0, 1].into() }
}

#[test]
fn an_open_guard_allows_everything_and_never_changes() {
    for guard in [Guard::open(), Guard::default(), guard(Auth::Off, None)] {
        assert!(guard.is_open());
        assert_eq!(guard.decide(caller(None), CALL, Object::Everything), Decision::Allowed);
        guard.reload();
        assert_eq!(guard.generation(), 0);
        assert_eq!(guard.figures(), Figures::default());
    }
}

#[test]
fn who_was_identified_is_looked_up_again_when_the_file_was_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let (old, new) = (generate(), generate());
    let guard = guard(Auth::Required, Some(file(&path, &line("a", &[Role::Call], &old))));
    let now = SystemTime::now();
    let mut shown = Shown::new(&guard, &old, now);
    assert!(shown.is(&old) && !shown.is(&new));
    assert_eq!(shown.identity(&guard, || unreachable!()).unwrap().name, "a");

    replace(&path, "a call sha256:nonsense");
    guard.reload();
    assert!(shown.identity(&guard, || now).is_ok(), "a broken file leaves the former tokens");
    assert!(guard.figures().is_outdated);

    replace(&path, &line("a", &[Role::Call], &new));
    guard.reload();
    assert_eq!(shown.identity(&guard, || now).unwrap_err(), NotIdentified::Unknown);
    assert!(Shown::new(&guard, &new, now).identity(&guard, || now).is_ok());
    let figures = guard.figures();
    assert_eq!((figures.is_outdated, figures.reload_failures, figures.tokens), (false, 1, 1));
    assert_eq!(figures.unidentified, [1, 0, 0]);
}

#[test]
fn who_was_identified_is_looked_up_again_when_the_token_has_expired() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let secret = generate();
    let text = format!("{} expires=2100-01-01", line("a", &[Role::Call], &secret));
    let guard = guard(Auth::Required, Some(file(&path, &text)));
    let end = crate::tokens::date("2100-01-01").unwrap();
    let before = end - Duration::from_secs(1);
    let mut shown = Shown::new(&guard, &secret, before);
    guard.reload_at(before);
    assert!(shown.identity(&guard, || unreachable!("nothing has changed")).is_ok());
    guard.reload_at(end);
    assert_eq!(shown.identity(&guard, || end).unwrap_err(), NotIdentified::Expired);
}

#[test]
fn a_certificate_is_looked_up_again_when_the_file_was_read_again_or_its_line_has_expired() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let line = "orders call certificate:rpcd://service/orders expires=2100-01-01";
    let guard = guard(Auth::Required, Some(file(&path, line)));
    let end = crate::tokens::date("2100-01-01").unwrap();
    let now = SystemTime::now();
    let certificate = Arc::new(PeerCertificate {
        names: vec!["rpcd://service/orders".to_owned()],
        not_after: end,
        chain: Vec::new(),
    });
    let mut shown = Shown::certificate(&guard, &certificate, now);
    assert!(shown.is_certificate() && !shown.is(&generate()));
    assert_eq!(shown.identity(&guard, || unreachable!()).unwrap().name, "orders");

    replace(&path, "stock call certificate:rpcd://service/stock");
    guard.reload();
    assert_eq!(shown.identity(&guard, || now).unwrap_err(), NotIdentified::Certificate);
    assert_eq!(guard.figures().unidentified, [0, 0, 1]);
    replace(&path, line);
    guard.reload();
    assert!(shown.identity(&guard, || now).is_ok());
    guard.reload_at(end);
    assert_eq!(shown.identity(&guard, || end).unwrap_err(), NotIdentified::Certificate);
}

#[test]
fn refusals_are_counted_by_their_reason_and_apart_from_what_is_only_warned_of() {
    let identity = |roles: &str, services: Option<&str>| Identity {
        name: "a".to_owned(),
        roles: roles.parse().unwrap(),
        services: services.map(|name| [name.to_owned()].into()),
        hosts: Vec::new(),
        expires: None,
    };
    let (observer, other) = (identity("observe", None), identity("call", Some("b")));
    let object = Object::Server { service: Some("a") };
    for (auth, is_allowed) in [(Auth::Warn, true), (Auth::Required, false)] {
        let guard = guard(auth, None);
        for who in [None, Some(&observer), Some(&other)] {
            assert_eq!(guard.decide(caller(who), CALL, object).is_allowed(), is_allowed);
        }
        let figures = guard.figures();
        let (some, none) = ([1, 1, 1], [0, 0, 0]);
        let (warned, refused) = if is_allowed { (some, none) } else { (none, some) };
        assert_eq!((figures.warned, figures.refused), (warned, refused));
    }
}

#[test]
fn items_that_are_not_shown_are_not_counted() {
    let guard = guard(Auth::Required, None);
    assert!(!guard.shows(caller(None), CALL, Object::Everything));
    assert_eq!(guard.figures(), Figures::default());
}

#[test]
fn a_caller_is_logged_once_in_a_while_and_many_callers_are_no_flood() {
    let start = Instant::now();
    let mut said = Said::new(start);
    assert!(said.is_new("a".to_owned(), Role::Call, start));
    assert!(!said.is_new("a".to_owned(), Role::Call, start));
    assert!(said.is_new("a".to_owned(), Role::Observe, start));
    let lines =
        (0..2 * Said::MAX_LINES).filter(|at| said.is_new(at.to_string(), Role::Call, start));
    assert_eq!(lines.count(), Said::MAX_LINES - 2);
    assert!(said.is_new("a".to_owned(), Role::Call, start + Said::WINDOW));
}
