use proptest::prelude::*;
use serde_json::json;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn connected() -> (Twin, Instant) {
    let mut twin = Twin::new();
    twin.on_connected();
    (twin, Instant::now())
}

fn expect_get(twin: &mut Twin, now: Instant) -> String {
    match twin.poll(now) {
        Some(TwinRequest::Get { request_id }) => request_id.to_string(),
        other => panic!("expected a GET, not {other:?}"),
    }
}

fn expect_report(twin: &mut Twin, now: Instant) -> (String, Value) {
    match twin.poll(now) {
        Some(TwinRequest::Report { request_id, body }) => {
            (request_id.to_string(), serde_json::from_slice(&body).unwrap())
        }
        other => panic!("expected a report, not {other:?}"),
    }
}

fn document(version: u64, desired: Value) -> Vec<u8> {
    let mut desired = desired;
    desired["$version"] = version.into();
    json!({"desired": desired, "reported": {"$version": 1}})
        .to_string()
        .into()
}

/// Connected, with version 3 of `{"a":1}`.
fn with_document() -> (Twin, Instant) {
    let (mut twin, now) = connected();
    let id = expect_get(&mut twin, now);
    let outcome = twin.on_answer(&id, 200, &document(3, json!({"a":1})), now);
    assert_eq!(outcome, TwinOutcome::DesiredChanged);
    (twin, now)
}

fn notice(twin: &mut Twin, version: u64, patch: Value) -> TwinOutcome {
    twin.on_notice(Some(version), patch.to_string().as_bytes())
}

/// The desired properties that are to be published.
fn published(twin: &mut Twin, now: Instant) -> Option<Value> {
    std::iter::from_fn(|| twin.poll(now)).find_map(|request| match request {
        TwinRequest::Desired { body } => Some(serde_json::from_slice(&body).unwrap()),
        _ => None,
    })
}

fn own(version: u64) -> Desired {
    Desired::new(Map::from_iter([("a".to_owned(), version.into())]), version)
}

fn comes(twin: &mut Twin, desired: &Desired) -> TwinOutcome {
    twin.on_desired(desired.to_document().to_string().as_bytes())
}

#[test]
fn own_desired_properties_are_published_until_the_broker_has_them() {
    let (mut twin, now) = connected();
    comes(&mut twin, &own(1));
    twin.set_desired(own(2), Some(own(1)));
    assert_eq!(published(&mut twin, now), Some(json!({"a": 2, "$version": 2})));
    assert_eq!(published(&mut twin, now), None);
    twin.on_disconnected();
    twin.on_connected();
    // The broker has the old ones still, and sends them as it does after each subscription.
    assert_eq!(comes(&mut twin, &own(1)), TwinOutcome::Unchanged);
    assert_eq!(twin.desired(), Some(&own(2)));
    assert_eq!(published(&mut twin, now), Some(json!({"a": 2, "$version": 2})));
    assert_eq!(comes(&mut twin, &own(2)), TwinOutcome::DesiredChanged);
    twin.on_disconnected();
    twin.on_connected();
    assert_eq!(published(&mut twin, now), None);
    assert_eq!(comes(&mut twin, &own(2)), TwinOutcome::Unchanged);
}

#[test]
fn what_another_wrote_meanwhile_wins_over_own_desired_properties() {
    let (mut twin, now) = connected();
    twin.on_disconnected();
    twin.set_desired(own(2), Some(own(1)));
    assert_eq!(twin.poll(now), None);
    twin.on_connected();
    // The broker may be about to send it.
    assert_eq!(published(&mut twin, now), None);
    assert_eq!(comes(&mut twin, &own(7)), TwinOutcome::DesiredChanged);
    assert_eq!(twin.desired(), Some(&own(7)));
    assert_eq!(published(&mut twin, now + SECOND), None);
}

#[test]
fn a_broker_that_keeps_nothing_gets_own_desired_properties_after_a_second() {
    let (mut twin, now) = connected();
    twin.on_disconnected();
    twin.set_desired(own(2), Some(own(1)));
    twin.on_connected();
    assert_eq!(published(&mut twin, now), None);
    twin.on_answer("1", 200, &document(1, json!({})), now);
    assert_eq!(twin.wakeup(now), Some(now + SECOND));
    assert!(published(&mut twin, now + SECOND).is_some());
}

#[test]
fn the_document_is_fetched_after_each_connect_and_told_only_when_it_is_new() {
    let (mut twin, now) = with_document();
    assert_eq!(twin.desired().unwrap().version, 3);
    twin.on_disconnected();
    assert_eq!(twin.poll(now), None);
    twin.on_connected();
    let id = expect_get(&mut twin, now);
    let same = twin.on_answer(&id, 200, &document(3, json!({"a":1})), now);
    assert_eq!(same, TwinOutcome::Unchanged);
}

#[test]
fn a_notice_is_applied_once() {
    let (mut twin, now) = with_document();
    assert_eq!(
        notice(&mut twin, 4, json!({"b":2,"$version":4})),
        TwinOutcome::DesiredChanged
    );
    assert_eq!(notice(&mut twin, 4, json!({"b":9})), TwinOutcome::Unchanged);
    assert_eq!(notice(&mut twin, 2, json!({"b":9})), TwinOutcome::Unchanged);
    let desired = twin.desired().unwrap();
    assert_eq!(Value::Object(desired.properties.clone()), json!({"a":1,"b":2}));
    assert_eq!(desired.version, 4);
    assert_eq!(twin.poll(now), None);
}

#[test]
fn a_gap_leads_to_another_fetch_and_later_notices_are_kept() {
    let (mut twin, now) = with_document();
    assert_eq!(notice(&mut twin, 6, json!({"c":6})), TwinOutcome::Unchanged);
    let id = expect_get(&mut twin, now);
    assert_eq!(notice(&mut twin, 7, json!({"d":7})), TwinOutcome::Unchanged);
    let outcome = twin.on_answer(&id, 200, &document(5, json!({"a":5})), now);
    assert_eq!(outcome, TwinOutcome::DesiredChanged);
    let desired = twin.desired().unwrap();
    assert_eq!(
        Value::Object(desired.properties.clone()),
        json!({"a":5,"c":6,"d":7})
    );
    assert_eq!(desired.version, 7);
}

#[test]
fn a_copy_older_than_a_notice_is_asked_for_again_after_a_pause() {
    let (mut twin, now) = with_document();
    notice(&mut twin, 9, json!({"c":1}));
    let id = expect_get(&mut twin, now);
    twin.on_answer(&id, 200, &document(5, json!({})), now);
    assert_eq!(twin.poll(now), None);
    let at = twin.wakeup(now).unwrap();
    assert!(at >= now + SECOND);
    let id = expect_get(&mut twin, at);
    twin.on_answer(&id, 200, &document(9, json!({"c":1})), at);
    assert_eq!(twin.desired().unwrap().version, 9);
    assert_eq!(twin.wakeup(at), None);
}

#[test]
fn notices_are_applied_though_the_document_never_reaches_them() {
    let (mut twin, now) = with_document();
    notice(&mut twin, 9, json!({"c":9}));
    let id = expect_get(&mut twin, now);
    notice(&mut twin, 11, json!({"d":11}));
    // A gateway's copy without versions.
    let copy = json!({"desired":{"a":1}}).to_string();
    twin.on_answer(&id, 200, copy.as_bytes(), now);
    let at = twin.wakeup(now).unwrap();
    let id = expect_get(&mut twin, at);
    let outcome = twin.on_answer(&id, 200, copy.as_bytes(), at);
    assert_eq!(outcome, TwinOutcome::DesiredChanged);
    let desired = twin.desired().unwrap();
    assert_eq!(
        Value::Object(desired.properties.clone()),
        json!({"a":1,"c":9,"d":11})
    );
    assert_eq!(desired.version, 11);
    assert_eq!(twin.wakeup(at), None, "nothing is asked for any more");
    assert_eq!(
        notice(&mut twin, 12, json!({"c":12})),
        TwinOutcome::DesiredChanged
    );
}

#[test]
fn a_pause_that_the_hub_asked_for_outlives_the_connection() {
    let (mut twin, now) = connected();
    let id = expect_get(&mut twin, now);
    twin.on_answer(&id, 429, b"", now);
    twin.on_disconnected();
    twin.on_connected();
    assert_eq!(twin.poll(now + 9 * SECOND), None);
    assert_eq!(twin.wakeup(now), Some(now + 10 * SECOND));
    let id = expect_get(&mut twin, now + 10 * SECOND);
    // Other failures do not delay the document after a reconnection.
    twin.on_answer(&id, 500, b"", now + 10 * SECOND);
    twin.on_disconnected();
    twin.on_connected();
    expect_get(&mut twin, now + 10 * SECOND);
}

#[test]
fn an_answer_to_an_earlier_process_is_ignored() {
    let now = Instant::now();
    let mut earlier = Twin::new().with_first_request_id(u64::MAX);
    let mut twin = Twin::new().with_first_request_id(7);
    for twin in [&mut earlier, &mut twin] {
        twin.on_connected();
    }
    let old = expect_get(&mut earlier, now);
    let new = expect_get(&mut twin, now);
    let body = document(1, json!({}));
    assert_eq!(twin.on_answer(&old, 200, &body, now), TwinOutcome::Unchanged);
    assert_eq!(twin.on_answer(&new, 200, &body, now), TwinOutcome::DesiredChanged);
}

#[test]
fn a_lost_answer_is_asked_for_again() {
    let (mut twin, now) = connected();
    let first = expect_get(&mut twin, now);
    assert_eq!(twin.poll(now + 9 * SECOND), None);
    assert_eq!(twin.wakeup(now), Some(now + 10 * SECOND));
    let second = expect_get(&mut twin, now + 10 * SECOND);
    assert_ne!(first, second);
    let late = twin.on_answer(&first, 200, &document(1, json!({})), now + 11 * SECOND);
    assert_eq!(late, TwinOutcome::Unchanged);
    let outcome = twin.on_answer(&second, 200, &document(1, json!({})), now + 11 * SECOND);
    assert_eq!(outcome, TwinOutcome::DesiredChanged);
}

#[test]
fn a_throttled_twin_pauses_at_least_nine_seconds() {
    let (mut twin, now) = connected();
    let id = expect_get(&mut twin, now);
    twin.on_answer(&id, 429, b"", now);
    assert_eq!(twin.poll(now + 9 * SECOND), None);
    expect_get(&mut twin, now + 10 * SECOND);
}

#[test]
fn a_document_that_is_not_json_is_asked_for_again() {
    let (mut twin, now) = connected();
    for body in [&b"{"[..], b"[]", br#"{"desired":1}"#] {
        let at = twin.wakeup(now).unwrap();
        let id = expect_get(&mut twin, at);
        assert_eq!(twin.on_answer(&id, 200, body, at), TwinOutcome::Unchanged);
    }
    assert!(twin.desired().is_none());
    assert!(twin.wakeup(now).is_some());
}

#[test]
fn a_notice_that_is_not_json_leads_to_another_fetch() {
    let (mut twin, now) = with_document();
    assert_eq!(twin.on_notice(Some(4), b"{"), TwinOutcome::Unchanged);
    expect_get(&mut twin, now);
}

#[test]
fn reported_changes_travel_as_one_and_one_at_a_time() {
    let (mut twin, now) = with_document();
    twin.report(json!({"a":1,"b":{"x":1}})).unwrap();
    twin.report(json!({"a":null,"b":{"y":2}})).unwrap();
    let (id, body) = expect_report(&mut twin, now);
    assert_eq!(body, json!({"a":null,"b":{"x":1,"y":2}}));
    twin.report(json!({"c":3})).unwrap();
    assert_eq!(twin.poll(now), None);
    assert_eq!(twin.on_answer(&id, 204, b"", now), TwinOutcome::Reported);
    assert_eq!(Value::Object(twin.reported().clone()), json!({"b":{"x":1,"y":2}}));
    let (_, body) = expect_report(&mut twin, now);
    assert_eq!(body, json!({"c":3}));
}

#[test]
fn an_object_after_a_value_is_a_report_of_its_own() {
    let (mut twin, now) = with_document();
    twin.report(json!({"a":{"old":1}})).unwrap();
    twin.report(json!({"a":null})).unwrap();
    twin.report(json!({"a":{"new":1}})).unwrap();
    let (id, body) = expect_report(&mut twin, now);
    assert_eq!(body, json!({"a":null}));
    twin.on_answer(&id, 204, b"", now);
    let (id, body) = expect_report(&mut twin, now);
    assert_eq!(body, json!({"a":{"new":1}}));
    twin.on_answer(&id, 204, b"", now);
    assert_eq!(Value::Object(twin.reported().clone()), json!({"a":{"new":1}}));
    assert!(!twin.is_reporting());
}

#[test]
fn unacknowledged_reports_are_sent_again_with_what_changed_since() {
    let (mut twin, now) = with_document();
    twin.report(json!({"a":1,"b":1})).unwrap();
    expect_report(&mut twin, now);
    twin.report(json!({"b":2})).unwrap();
    twin.on_disconnected();
    assert!(twin.is_reporting());
    twin.on_connected();
    expect_get(&mut twin, now);
    let (_, body) = expect_report(&mut twin, now);
    assert_eq!(body, json!({"a":1,"b":2}));
    // Its answer is lost too.
    let later = now + 10 * SECOND;
    expect_get(&mut twin, later);
    let (_, body) = expect_report(&mut twin, later);
    assert_eq!(body, json!({"a":1,"b":2}));
}

#[test]
fn a_refused_report_is_dropped_and_a_throttled_one_is_not() {
    let (mut twin, now) = with_document();
    twin.report(json!({"a":1})).unwrap();
    let (id, _) = expect_report(&mut twin, now);
    let refused = twin.on_answer(&id, 400, b"", now);
    assert_eq!(refused, TwinOutcome::ReportRefused { status: 400 });
    assert!(!twin.is_reporting());
    twin.report(json!({"a":2})).unwrap();
    let (id, _) = expect_report(&mut twin, now);
    assert_eq!(twin.on_answer(&id, 429, b"", now), TwinOutcome::Unchanged);
    assert_eq!(twin.poll(now + 9 * SECOND), None);
    let (_, body) = expect_report(&mut twin, now + 10 * SECOND);
    assert_eq!(body, json!({"a":2}));
}

#[test]
fn reports_wait_for_a_connection_and_are_bounded() {
    let mut twin = Twin::new();
    let now = Instant::now();
    twin.report(json!({"a":1})).unwrap();
    assert_eq!(twin.poll(now), None);
    assert_eq!(twin.report(json!([1])), Err(TwinLimitError::NotAnObject));
    let filler: Vec<String> = vec!["s".repeat(1000); 20];
    twin.report(json!({"b": filler})).unwrap();
    let over = twin.report(json!({"c": filler}));
    assert!(matches!(over, Err(TwinLimitError::TooLarge { .. })));
}

#[test]
fn waiting_notices_are_bounded() {
    let (mut twin, now) = connected();
    expect_get(&mut twin, now);
    for version in 2..1000 {
        notice(&mut twin, version, json!({"a": version}));
        assert!(twin.notices.len() <= MAX_WAITING_NOTICES);
    }
}

proptest! {
    /// Whatever is lost, doubled or reordered: once the hub answers, both sides hold the same document.
    #[test]
    fn the_twin_agrees_with_the_hub_in_the_end(steps in proptest::collection::vec((0u8..6, "[a-c]", any::<u8>()), 1..40)) {
        let (mut twin, mut now) = connected();
        let mut hub = Desired { properties: Map::new(), version: 1 };
        let mut asked = None;
        let mut held = Vec::new();
        for (step, name, value) in steps {
            now += SECOND;
            if let Some(TwinRequest::Get { request_id }) = twin.poll(now) {
                asked = Some(request_id.to_string());
            }
            match step {
                0 | 1 => {
                    let patch = Map::from_iter([(name, if value > 200 { Value::Null } else { value.into() })]);
                    merge_patch(&mut hub.properties, &patch);
                    hub.version += 1;
                    if step == 0 {
                        notice(&mut twin, hub.version, Value::Object(patch));
                    } else {
                        held.push((hub.version, patch));
                    }
                }
                2 => if let Some((version, patch)) = held.pop() {
                    notice(&mut twin, version, Value::Object(patch));
                },
                3 => if let Some(id) = asked.take() {
                    twin.on_answer(&id, 200, &document(hub.version, Value::Object(hub.properties.clone())), now);
                },
                4 => if let Some(id) = asked.take() {
                    twin.on_answer(&id, 500, b"", now);
                },
                _ => {
                    twin.on_disconnected();
                    twin.on_connected();
                    held.clear();
                    asked = None;
                }
            }
        }
        // Notices that were lost show when the next one comes.
        hub.version += 1;
        notice(&mut twin, hub.version, json!({}));
        for _ in 0..4 {
            let Some(at) = twin.wakeup(now) else { break };
            now = now.max(at);
            if let Some(TwinRequest::Get { request_id }) = twin.poll(now) {
                let body = document(hub.version, Value::Object(hub.properties.clone()));
                twin.on_answer(&request_id.to_string(), 200, &body, now);
            }
        }
        prop_assert_eq!(twin.desired(), Some(&hub));
    }
}
