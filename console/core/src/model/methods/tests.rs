//! The union, and differences between instances of one service.

use super::*;

fn signature(name: &str) -> Signature {
    Signature { name: name.to_owned(), ..Signature::default() }
}

fn list(signatures: impl IntoIterator<Item = Signature>) -> Arc<MethodList> {
    Arc::new(MethodList::new(signatures.into_iter().collect()))
}

fn key(port: u16) -> InstanceKey {
    rpc_wire::instance::Instance::new("h", port).key()
}

fn id(name: &str) -> MethodId {
    MethodId::new(&Service::named("shop"), name)
}

/// The shop, with these instances.
fn shop(ports: &[u16]) -> Methods {
    let mut methods = Methods::default();
    for port in ports {
        let mut instance = Instance::new("h", *port);
        instance.parameters.insert("service".to_owned(), "shop".into());
        methods.join(&instance);
    }
    methods
}

fn three() -> Methods {
    let mut methods = shop(&[1, 2, 3]);
    methods.insert(key(1), list([signature("add"), signature("square")]));
    methods.insert(key(2), list([signature("add"), signature("square")]));
    methods.insert(key(3), list([signature("add"), signature("own")]));
    methods.refresh();
    methods
}

#[test]
fn the_list_is_the_union_and_missing_methods_are_found() {
    let methods = three();
    assert_eq!(methods.all().count(), 3);
    assert_eq!(methods.missing(&key(3)), ["square"]);
    assert!(methods.missing(&key(1)).is_empty(), "a method of one instance only is not missing");
    assert!(methods.deviates(&key(3)) && !methods.deviates(&key(1)));
}

#[test]
fn differing_signatures_are_found_and_unknown_types_agree() {
    use rpc_wire::signature::Parameter;
    use serde_json::json;
    let number = || Parameter::required("a", json!({"type": "number"}));
    let add = |parameters: Vec<Parameter>| Signature { parameters, ..signature("add") };
    let mut methods = shop(&[1, 2, 3]);
    methods.insert(key(1), list([add(vec![Parameter::required("a", json!(true))])]));
    methods.insert(key(2), list([add(vec![number()])]));
    let more = Parameter::optional("b", json!({"type": "number"}), json!(10));
    methods.insert(key(3), list([add(vec![number(), more])]));
    methods.refresh();
    let found: Vec<_> = (1..=3).map(|port| methods.differing(&key(port))).collect();
    assert_eq!(found, [&[][..], &[], &["add(a, b=10)".to_owned()]]);
    assert_eq!(
        methods.get(&id("add")).unwrap().signature.parameters,
        [number()],
        "types are known"
    );
    methods.remove(&key(2));
    methods.refresh();
    assert_eq!(
        methods.differing(&key(3)).len(),
        1,
        "of two equally common ones the first is the reference"
    );
}

#[test]
fn a_scope_is_cleared_when_its_instance_is_removed() {
    let mut methods = three();
    methods.scope = Some(key(3));
    assert_eq!(methods.visible().len(), 2);
    methods.remove(&key(3));
    methods.refresh();
    assert_eq!((methods.scope.clone(), methods.visible().len()), (None, 2));
}

#[test]
fn the_best_match_comes_first() {
    let mut methods = three();
    methods.filter = Input::new("sq".to_owned());
    methods.keep_selection(true);
    assert_eq!(methods.selected, Some(id("square")));
}

fn instance(port: u16, service: &str, contract: &str) -> Instance {
    let mut instance = Instance::new("h", port);
    instance.parameters.insert("service".to_owned(), service.into());
    instance.parameters.insert("contract".to_owned(), contract.into());
    instance
}

const OLD: &str = "00000000000000000000000000000001";
const NEW: &str = "00000000000000000000000000000002";

/// Two of the shop with an older and a newer contract, and one of another service.
fn services() -> Methods {
    let mut methods = Methods::default();
    for (port, service, contract) in [(1, "shop", OLD), (2, "shop", NEW), (3, "weather", OLD)] {
        methods.join(&instance(port, service, contract));
    }
    methods.learn(OLD.to_owned(), list([signature("order")]));
    methods.learn(NEW.to_owned(), list([signature("order"), signature("refund")]));
    methods.refresh();
    methods
}

#[test]
fn one_list_serves_all_instances_of_a_contract_and_each_service_has_its_own_rows() {
    let mut methods = services();
    let labels: Vec<_> =
        methods.all().map(|method| (methods.label(&method.id), method.on.len())).collect();
    let expected = [("shop · order", 2), ("shop · refund", 1), ("weather · order", 1)];
    assert_eq!(labels, expected.map(|(label, on)| (label.to_owned(), on)));
    assert_eq!(methods.count(&key(2)), Some(2));
    methods.filter = Input::new("weather".to_owned());
    assert_eq!(methods.visible().len(), 1, "services are searched too");
}

#[test]
fn only_replicas_of_one_service_are_compared() {
    let methods = services();
    assert_eq!(methods.missing(&key(1)), ["refund"]);
    assert!(methods.missing(&key(3)).is_empty(), "the only one of its service");
}

#[test]
fn instances_without_a_service_are_unrelated_programs() {
    let mut methods = services();
    for (port, name) in [(4, "add"), (5, "multiply")] {
        methods.join(&Instance::new("h", port));
        methods.insert(key(port), list([signature(name), signature("ping")]));
    }
    methods.refresh();
    assert!(methods.missing(&key(4)).is_empty() && methods.missing(&key(5)).is_empty());
    let add = methods.get(&"add".into()).unwrap();
    assert_eq!((add.on.len(), methods.possible_instances(add)), (1, 1), "not 1 of 2");
    assert_eq!(methods.label(&add.id), "(unnamed) · add", "it is not any service's");
    assert_eq!(methods.label(&"rpc.health".into()), "rpc.health", "it is nobody's");
    assert_eq!((methods.is_ambiguous("add"), methods.is_ambiguous("order")), (false, true));
}

#[test]
fn a_list_counts_up_to_a_limit_and_names_a_method_once() {
    let mut methods = Methods::default();
    let huge = (0..MAX_METHODS + 5).map(|number| signature(&number.to_string()));
    methods.insert(key(1), list(huge));
    methods.insert(key(2), list([signature("twice"), signature("twice")]));
    methods.refresh();
    assert_eq!((methods.count(&key(1)), methods.count(&key(2))), (Some(MAX_METHODS), Some(1)));
    assert_eq!(methods.get(&"twice".into()).unwrap().on.len(), 1);
}

#[test]
fn a_reply_other_than_the_contract_counts_for_that_instance_alone() {
    let mut methods = services();
    methods.join(&instance(4, "shop", OLD));
    methods.insert(key(1), list([signature("own")]));
    methods.refresh();
    let has = |name: &str, port| {
        let id = MethodId::new(&Service::named("shop"), name);
        methods.get(&id).is_some_and(|method| method.on.contains(&key(port)))
    };
    assert!(has("own", 1) && !has("order", 1));
    assert!(has("order", 4) && !has("own", 4), "the others keep what their contract says");
}

#[test]
fn a_contract_is_forgotten_with_its_last_instance_and_another_takes_its_place() {
    let mut methods = services();
    methods.join(&instance(2, "shop", OLD));
    methods.refresh();
    let refund = MethodId::new(&Service::named("shop"), "refund");
    assert!(methods.get(&refund).is_none());
    methods.join(&instance(2, "shop", NEW));
    methods.refresh();
    assert_eq!(methods.count(&key(2)), None, "it is asked again");
}

#[test]
fn many_versions_of_large_methods_are_compared_by_their_hashes() {
    use rpc_wire::signature::Parameter;
    use serde_json::json;
    // Each differs from the others only at the end of 64 KB.
    let padding = "x".repeat(64 << 10);
    let version = |port: u16| {
        let schema = json!({"a": padding, "z": port});
        Signature { parameters: vec![Parameter::required("a", schema)], ..signature("add") }
    };
    let ports: Vec<u16> = (1..=200).collect();
    let mut methods = shop(&ports);
    for port in &ports {
        methods.insert(key(*port), list([version(*port)]));
    }
    // 20 refreshes are 400,000 comparisons: 26 GB of text, or two numbers each.
    for _ in 0..20 {
        methods.insert(key(1), list([version(1)]));
        methods.refresh();
    }
    let method = methods.get(&id("add")).unwrap();
    assert_eq!((method.on.len(), method.differing.len()), (200, 199));
}
