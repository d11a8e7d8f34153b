//! The lives of a server at one address: what each sends may come late, twice, or after the next life.

use std::time::UNIX_EPOCH;

use rpc_wire::instance::{MAX_INCARNATION, first_incarnation};

use super::departures::Departure;
use super::*;

/// A registration by a server with that incarnation, or by an older one.
fn life(incarnation: Option<u64>) -> Vec<u8> {
    let parameters = incarnation.map_or("{}".to_owned(), |n| format!(r#"{{"incarnation":{n}}}"#));
    body(1, &parameters)
}

/// What a registration or heartbeat changes, or the incarnation in favour of which it is refused.
fn beat(table: &mut Table, incarnation: Option<u64>, now: Instant) -> Result<&'static str, u64> {
    let body = life(incarnation);
    if table.renew(&body, now).is_some() {
        return Ok("renewed");
    }
    match register_from(table, &body, LOOPBACK, now) {
        Ok(None) => Ok("renewed"),
        Ok(Some(ChangeKind::Registered)) => Ok("registered"),
        Ok(Some(ChangeKind::Updated)) => Ok("updated"),
        Err(Refusal::EarlierLife { current, listed }) => {
            assert_eq!(listed, self::listed(table) == Some(Some(current)));
            Err(current)
        }
        other => panic!("{other:?}"),
    }
}

/// Whether a farewell removed what was listed.
fn leave(table: &mut Table, incarnation: Option<u64>, now: Instant) -> bool {
    table.unregister(&key(1), incarnation, now).is_some()
}

/// What expires at a check that is not late.
fn expired(table: &mut Table, now: Instant) -> Vec<u16> {
    table.next_check = now;
    super::expired(table, now)
}

fn listed(table: &Table) -> Option<Option<u64>> {
    table.row(&key(1)).map(|row| row.entry.incarnation)
}

#[test]
fn a_later_life_replaces_an_earlier_one_as_an_update_of_which_everything_is_new() {
    let start = Instant::now();
    let mut table = table(start);
    assert_eq!(beat(&mut table, Some(5), start), Ok("registered"));
    register(&mut table, &body(2, "{}"), start);
    assert_eq!(beat(&mut table, Some(5), start + SECOND), Ok("renewed"));
    assert_eq!(beat(&mut table, Some(6), start + 2 * SECOND), Ok("updated"));
    let row = table.row(&key(1)).unwrap();
    assert_eq!((row.entry.registered.at, row.heartbeats), (start + 2 * SECOND, 1));
    let ports: Vec<_> = table.rows(&json()).iter().map(|row| row.entry.key.port).collect();
    assert_eq!(ports, [1, 2], "its place in the list is the same");
}

#[test]
fn an_earlier_life_neither_renews_nor_replaces_nor_removes_a_later_one() {
    let start = Instant::now();
    let mut table = table(start);
    beat(&mut table, Some(6), start).unwrap();
    let revision = table.revision();
    assert_eq!(beat(&mut table, Some(5), start + 4 * SECOND), Err(6));
    assert!(!leave(&mut table, Some(5), start + 4 * SECOND));
    assert_eq!((listed(&table), table.revision()), (Some(Some(6)), revision));
    assert_eq!(expired(&mut table, start + 10 * SECOND), [1], "only its own heartbeats count");
}

#[test]
fn a_life_that_unregistered_does_not_come_back_but_the_next_one_does() {
    let start = Instant::now();
    let mut table = table(start);
    beat(&mut table, Some(5), start).unwrap();
    assert!(leave(&mut table, Some(5), start));
    for earlier in [5, 4] {
        assert_eq!(beat(&mut table, Some(earlier), start + SECOND), Err(5));
    }
    assert_eq!(beat(&mut table, Some(6), start + SECOND), Ok("registered"));
    // Nor after the next life has gone without a word.
    assert_eq!(expired(&mut table, start + 11 * SECOND), [1]);
    assert_eq!(beat(&mut table, Some(5), start + 59 * SECOND), Err(5));
    // What is so late is no heartbeat on its way: a clock was set back.
    assert_eq!(beat(&mut table, Some(5), start + 60 * SECOND), Ok("registered"));
}

#[test]
fn a_farewell_removes_what_its_life_would_have_replaced() {
    let start = Instant::now();
    let mut table = table(start);
    beat(&mut table, Some(5), start).unwrap();
    assert!(leave(&mut table, Some(6), start), "6 has listened there, so 5 does not any more");
    assert_eq!(beat(&mut table, Some(6), start), Err(6), "its registration was overtaken");
}

#[test]
fn a_life_that_expired_may_come_back() {
    let start = Instant::now();
    let mut table = table(start);
    beat(&mut table, Some(5), start).unwrap();
    assert_eq!(expired(&mut table, start + 10 * SECOND), [1]);
    assert_eq!(beat(&mut table, Some(5), start + 10 * SECOND), Ok("registered"));
}

#[test]
fn what_has_no_incarnation_replaces_and_removes_as_ever_and_any_incarnation_replaces_it() {
    let start = Instant::now();
    let mut table = table(start);
    beat(&mut table, Some(5), start).unwrap();
    assert_eq!(beat(&mut table, None, start), Ok("updated"));
    assert!(!leave(&mut table, Some(9), start + SECOND), "the farewell of another");
    assert_eq!(beat(&mut table, Some(10), start + SECOND), Ok("updated"));
    assert!(leave(&mut table, None, start + SECOND));
    assert_eq!(beat(&mut table, Some(10), start + SECOND), Ok("registered"));
    assert!(leave(&mut table, Some(10), start + SECOND));
    assert_eq!(beat(&mut table, None, start + SECOND), Ok("registered"));
}

#[test]
fn what_left_before_a_restart_is_still_known_after_it() {
    let start = Instant::now();
    let wall = UNIX_EPOCH + 1_000_000 * SECOND;
    // The clock may have been set back meanwhile: then the whole window is left.
    for (at, left) in [(wall - 50 * SECOND, 10), (wall + 24 * 3600 * SECOND, 60)] {
        let mut table = table(start);
        let departure = |incarnation| Departure { key: key(1), incarnation, at, stamp: 1 };
        table.restore_departure(departure(Some(5)), wall, start);
        table.restore_departure(departure(None), wall, start);
        let last = start + left * SECOND - MILLISECOND;
        assert_eq!(beat(&mut table, Some(5), last), Err(5));
        assert!(table.unregistered_recently(&key(1), last));
        assert!(!table.unregistered_recently(&key(1), last + MILLISECOND));
        assert_eq!(beat(&mut table, Some(5), last + MILLISECOND), Ok("registered"));
    }
}

#[test]
fn a_start_in_the_future_is_refused_unless_it_follows_one_that_is_known() {
    let start = Instant::now();
    let latest = first_incarnation(1_796_000_000 * SECOND);
    let mut table = table(start);
    let check = |table: &Table, incarnation: u64| {
        let body = life(Some(incarnation));
        let registration = Registration::parse(&body, &RegistryOptions::default()).unwrap();
        table.refuse_implausible(&registration, latest, start)
    };
    assert_eq!(check(&table, latest), Ok(()));
    let refused = |given: u64| Err(Refusal::AheadOfClock(given));
    assert_eq!(check(&table, latest + 1), refused(latest + 1));
    assert_eq!(check(&table, u64::MAX), refused(u64::MAX));
    // It is listed because the clock of the registry was set back since.
    beat(&mut table, Some(MAX_INCARNATION), start).unwrap();
    assert_eq!(check(&table, MAX_INCARNATION), Ok(()), "a heartbeat with other parameters");
    assert_eq!(check(&table, MAX_INCARNATION + 1), Ok(()));
    assert_eq!(check(&table, MAX_INCARNATION + 2), refused(MAX_INCARNATION + 2));
    leave(&mut table, Some(MAX_INCARNATION), start);
    assert_eq!(check(&table, MAX_INCARNATION + 1), Ok(()), "also after it has left");
}

#[test]
fn an_instance_counts_for_the_peer_of_its_last_life() {
    let start = Instant::now();
    let options = RegistryOptions { max_instances_per_peer: 1, ..Default::default() };
    let mut table = Table::new(&options, start);
    let [first, second] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
    register_from(&mut table, &life(Some(1)), first, start).unwrap();
    register_from(&mut table, &life(Some(2)), second, start).unwrap();
    assert_eq!(register_from(&mut table, &body(2, "{}"), second, start), Err(Refusal::PeerFull(1)));
    register_from(&mut table, &body(2, "{}"), first, start).unwrap();
    let refused = register_from(&mut table, &life(Some(3)), first, start);
    assert_eq!((refused, listed(&table)), (Err(Refusal::PeerFull(1)), Some(Some(2))));
    table.unregister(&key(1), None, start);
    table.unregister(&key(2), None, start);
    assert!(table.by_peer.is_empty());
}

#[test]
fn no_clock_that_is_set_removes_anybody() {
    const A_DAY: Duration = Duration::from_secs(24 * 3600);
    let start = Instant::now();
    let wall = UNIX_EPOCH + 1_796_000_000 * SECOND;
    let mut table = table(start);
    table.set_wall(wall, start);
    let life = Some(first_incarnation(1_796_000_000 * SECOND));
    beat(&mut table, life, start).unwrap();
    let mut now = start;
    for set in [wall + A_DAY, wall - A_DAY, wall] {
        table.set_wall(set, now);
        now += 9 * SECOND;
        assert_eq!(expired(&mut table, now), NONE_EXPIRED, "{set:?}");
        assert_eq!(beat(&mut table, life, now), Ok("renewed"));
    }
    assert_eq!(expired(&mut table, now + 10 * SECOND), [1], "its silence does");
}

/// The rules of lives, as few words as they take.
#[derive(Debug)]
struct Lives {
    /// What is listed, and its deadline.
    listed: Option<(Option<u64>, Instant)>,
    /// When each unregistered last.
    left: BTreeMap<u64, Instant>,
}

impl Lives {
    /// The highest that left within a minute of its own farewell or of a later one of a lower life.
    fn barred(&self, now: Instant) -> Option<u64> {
        let recent = |at: &Instant| now < *at + 60 * SECOND;
        self.left.iter().filter(|(_, at)| recent(at)).map(|(life, _)| *life).max()
    }

    fn beat(&mut self, life: Option<u64>, now: Instant) -> Result<&'static str, u64> {
        let known = self.listed.map(|(listed, _)| listed);
        let later = known.flatten().filter(|listed| Some(*listed) > life);
        let left = self.barred(now).filter(|left| Some(*left) >= life);
        if let Some(current) = later.max(left).filter(|_| life.is_some()) {
            return Err(current);
        }
        self.listed = Some((life, now + 10 * SECOND));
        Ok(match known {
            None => "registered",
            Some(same) if same == life => "renewed",
            Some(_) => "updated",
        })
    }

    fn leave(&mut self, life: Option<u64>, now: Instant) -> bool {
        if let Some(life) = life {
            let highest = self.barred(now).max(Some(life)).unwrap();
            self.left.insert(highest, now);
        }
        let stays = |listed: Option<u64>| match (listed, life) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(listed), Some(life)) => listed > life,
        };
        self.listed.take_if(|(listed, _)| !stays(*listed)).is_some()
    }
}

proptest! {
    #[test]
    fn whatever_the_order_of_what_several_lives_send_the_rules_hold(
        steps in prop::collection::vec((0u64..4, 0u8..8, 0u64..25), 0..200),
    ) {
        let mut now = Instant::now();
        let mut table = table(now);
        let mut lives = Lives { listed: None, left: BTreeMap::new() };
        for (life, what, seconds) in steps {
            let life = (life > 0).then_some(life);
            let before = listed(&table);
            match what {
                0..=3 => prop_assert_eq!(beat(&mut table, life, now), lives.beat(life, now)),
                4..=5 => prop_assert_eq!(leave(&mut table, life, now), lives.leave(life, now)),
                _ => {
                    now = now.max(table.next_check()).max(now + u32::try_from(seconds).unwrap() * SECOND);
                    expired(&mut table, now);
                    lives.listed.take_if(|(_, deadline)| *deadline <= now);
                }
            }
            let after = listed(&table);
            prop_assert_eq!(after, lives.listed.map(|(life, _)| life));
            if let (Some(Some(before)), Some(Some(after))) = (before, after) {
                prop_assert!(before <= after, "an earlier life has replaced a later one");
            }
            if let (Some(Some(after)), Some(left)) = (after, lives.barred(now)) {
                prop_assert!(after > left, "a life that left is listed");
            }
            prop_assert_eq!(table.by_body.len(), table.len());
        }
    }
}
