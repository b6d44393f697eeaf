use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::Connection;

fn table(places: usize) -> (Table, Instant) {
    let limits = ConnectionLimits::default().with_max_connections(places);
    (Table::new(limits), Instant::now())
}

fn from(last: u8) -> Option<IpAddr> {
    Some(Ipv4Addr::new(10, 0, 0, last).into())
}

#[test]
fn a_newcomer_gets_the_place_of_the_oldest_unknown_connection_of_the_address_with_most() {
    let (table, now) = table(4);
    let good = table.admit(from(1), now).unwrap();
    let flood: Vec<_> = (0..3).map(|_| table.admit(from(2), now).unwrap()).collect();
    let newcomer = table.admit(from(3), now).unwrap();
    assert!(flood[0].is_closing() && !flood[1].is_closing() && !flood[2].is_closing());
    assert!(!good.is_closing() && !newcomer.is_closing());
}

#[test]
fn whoever_is_vouched_for_keeps_its_place_until_it_is_unused_for_long() {
    let (table, now) = table(2);
    let (idle, busy) = (table.admit(None, now).unwrap(), table.admit(None, now).unwrap());
    for one in [&idle, &busy] {
        Connection(Arc::clone(one)).vouch();
        one.begin();
    }
    idle.end(now);
    assert!(table.admit(None, now + UNUSED / 2).is_none());
    assert!(table.admit(None, now + UNUSED).is_some());
    assert!(idle.is_closing() && !busy.is_closing());
    let counts = Arc::new(table).reader().read();
    assert_eq!((counts.admitted, counts.evicted, counts.refused), (3, 1, 1));
}

#[test]
fn a_connection_without_a_request_in_time_closes_and_an_idle_one_later() {
    let (table, now) = table(3);
    let silent = table.admit(None, now).unwrap();
    let idle = table.admit(None, now).unwrap();
    let busy = table.admit(None, now).unwrap();
    idle.begin();
    idle.end(now);
    busy.begin();
    table.close_overdue(now + Duration::from_secs(9));
    assert!(!silent.is_closing());
    table.close_overdue(now + Duration::from_secs(10));
    assert!(silent.is_closing() && !idle.is_closing());
    table.close_overdue(now + Duration::from_secs(300));
    assert!(idle.is_closing() && !busy.is_closing());
    let counts = Arc::new(table).reader().read();
    assert_eq!((counts.without_request, counts.idle), (1, 1));
}

#[test]
fn refusals_and_unknown_requests_on_one_connection_are_bounded() {
    let (table, now) = table(3);
    let guessing = table.admit(None, now).unwrap();
    let connection = Connection(Arc::clone(&guessing));
    (0..15).for_each(|_| connection.refuse());
    assert!(!guessing.is_closing());
    connection.refuse();
    assert!(guessing.is_closing());

    let (probe, known) = (table.admit(None, now).unwrap(), table.admit(None, now).unwrap());
    Connection(Arc::clone(&known)).vouch();
    for one in [&probe, &known] {
        for _ in 0..1001 {
            one.begin();
            one.end(now);
        }
    }
    assert!(probe.is_closing() && !known.is_closing());
}

#[test]
fn used_up_descriptors_free_one_that_nobody_vouched_for() {
    let (table, now) = table(9);
    let silent = table.admit(None, now).unwrap();
    table.accept_failed(false, now);
    assert!(!silent.is_closing());
    table.accept_failed(true, now);
    assert!(silent.is_closing());
}

proptest! {
    /// Whatever comes: never more than twice the places, and no connection that is vouched for and in use is closed.
    #[test]
    fn places_are_bounded_and_good_peers_stay(
        steps in proptest::collection::vec((0_u8..5, 0_u8..8, 0_u64..40), 1..200),
    ) {
        let (table, start) = table(8);
        let mut now = start;
        let mut good = Vec::new();
        let mut open: Vec<Arc<State>> = Vec::new();
        for (action, which, seconds) in steps {
            now += Duration::from_secs(seconds);
            match action {
                0 | 1 => open.extend(table.admit(from(which % 3), now)),
                2 if good.len() < 7 => if let Some(one) = open.get(usize::from(which)).filter(|one| !one.is_closing()) {
                    Connection(Arc::clone(one)).vouch();
                    one.begin();
                    good.push(Arc::clone(one));
                },
                3 => table.close_overdue(now),
                _ => open.retain(|one| {
                    if one.is_closing() {
                        table.remove(one.number);
                    }
                    !one.is_closing()
                }),
            }
            prop_assert!(table.open.lock().all.len() <= 16);
            prop_assert!(good.iter().all(|one| !one.is_closing()));
        }
    }
}
