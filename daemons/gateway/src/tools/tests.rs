//! Tools of methods, without instances.

use rpc_wire::signature::{Example, Parameter};
use serde_json::{Value, json};

use super::*;
use crate::Exposure;

const ALL: May<'static> = &|_| true;

/// A method that reads.
pub(crate) fn reads(name: &str, result: Value) -> Signature {
    Signature {
        name: name.to_owned(),
        effect: Effect::ReadOnly,
        result: Some(result),
        ..Signature::default()
    }
}

fn variant<'a>(signature: &'a Signature, services: &[Option<&'a str>]) -> Variant<'a> {
    let offers = services.iter().map(|service| (*service, signature)).collect();
    Variant { signature, offers }
}

fn tools(methods: Vec<Method<'_>>, prefix: &str) -> Tools {
    tools_after(&Tools::default(), methods, prefix)
}

fn tools_after(before: &Tools, methods: Vec<Method<'_>>, prefix: &str) -> Tools {
    let options = GatewayOptions { prefix: prefix.to_owned(), ..GatewayOptions::default() };
    Tools::from_methods(methods.into_iter(), &options, before)
}

/// The tools of methods that services without a name offer.
pub(crate) fn tools_of(signatures: &[Signature]) -> Tools {
    tools(signatures.iter().map(|it| method(&it.name, it)).collect(), "")
}

fn method<'a>(name: &'a str, signature: &'a Signature) -> Method<'a> {
    Method { name, variants: vec![variant(signature, &[None])] }
}

fn names(tools: &Tools) -> Vec<&str> {
    tools.all.iter().map(|tool| tool.name.as_str()).collect()
}

fn listed(tool: &Tool, era: Era) -> Value {
    serde_json::from_str(tool.entry.json(era)).unwrap()
}

#[test]
fn a_tool_says_what_its_method_says() {
    let mut add = reads("add", json!({"type": "number"}));
    add.doc = "Adds.".to_owned();
    add.parameters = vec![Parameter::required("a", json!({"type": "number"}))];
    add.examples = vec![Example {
        name: "two".to_owned(),
        arguments: vec![("a".to_owned(), json!(2))],
        result: Some(json!(4)),
    }];
    let tools = tools(vec![Method { name: "add", variants: vec![variant(&add, &[None])] }], "");
    assert_eq!(
        listed(&tools.all[0], Era::Modern),
        json!({
            "name": "add",
            "description": "Adds.\n\nExample (two): {\"a\":2} returns 4",
            "inputSchema": {
                "type": "object",
                "properties": {"a": {"type": "number"}},
                "required": ["a"],
                "additionalProperties": false,
            },
            "outputSchema": {"type": "number"},
            "annotations": {"readOnlyHint": true, "idempotentHint": true},
        })
    );
}

#[test]
fn earlier_versions_get_each_result_as_an_object() {
    let (number, object) =
        (reads("n", json!({"type": "number"})), reads("o", json!({"type": "object"})));
    let methods = vec![
        Method { name: "n", variants: vec![variant(&number, &[None])] },
        Method { name: "o", variants: vec![variant(&object, &[None])] },
    ];
    let tools = tools(methods, "");
    let [number, object] = &tools.all[..] else { panic!("{tools:?}") };
    assert!(number.wraps && !object.wraps);
    let output = |tool: &Tool| listed(tool, Era::Legacy)["outputSchema"].clone();
    assert_eq!(
        output(number),
        json!({"type": "object", "properties": {"result": {"type": "number"}}, "required": ["result"]})
    );
    assert_eq!(output(object), json!({"type": "object"}));
}

#[test]
fn where_services_differ_a_tool_names_its_service_and_else_it_does_not() {
    let (number, text) =
        (reads("get", json!({"type": "number"})), reads("get", json!({"type": "string"})));
    let same = Method { name: "get", variants: vec![variant(&number, &[Some("a"), Some("b")])] };
    assert_eq!(names(&tools(vec![same], "")), ["get"]);
    let versions = Method {
        name: "get",
        variants: vec![variant(&number, &[Some("a")]), variant(&text, &[Some("a")])],
    };
    let versions = tools(vec![versions], "");
    assert_eq!(names(&versions), ["get"]);
    assert_eq!(listed(&versions.all[0], Era::Modern).get("outputSchema"), None);
    let services = Method {
        name: "get",
        variants: vec![variant(&number, &[Some("a")]), variant(&text, &[Some("b"), Some("c")])],
    };
    let services = tools(vec![services], "");
    assert_eq!(names(&services), ["a.get", "b.get", "c.get"]);
    let called: Vec<_> = services.all.iter().map(|it| it.service_for(ALL)).collect();
    assert_eq!(called, [Some("a"), Some("b"), Some("c")]);
}

#[test]
fn each_name_is_one_that_clients_take_and_depends_on_no_other() {
    let long = "x".repeat(200);
    let all = ["a/b", "a b", "a_b", "ä", &long, &format!("{long}y"), "\u{1b}[2J"];
    let named = |names: &[&str]| {
        let signatures: Vec<_> = names.iter().map(|name| reads(name, json!(true))).collect();
        let tools = tools(signatures.iter().map(|it| method(&it.name, it)).collect(), "p_");
        tools.all.iter().map(|it| (it.method.clone(), it.name.clone())).collect::<BTreeMap<_, _>>()
    };
    let together = named(&all);
    for name in all {
        let alone = &named(&[name])[name];
        assert_eq!(alone, &together[name]);
        let is_usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        assert!(alone.len() <= 64 && alone.chars().all(is_usual), "{alone}");
    }
    assert_eq!(together["a_b"], "p_a_b");
    assert_eq!(together["a/b"], "p_a_b_79e9f432");
    let names: BTreeSet<_> = together.values().collect();
    assert_eq!(names.len(), all.len());
}

#[test]
fn a_method_without_a_name_is_no_tool_and_others_are() {
    let (empty, good) = (reads("", json!(true)), reads("good", json!(true)));
    let tools = tools(vec![method("", &empty), method("good", &good)], "");
    assert_eq!((names(&tools), tools.left_out.count), (vec!["good"], 1));
    assert_eq!(tools.left_out.first()[0].why, "its name is empty");
}

#[test]
fn a_tool_is_still_called_by_its_name_when_a_newcomer_has_a_method_of_that_name() {
    let (number, text) =
        (reads("get", json!({"type": "number"})), reads("get", json!({"type": "string"})));
    let ours = || variant(&number, &[Some("ours")]);
    let alone = || vec![Method { name: "get", variants: vec![ours()] }];
    let both = || {
        let newcomer = variant(&text, &[Some("a_newcomer")]);
        vec![Method { name: "get", variants: vec![newcomer, ours()] }]
    };
    let before = tools(alone(), "");
    let now = tools_after(&before, both(), "");
    // The list depends on what there is only.
    assert_eq!(names(&now), names(&tools(both(), "")));
    assert_eq!(names(&now), ["a_newcomer.get", "ours.get"]);
    let called = now.find("get", ALL).unwrap();
    assert_eq!((called.name.as_str(), called.service_for(ALL)), ("ours.get", Some("ours")));
    let still = tools_after(&now, both(), "");
    assert_eq!(still, now);
    // And the other way round.
    let after = tools_after(&now, alone(), "");
    assert_eq!(names(&after), ["get"]);
    assert_eq!(after.find("ours.get", ALL).unwrap().name, "get");
    assert!(after.find("a_newcomer.get", ALL).is_err());
    // Who never knew it is told the names.
    let new = tools(both(), "");
    assert_eq!(new.find("get", ALL).unwrap_err(), ["a_newcomer.get", "ours.get"]);
}

#[test]
fn what_may_change_something_is_counted_and_what_exceeds_the_limit() {
    let (a, b) = (reads("a", json!(true)), reads("b", json!(true)));
    let changes = Signature { name: "c".to_owned(), ..Signature::default() };
    let methods = || [&a, &b, &changes].map(|it| method(&it.name, it)).into_iter();
    let of = |options: GatewayOptions| Tools::from_methods(methods(), &options, &Tools::default());
    let few = of(GatewayOptions { max_tools: 1, ..GatewayOptions::default() });
    assert_eq!((names(&few), few.left_out.count, few.not_allowed), (vec!["a"], 1, 1));
    let short = of(GatewayOptions { max_list_bytes: 300, ..GatewayOptions::default() });
    assert_eq!((names(&short), short.left_out.count), (vec!["a"], 1));
    assert!(short.left_out.first()[0].why.contains("max_list_bytes"));
}

#[test]
fn a_service_with_many_tools_leaves_room_to_others() {
    let many: Vec<_> = (0..50).map(|n| reads(&format!("a{n}"), json!(true))).collect();
    let few = [reads("y", json!(true)), reads("z", json!(true))];
    fn of<'a>(service: &'a str, signature: &'a Signature) -> Method<'a> {
        Method { name: &signature.name, variants: vec![variant(signature, &[Some(service)])] }
    }
    let methods = many.iter().map(|it| of("many", it)).chain(few.iter().map(|it| of("few", it)));
    let options = GatewayOptions { max_tools: 5, ..GatewayOptions::default() };
    let tools = Tools::from_methods(methods, &options, &Tools::default());
    assert_eq!(names(&tools), ["a0", "a1", "a2", "y", "z"]);
}

#[test]
fn pages_follow_each_other_also_when_a_tool_between_them_is_gone() {
    let all: Vec<_> = ["a", "b", "c", "d"].map(|name| reads(name, json!(true))).into();
    let methods = |names: &'static str| {
        let is_there = |it: &&Signature| names.contains(&it.name);
        let all = all.iter().filter(is_there);
        tools(
            all.map(|it| Method { name: &it.name, variants: vec![variant(it, &[None])] }).collect(),
            "",
        )
    };
    let before = methods("abcd");
    let (page, next) = before.page(Era::Modern, None, ALL, 2);
    assert_eq!((page.len(), next), (2, Some("b")));
    let after = methods("acd");
    let (page, next) = after.page(Era::Modern, next, ALL, 2);
    assert_eq!((page.len(), next), (2, None));
}

#[test]
fn a_caller_that_is_limited_to_a_service_sees_and_calls_only_that() {
    let get = reads("get", json!(true));
    let put = reads("put", json!(true));
    let tools = tools(
        vec![
            Method { name: "get", variants: vec![variant(&get, &[Some("a"), Some("b")])] },
            Method { name: "put", variants: vec![variant(&put, &[Some("a")])] },
        ],
        "",
    );
    let may: May<'_> = &|service| service == Some("b");
    assert_eq!(tools.page(Era::Modern, None, may, 10).0.len(), 1);
    assert_eq!(tools.find("get", may).unwrap().service_for(may), Some("b"));
    assert_eq!(tools.find("get", ALL).unwrap().service_for(ALL), None);
    assert!(tools.find("put", may).unwrap_err().is_empty());
    assert_eq!(tools.find("pot", ALL).unwrap_err(), ["put"]);
}

#[test]
fn why_a_method_can_be_no_tool_is_told_to_who_may_call_it_by_its_name_or_the_tools() {
    let parameters = vec![Parameter::required("a b", json!(true))];
    let strange = Signature { parameters, ..reads("get", json!(true)) };
    let methods = vec![Method { name: "get", variants: vec![variant(&strange, &[Some("a")])] }];
    let tools = tools(methods, "my_");
    for name in ["get", "my_get"] {
        assert!(tools.left_out.find(name, ALL).unwrap().why.contains("parameter"));
        assert_eq!(tools.left_out.find(name, &|service| service == Some("b")), None);
    }
    assert_eq!(tools.left_out.find("put", ALL), None);
}

#[test]
fn a_method_that_is_not_offered_is_not_said_to_be_impossible() {
    let [ours, theirs] = ["number", "string"].map(|kind| reads("get", json!({"type": kind})));
    let methods = || {
        let ours = variant(&ours, &[None]);
        [Method { name: "get", variants: vec![ours, variant(&theirs, &[Some("theirs")])] }]
    };
    let of = |exposure: Exposure| {
        let options = GatewayOptions { exposure, ..GatewayOptions::default() };
        Tools::from_methods(methods().into_iter(), &options, &Tools::default())
    };
    let nameless = of(Exposure::default());
    assert_eq!((names(&nameless), nameless.left_out.count), (vec!["theirs.get"], 1));
    let denied = of(Exposure { deny: vec!["get".parse().unwrap()], ..Exposure::default() });
    assert_eq!((names(&denied), denied.left_out.count), (vec![], 0));
}
