//! Instances that are asked themselves although another one with their digest has replied.

use super::*;

#[test]
fn an_instance_with_the_digest_of_another_is_asked_itself_before_a_call_is_given_up() {
    let instances: Vec<_> = (0..200).map(|id| shows(id, &["add"])).collect();
    let mut contracts = Contracts::default();
    let (now, mut rng) = (Instant::now(), SmallRng::seed_from_u64(1));
    let reply = |index| Ok(methods(if index == 150 { &["sub"] } else { &["add"] }));
    ask_all(&mut contracts, &instances, now, reply);
    let mut asked = Vec::new();
    for _ in 0..4 {
        assert!(
            contracts.confirm(&refs(&instances), Some(now - PAUSE), now, &mut rng)
                || asked.len() == 199
        );
        let more = ask_all(&mut contracts, &instances, now, reply);
        assert!(more.len() <= super::super::confirming::MAX_CONFIRMATIONS);
        asked.extend(more);
    }
    asked.sort_unstable();
    asked.dedup();
    assert!(asked.len() >= 199, "each was asked once: {}", asked.len());
    assert_eq!(offered_by(&contracts, "sub", &instances), [150]);
    assert!(!contracts.confirm(&refs(&instances), Some(now - PAUSE), now, &mut rng));
    assert!(
        contracts.confirm(&refs(&instances), Some(now), now, &mut rng),
        "it may have restarted"
    );
}

#[test]
fn a_probe_confirms_a_digest_or_has_the_instance_asked() {
    let instances = [shows(0, &["add"]), shows(1, &["add"])];
    let digest = methods(&["add"]).contract().to_owned();
    let mut contracts = Contracts::default();
    let (now, mut rng) = (Instant::now(), SmallRng::seed_from_u64(1));
    assert!(!contracts.probed(&instances[0], &digest, now));
    assert!(contracts.probed(&instances[1], methods(&["sub"]).contract(), now));
    let reply = |index| Ok(methods(if index == 1 { &["sub"] } else { &["add"] }));
    ask_all(&mut contracts, &instances, now, reply);
    assert_eq!(offered_by(&contracts, "sub", &instances), [1]);
    assert!(!contracts.confirm(&refs(&instances), Some(now - PAUSE), now, &mut rng));
}

#[test]
fn a_digest_that_was_contradicted_does_not_speak_for_those_that_could_not_be_asked() {
    let instances = [shows(0, &["add"]), shows(1, &["add"]), shows(2, &["add"])];
    let mut contracts = Contracts::default();
    let (now, mut rng) = (Instant::now(), SmallRng::seed_from_u64(1));
    let reply = |index| match index {
        0 => Ok(methods(&["add"])),
        1 => Ok(methods(&["get"])),
        _ => Err(unreachable()),
    };
    ask_all(&mut contracts, &instances, now, reply);
    contracts.confirm(&refs(&instances), None, now, &mut rng);
    ask_all(&mut contracts, &instances, now, reply);
    assert_eq!(contracts.asked("put", &refs(&instances)), 2);
    assert_eq!(contracts.offering("put", &refs(&instances)).unknown, [2]);
    let failure = contracts.first_failure(&refs(&instances), &[2]);
    assert_eq!(failure, Some(unreachable()));
}
