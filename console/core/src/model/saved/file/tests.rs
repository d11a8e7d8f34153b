//! Reading and changing the file; each change keeps every other line.

use std::time::Duration;

use super::*;
use rpc_wire::call::Args;
use serde_json::{Map, json};

const FILE: &str = r#"# Our requests.

[[requests]]
name = "add two" # the first
method = "add"
args = '[1, "{{user}}"]'
# Ten is the default.
kwargs = '{"c": 10}'
target = "any"
timeout = "10s"

[environments.local]
user = "ann"
count = 3

# The second one.
[[requests]]
name = "watch"
method = "countdown"
target = "127.0.0.1:8089"
stream = true

[environments.prod]
user = "bob"
"#;

fn request(name: &str) -> SavedRequest {
    let keyword: Map<String, serde_json::Value> =
        [("b".to_owned(), json!("it's \"{{user}}\""))].into_iter().collect();
    SavedRequest {
        name: name.to_owned(),
        service: Service::named("shop"),
        method: "order".to_owned(),
        args: Args::from_values(&[json!("{{env:TOKEN}}")], &keyword),
        target: None,
        timeout: Duration::from_millis(1_500),
        stream: false,
    }
}

fn save(text: &str, name: &str, replace: bool) -> Result<String, ChangeError> {
    change(text, &Change::Save { request: request(name), replace })
}

#[test]
fn a_file_is_read_in_its_order() {
    let contents = parse(FILE).unwrap();
    let [add, watch] = &contents.requests[..] else { panic!("{contents:?}") };
    assert_eq!((add.name.as_str(), add.method.as_str()), ("add two", "add"));
    assert_eq!(add.args.positional(), r#"[1,"{{user}}"]"#);
    assert_eq!(add.args.keyword(), r#"{"c":10}"#);
    assert_eq!(
        (add.target.clone(), add.timeout, add.stream),
        (None, Duration::from_secs(10), false)
    );
    assert_eq!(watch.target, Some(Instance::new("127.0.0.1", 8089).key()));
    assert!(watch.stream);
    let names: Vec<_> = contents.environments.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["local", "prod"]);
    assert_eq!(contents.environments[0].variables["count"], "3");
    assert_eq!(parse("").unwrap(), Contents::default());
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (text, expected) in [
        ("[[requests]]\nname = \"a\nmethod = 1", "2: "),
        ("[[requests]]\nname = \"a\"", "1: a request needs a method"),
        ("\n[[requests]]\nname = \"a\"\nmethod = 5", "4: method must be a text in quotes"),
        ("[[requests]]\nname = \"a\"\nmethod = \"m\"\nargs = '{}'", "4: args must be a JSON list"),
        ("[[requests]]\nname = \"a\"\nmethod = \"m\"\nkwargs = '[1'", "4: kwargs must be a JSON"),
        (
            "[[requests]]\nname = \"a\"\nmethod = \"m\"\ntimeout = \"0s\"",
            "4: timeout must be longer",
        ),
        ("[[requests]]\nname = \"a\"\nmethod = \"m\"\ntarget = \"h\"", "4: target: `h` is not an"),
        (
            "[[requests]]\nname = \"a\"\nmetod = \"m\"",
            "3: unknown key \"metod\"; did you mean method?",
        ),
        ("[[request]]\nname = \"a\"", "1: unknown key \"request\"; did you mean requests?"),
        (
            "[[requests]]\nname = \"a\"\nmethod = \"m\"\n[[requests]]\nname = \"a\"\nmethod = \"m\"",
            "4: \"a\" is also the name in line 1",
        ),
        ("requests = 1", "1: requests are tables: [[requests]]"),
        ("[environments]\nlocal = 1", "2: an environment is a table"),
        ("[environments.a]\n\n\"b c\" = 1", "3: \"b c\" is no name of a variable"),
        ("[environments.a]\nb = [1]", "2: b must be a text, a number, true or false"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
        // Nothing is written over a file that cannot be read.
        let refused = save(text, "x", true).unwrap_err();
        assert_eq!(refused, ChangeError::Other(error));
    }
}

#[test]
fn the_limits_are_named() {
    let many = |number: usize| {
        (0..number)
            .map(|n| format!("[[requests]]\nname = \"{n}\"\nmethod = \"m\"\n"))
            .collect::<String>()
    };
    let full = many(MAX_REQUESTS);
    let error = save(&full, "one more", false).unwrap_err();
    assert_eq!(error, ChangeError::Other("more than 1000 requests".to_owned()));
    let large = format!("# {}\n", "x".repeat(MAX_BYTES));
    assert_eq!(parse(&large).unwrap_err().message, "the file is larger than 1.0 MiB");
    let error = save("", &"x".repeat(81), false).unwrap_err();
    assert_eq!(error, ChangeError::Other("a name has at most 80 characters".to_owned()));
}

#[test]
fn a_new_file_is_readable_and_says_what_it_is() {
    let text = save("", "order one", false).unwrap();
    let expected = r#"[[requests]]
name = "order one"
service = "shop"
method = "order"
args = '["{{env:TOKEN}}"]'
kwargs = '''{"b":"it's \"{{user}}\""}'''
target = "any"
timeout = "1500ms"
"#;
    assert_eq!(text, format!("{HEAD}{expected}"));
    assert_eq!(parse(&text).unwrap().requests, [request("order one")]);
}

#[test]
fn a_saved_request_goes_to_the_end_and_every_other_line_stays() {
    let text = save(FILE, "third", false).unwrap();
    for line in FILE.lines() {
        assert!(text.contains(line), "{line:?} is lost in\n{text}");
    }
    let contents = parse(&text).unwrap();
    assert_eq!(contents.requests[2], request("third"));
    assert_eq!(contents.environments, parse(FILE).unwrap().environments);
    let named: Vec<_> = contents.requests.iter().map(|request| request.name.as_str()).collect();
    assert_eq!(named, ["add two", "watch", "third"]);
}

#[test]
fn one_of_the_same_name_is_replaced_only_if_asked_and_keeps_its_comments() {
    let taken = ChangeError::Exists("add two".to_owned());
    assert_eq!(save(FILE, "add two", false).unwrap_err(), taken);
    let text = save(FILE, "add two", true).unwrap();
    assert_eq!(parse(&text).unwrap().requests[0], request("add two"));
    for comment in ["# Our requests.", "# the first", "# Ten is the default.", "# The second one."]
    {
        assert!(text.contains(comment), "{comment} is lost in\n{text}");
    }
}

#[test]
fn renaming_and_deleting_change_one_request() {
    let rename = |from: &str, to: &str| Change::Rename { from: from.to_owned(), to: to.to_owned() };
    let text = change(FILE, &rename("add two", "sum")).unwrap();
    assert_eq!(text, FILE.replace("\"add two\"", "\"sum\""));
    let taken = ChangeError::Exists("watch".to_owned());
    assert_eq!(change(FILE, &rename("add two", "watch")).unwrap_err(), taken);
    let gone = change(FILE, &rename("nobody", "x")).unwrap_err();
    assert_eq!(gone, ChangeError::Other("there is no request \"nobody\" any more".to_owned()));

    let text = change(FILE, &Change::Delete("add two".to_owned())).unwrap();
    let contents = parse(&text).unwrap();
    assert_eq!(contents.requests, parse(FILE).unwrap().requests[1..]);
    assert_eq!(contents.environments.len(), 2);
    let text = change(&text, &Change::Delete("watch".to_owned())).unwrap();
    assert!(parse(&text).unwrap().requests.is_empty());
    assert!(!text.contains("requests]") && text.contains("[environments.prod]"), "{text}");
}
