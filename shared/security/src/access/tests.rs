//! What each role, limit and anonymous caller may.

use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn identity(roles: &str) -> Identity {
    Identity {
        name: "a".to_owned(),
        roles: roles.parse().unwrap(),
        services: None,
        hosts: Vec::new(),
        expires: None,
    }
}

fn required() -> Access {
    Access { auth: Auth::Required, ..Access::default() }
}

fn decide(
    access: &Access,
    identity: Option<&Identity>,
    role: Role,
    object: Object<'_>,
) -> Decision {
    access.decide(Caller { identity, address: HERE }, Permission::Needs(role), object)
}

#[test]
fn a_role_allows_itself_and_no_other() {
    for held in Role::ALL {
        for needed in Role::ALL {
            let decision =
                decide(&required(), Some(&identity(held.name())), needed, Object::Everything);
            let expected = match held == needed {
                true => Decision::Allowed,
                false => Decision::Refused(Denied::MissingRole(needed)),
            };
            assert_eq!(decision, expected, "{held} for {needed}");
        }
    }
}

#[test]
fn nobody_may_do_anything_that_needs_a_role_and_anyone_what_needs_none() {
    for role in Role::ALL {
        let decision = decide(&required(), None, role, Object::Everything);
        assert_eq!(decision, Decision::Refused(Denied::Unknown(role)));
    }
    let caller = Caller { identity: None, address: HERE };
    let decision = required().decide(caller, Permission::Open, Object::Everything);
    assert_eq!(decision, Decision::Allowed);
}

#[test]
fn warn_serves_what_required_refuses_and_off_does_not_even_say_so() {
    for (auth, expected) in [
        (Auth::Off, Decision::Allowed),
        (Auth::Warn, Decision::Warned(Denied::Unknown(Role::Call))),
        (Auth::Required, Decision::Refused(Denied::Unknown(Role::Call))),
    ] {
        let access = Access { auth, ..Access::default() };
        assert_eq!(decide(&access, None, Role::Call, Object::Everything), expected);
        assert_eq!(auth.to_string().parse(), Ok(auth));
    }
}

#[test]
fn limits_to_services_and_hosts_hold_for_each_object_and_for_what_has_neither() {
    let limited = Identity {
        services: Some(["orders".to_owned()].into()),
        hosts: vec!["10.1.0.0/16".parse().unwrap()],
        ..identity("register,call")
    };
    let at = |service, host: Option<&str>| Object::Instance {
        service,
        host: host.map(|host| host.parse().unwrap()),
    };
    let (orders, billing) = (Some("orders"), Some("billing"));
    for (object, is_allowed) in [
        (at(orders, Some("10.1.2.3")), true),
        (at(orders, Some("::ffff:10.1.2.3")), true),
        (at(orders, Some("10.2.2.3")), false),
        (at(orders, None), false),
        (at(billing, Some("10.1.2.3")), false),
        (at(None, Some("10.1.2.3")), false),
        (Object::Server { service: orders }, true),
        (Object::Server { service: billing }, false),
        (Object::Server { service: None }, false),
        (Object::Everything, true),
    ] {
        let decision = decide(&required(), Some(&limited), Role::Register, object);
        assert_eq!(decision.is_allowed(), is_allowed, "{object:?}");
    }
}

#[test]
fn those_without_a_token_have_the_anonymous_roles_from_their_networks_only() {
    let access = Access {
        anonymous: "observe".parse().unwrap(),
        anonymous_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..required()
    };
    let from = |address: &str, role| {
        let caller = Caller { identity: None, address: address.parse().unwrap() };
        access.decide(caller, Permission::Needs(role), Object::Everything).is_allowed()
    };
    assert!(from("127.0.0.1", Role::Observe) && from("::ffff:127.0.0.1", Role::Observe));
    assert!(!from("127.0.0.1", Role::Call) && !from("10.0.0.1", Role::Observe));
    // A token that has another role does not lose it.
    assert!(
        decide(&access, Some(&identity("call")), Role::Observe, Object::Everything).is_allowed()
    );
}

#[test]
fn a_refusal_names_the_role_and_nothing_of_the_object() {
    let limited = Identity { services: Some(["orders".to_owned()].into()), ..identity("call") };
    let hidden = Object::Server { service: Some("payroll") };
    for identity in [None, Some(&identity("observe")), Some(&limited)] {
        let Decision::Refused(denied) = decide(&required(), identity, Role::Call, hidden) else {
            panic!("{identity:?} is allowed")
        };
        let text = denied.to_string();
        assert!(text.contains("role call") && !text.contains("payroll"), "{text}");
        assert!(!text.contains("orders"), "{text}");
    }
}

#[test]
fn who_may_not_register_is_told_of_the_key_for_that() {
    let of = |role| Denied::Unknown(role).to_string();
    assert!(
        of(Role::Register).contains("RPCD_TOKEN or [registry] token_file, the one of [client]")
    );
    assert!(of(Role::Call).contains("RPCD_TOKEN or token_file (by HTTP"));
}

#[test]
fn one_of_two_roles_is_enough_and_who_has_neither_is_told_the_first() {
    let access = Access { auth: Auth::Required, ..Access::default() };
    let decide = |roles: &str| {
        let identity = identity(roles);
        let caller = Caller { identity: Some(&identity), address: HERE };
        let either = Permission::Either(Role::Register, Role::Operate);
        access.decide(caller, either, Object::Everything)
    };
    assert!(decide("register").is_allowed() && decide("operate").is_allowed());
    assert_eq!(decide("call"), Decision::Refused(Denied::MissingRole(Role::Register)));
}

#[test]
fn what_concerns_all_instances_is_outside_of_every_limit() {
    let mut limited = identity("observe");
    assert!(limited.covers(Object::AllInstances) && limited.bounds().is_none());
    limited.services = Some(["a".to_owned()].into());
    assert!(!limited.covers(Object::AllInstances) && limited.covers(Object::Everything));
    assert!(!limited.bounds().unwrap().cover(Object::AllInstances));
    limited.services = None;
    limited.hosts = vec!["10.0.0.0/8".parse().unwrap()];
    assert!(!limited.covers(Object::AllInstances) && limited.covers(Object::Everything));
}
