//! Tables: what is typed, the schema, and what is sent.

use serde_json::json;

use rpc_wire::signature::Parameter;

use super::*;
use crate::failure::Exit;

fn method(schema: &serde_json::Value) -> Signature {
    Signature {
        name: "m".to_owned(),
        parameters: vec![
            Parameter::required("a", schema.clone()),
            Parameter::optional("b", schema.clone(), json!(null)),
        ],
        ..Signature::default()
    }
}

/// The value of one word with a schema.
fn read(word: &str, schema: &serde_json::Value) -> Result<String, Failure> {
    let arguments = Arguments::of_words(&[word.to_owned()])?;
    let args = arguments.read(Some(&method(schema)), "")?;
    Ok(args.positional().trim_start_matches('[').trim_end_matches(']').to_owned())
}

#[test]
fn the_schema_decides_how_a_word_is_read() {
    let string = json!({"type": "string"});
    let nullable = json!({"type": ["string", "null"]});
    let either = json!({"anyOf": [{"type": "integer"}, {"type": "string"}]});
    let referred = json!({"$ref": "#/$defs/S", "$defs": {"S": {"type": "string"}}});
    for (word, schema, sent) in [
        ("12", &string, r#""12""#),
        ("true", &string, r#""true""#),
        ("null", &string, r#""null""#),
        ("{bad", &string, r#""{bad""#),
        (" x ", &string, r#"" x ""#),
        ("", &string, r#""""#),
        // Quotes are typed on purpose.
        (r#""12""#, &string, r#""12""#),
        (r#"12""#, &string, r#""12\"""#),
        ("12", &referred, r#""12""#),
        ("null", &nullable, "null"),
        ("12", &nullable, r#""12""#),
        ("12", &either, "12"),
        ("1.5", &either, r#""1.5""#),
        ("x", &either, r#""x""#),
        ("12", &json!({"type": "integer"}), "12"),
        ("1.50", &json!({"type": "number"}), "1.50"),
        // Another type than the schema's is the method's to refuse.
        ("true", &json!({"type": "number"}), "true"),
        ("12", &json!({"enum": ["12", "13"]}), r#""12""#),
        ("12", &json!(true), "12"),
        ("x", &json!({}), r#""x""#),
        (
            "123456789012345678901234567890",
            &json!({"type": "integer"}),
            "123456789012345678901234567890",
        ),
    ] {
        assert_eq!(read(word, schema).unwrap(), sent, "{word} {schema}");
    }
}

#[test]
fn a_word_that_cannot_be_what_the_schema_says_is_a_usage_error_that_names_it() {
    for (word, schema, must_be) in [
        ("one", json!({"type": "integer"}), "an integer"),
        ("", json!({"type": "number"}), "a number"),
        ("yes", json!({"type": "boolean"}), "true or false"),
        ("{bad", json!({"type": "object"}), "a JSON object"),
        ("1,2", json!({"type": "array"}), "a JSON array"),
        ("x", json!({"type": ["integer", "null"]}), "an integer or null"),
    ] {
        let failure = read(word, &schema).unwrap_err();
        let said =
            format!("the argument a of m must be {must_be}, not '{word}'; see rpcd describe m");
        assert_eq!((failure.exit, failure.message), (Exit::Usage, said));
    }
}

#[test]
fn names_find_their_parameter() {
    let words = ["b=12", "7"].map(str::to_owned);
    let args =
        Arguments::of_words(&words).unwrap().read(Some(&method(&json!({"type": "string"}))), "");
    let args = args.unwrap();
    assert_eq!((args.positional(), args.keyword()), (r#"["7"]"#, r#"{"b":"12"}"#));
    // Nothing is known of more words, or of other names.
    let words = ["1", "2", "3", "z=4"].map(str::to_owned);
    let args =
        Arguments::of_words(&words).unwrap().read(Some(&method(&json!({"type": "string"}))), "");
    let args = args.unwrap();
    assert_eq!((args.positional(), args.keyword()), (r#"["1","2",3]"#, r#"{"z":4}"#));
}

#[test]
fn without_a_schema_what_is_json_stays_and_the_rest_is_a_string() {
    let read = |word: &str| {
        let args = Arguments::of_words(&[word.to_owned()])?.read(None, "")?;
        Ok::<_, Failure>((args.positional().to_owned(), args.keyword().to_owned()))
    };
    for (word, positional, named) in [
        ("1", "[1]", "{}"),
        ("-2.50", "[-2.50]", "{}"),
        ("Ada", r#"["Ada"]"#, "{}"),
        ("[1, 2]", "[[1, 2]]", "{}"),
        ("01", r#"["01"]"#, "{}"),
        ("c=3", "[]", r#"{"c":3}"#),
        ("c=x=y", "[]", r#"{"c":"x=y"}"#),
        ("c:=3", "[]", r#"{"c":3}"#),
        ("c:=\"3\"", "[]", r#"{"c":"3"}"#),
        ("=1", r#"["=1"]"#, "{}"),
        (":=1", r#"[":=1"]"#, "{}"),
        ("a-b:=1", r#"["a-b:=1"]"#, "{}"),
        ("{\"a\":\"b=c\"}", "[{\"a\":\"b=c\"}]", "{}"),
    ] {
        assert_eq!(read(word).unwrap(), (positional.to_owned(), named.to_owned()), "{word}");
    }
    for word in ["{bad json", "[1", "c={bad", " [1"] {
        let failure = read(word).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage, "{word}");
        assert!(failure.message.contains("begins like JSON and is not: "), "{}", failure.message);
        assert_eq!(failure.message.lines().count(), 1, "{}", failure.message);
    }
}

#[test]
fn what_is_wrong_without_any_schema_is_said_at_once() {
    let failure = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Arguments::of_words(&words).unwrap_err().message
    };
    assert_eq!(failure(&["a=1", "a=2"]), "the argument a is given twice");
    assert_eq!(failure(&["a=1", "a:=2"]), "the argument a is given twice");
    let said = failure(&["a:=x"]);
    assert!(
        said.starts_with("a:= takes JSON, not 'x' (") && said.ends_with("write a=TEXT"),
        "{said}"
    );
    let long = failure(&[&format!("a:={}", "x".repeat(200))]);
    assert!(long.len() < 200 && long.contains('…'), "{long}");
}

#[test]
fn only_words_that_it_can_change_need_the_schema() {
    for (words, needed) in [
        (vec![], false),
        (vec![r#""12""#], false),
        (vec!["a:=1", "b=\"x\""], false),
        (vec!["12"], true),
        (vec!["x"], true),
        (vec!["a:=1", "b=2"], true),
    ] {
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        assert_eq!(Arguments::of_words(&words).unwrap().need_schema(), needed, "{words:?}");
    }
    assert!(!Arguments::of_document("[1]", "-d").unwrap().need_schema());
}

#[test]
fn a_document_is_an_array_or_an_object_and_keeps_every_digit() {
    for (text, positional, named) in [
        ("[1, \"a b\"]", r#"[1,"a b"]"#, "{}"),
        (" {\n  \"a\": 1.50\n}\n", "[]", r#"{"a":1.50}"#),
        ("[]", "[]", "{}"),
        ("[123456789012345678901234567890]", "[123456789012345678901234567890]", "{}"),
    ] {
        let args = Arguments::of_document(text, "-d").unwrap().read(None, "").unwrap();
        assert_eq!((args.positional(), args.keyword()), (positional, named), "{text}");
    }
    for text in ["", "5", "null", "\"x\"", "{bad", "[1] [2]"] {
        let failure = Arguments::of_document(text, "-d").unwrap_err();
        assert_eq!(failure.exit, Exit::Usage, "{text}");
        assert!(failure.message.contains("-d"), "{}", failure.message);
        assert_eq!(failure.message.lines().count(), 1, "{}", failure.message);
    }
}

#[test]
fn any_words_are_read_or_refused_in_one_line() {
    rpc_fuzz::text("words", |text| {
        let read = Arguments::of_words(&[text.to_owned()]).and_then(|it| it.read(None, ""));
        if let Err(failure) = read {
            assert_eq!(failure.exit, Exit::Usage);
        }
    });
}
