//! `lva-edge module` under IoT Edge with mosquitto as its gateway: TLS, faults of the way and of the broker.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::broker_hub::{BrokerHub, CLIENT_ID};
use crate::edge_hub::PATH;
use crate::line::Way;
use crate::peer::Peer;
use crate::site::Site;
use crate::support::{Client, Program, instance, named, topology};

/// Until a metric has at least this value.
async fn reaches(program: &Program, name: &str, label: &str, least: f64) {
    Client::of(program.metrics).reaches(name, label, least).await;
}

/// Activates these instances by HTTP, which needs no hub.
async fn activate(program: &Program, names: &[&str]) {
    let mut client = Client::of(program.address);
    for name in names {
        crate::support::activated(&mut client, name).await;
    }
}

/// Waits until the hub has all that the outbox took: as many ids as events, whatever came twice. Returns them in the order of
/// their first arrival.
async fn all_arrived(site: &mut Site<BrokerHub>, program: &Program) -> Vec<String> {
    // Instances whose camera does not answer emit nothing more once they are stopped.
    let mut client = Client::of(program.address);
    let (_, list) = client
        .method("GraphInstanceList", &json!({"@apiVersion": "1.0"}))
        .await;
    for one in list["value"].as_array().unwrap() {
        let stopped = client
            .method("GraphInstanceDeactivate", &named(one["name"].as_str().unwrap()))
            .await;
        assert_eq!(stopped.0, 200, "{stopped:?}");
    }
    let mut ids: Vec<String> = Vec::new();
    loop {
        reaches(program, "lva_edge_hub_connected", "", 1.0).await;
        let accepted = accepted(program).await;
        while ids.len() < accepted {
            let id = site
                .event("an event", |event| Some(event.property("$.mid").to_owned()))
                .await;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let waiting = program.metric("lva_edge_outbox_events", "").await;
        if waiting == 0.0 && ids.len() == self::accepted(program).await {
            assert_eq!(program.metric("lva_edge_outbox_dropped_total", "").await, 0.0);
            return ids;
        }
    }
}

async fn accepted(program: &Program) -> usize {
    program.metric("lva_edge_outbox_accepted_total", "").await as usize
}

/// Ends it by SIGTERM, and expects a clean end.
async fn stopped(site: &Site<BrokerHub>, program: &mut Program) {
    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));
    let logged = async {
        // As mosquitto logs DISCONNECT; otherwise the client closed its connection.
        while !site
            .hub
            .broker
            .log()
            .contains(&format!("Client {CLIENT_ID} disconnected."))
        {
            tokio::task::yield_now().await;
        }
    };
    crate::within("DISCONNECT", logged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twin_methods_and_events_pass_over_mosquitto_with_tls_or_skips() {
    let Some(mut site) = Site::on_mosquitto().await else {
        return;
    };
    let mut program = site.start(&[]);
    let running = tokio::time::timeout(Duration::from_secs(20), site.reported("State")).await;
    assert_eq!(running.expect("connected within 20 s"), "Running");
    site.must("GraphTopologySet", topology()).await;
    site.must("GraphInstanceSet", instance("one")).await;
    site.must("GraphInstanceActivate", named("one")).await;
    let started = site.event("an event", |event| Some(event.clone())).await;
    assert_eq!(started.name(), "GraphInstanceStarted");
    for (name, value) in [
        ("$.on", "AmsOperational"),
        ("$.ct", "application/json"),
        ("$.ce", "utf-8"),
        ("subject", "/graphInstances/one"),
    ] {
        assert_eq!(started.property(name), value, "{name}");
    }
    assert_eq!(site.call("GraphTopologyExplode", "{}").await.0, 501);
    assert_eq!(site.call("GraphTopologyList", "").await.0, 400);

    site.notify(4, json!({"operationalEventsOutputName": "other"}));
    site.reported("State").await;
    site.must("GraphInstanceDeactivate", named("one")).await;
    let is_stop = |event: &crate::site::HubEvent| {
        (event.name() == "GraphInstanceStopped").then(|| event.property("$.on").to_owned())
    };
    assert_eq!(site.event("the stop", is_stop).await, "other");
    stopped(&site, &mut program).await;
    assert_eq!(site.workload.signatures.load(SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn renewed_tokens_cost_no_event_or_skips() {
    let Some(mut site) = Site::on_mosquitto().await else {
        return;
    };
    let mut program = site.start(&["--token-life", "8"]);
    site.reported("State").await;
    let mut names = Vec::new();
    for number in 0..3 {
        names.push(format!("instance-{number}"));
        activate(&program, &[names.last().unwrap()]).await;
        reaches(
            &program,
            "lva_edge_hub_tokens_renewed_total",
            "",
            f64::from(number) + 1.0,
        )
        .await;
    }
    let ids = all_arrived(&mut site, &program).await;
    assert!(ids.len() >= 2 * names.len(), "{ids:?}");
    assert_eq!(
        program.metric("lva_edge_hub_connections_lost_total", "").await,
        0.0
    );
    stopped(&site, &mut program).await;
    assert!(
        site.workload.signatures.load(SeqCst) >= 4,
        "a token for each connection"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_client_with_the_modules_identity_costs_no_event_or_skips() {
    let Some(mut site) = Site::on_mosquitto().await else {
        return;
    };
    let mut program = site.start(&[]);
    site.reported("State").await;
    activate(&program, &["before"]).await;
    // It keeps what the module is subscribed to, as a copy of the module would, until it is displaced.
    let rival = Peer::start(site.hub.broker.port, CLIENT_ID, &[&format!("{PATH}/inputs/#")]).await;
    reaches(&program, "lva_edge_hub_connections_lost_total", "", 1.0).await;
    activate(&program, &["meanwhile"]).await;
    drop(rival);
    reaches(&program, "lva_edge_hub_connected", "", 1.0).await;
    site.must("GraphTopologyList", json!({"@apiVersion": "1.0"}))
        .await;
    activate(&program, &["after"]).await;
    assert!(all_arrived(&mut site, &program).await.len() >= 6);
    stopped(&site, &mut program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_without_puback_come_again_with_their_ids_to_a_broker_that_forgot_the_session_or_skips() {
    let Some(mut site) = Site::on_mosquitto().await else {
        return;
    };
    let mut program = site.start(&[]);
    site.reported("State").await;
    site.hub.line.set(Way::Deaf);
    activate(&program, &["one", "two"]).await;
    let mut before = BTreeSet::new();
    while before.len() < 4 {
        before.insert(
            site.event("an event", |event| Some(event.property("$.mid").to_owned()))
                .await,
        );
    }
    assert_eq!(program.metric("lva_edge_outbox_delivered_total", "").await, 0.0);
    site.hub.line.set(Way::Closed);
    reaches(&program, "lva_edge_hub_connections_lost_total", "", 1.0).await;
    site.hub.forget_session().await;
    site.hub.line.set(Way::Open);
    reaches(&program, "lva_edge_hub_events_resent_total", "", 4.0).await;
    let after: BTreeSet<String> = all_arrived(&mut site, &program).await.into_iter().collect();
    assert!(before.is_subset(&after), "{before:?} {after:?}");
    // What was subscribed to is again.
    site.must("GraphTopologyList", json!({"@apiVersion": "1.0"}))
        .await;
    stopped(&site, &mut program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_events_that_a_broker_sends_back_are_ignored_and_counted_or_skips() {
    let Some(mut site) = Site::on_mosquitto().await else {
        return;
    };
    // An earlier client with this identity subscribed to all below its path, and the broker remembers.
    drop(Peer::start(site.hub.broker.port, CLIENT_ID, &[&format!("{PATH}/#")]).await);
    let mut program = site.start(&[]);
    site.reported("State").await;
    activate(&program, &["one"]).await;
    let sent = all_arrived(&mut site, &program).await.len();
    let ignored = "lva_edge_hub_messages_ignored_total";
    reaches(&program, ignored, "own_event", sent as f64).await;
    assert_eq!(program.metric("lva_edge_hub_inputs_total", "").await, 0.0);
    assert_eq!(program.metric(ignored, "").await, sent as f64);
    stopped(&site, &mut program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_is_found_within_70_s_and_gets_all_events_or_skips() {
    let Some(mut site) = Site::on_mosquitto().await else {
        return;
    };
    let mut program = site.start(&[]);
    site.reported("State").await;
    activate(&program, &["before"]).await;
    reaches(&program, "lva_edge_outbox_delivered_total", "", 2.0).await;
    site.hub.line.set(Way::Closed);
    site.hub.broker.kill();
    activate(&program, &["meanwhile"]).await;
    reaches(&program, "lva_edge_hub_connect_failures_total", "", 2.0).await;
    site.hub.restart().await;
    site.hub.line.set(Way::Open);
    let begun = Instant::now();
    reaches(&program, "lva_edge_hub_connected", "", 1.0).await;
    site.must("GraphTopologyList", json!({"@apiVersion": "1.0"}))
        .await;
    assert!(begun.elapsed() < Duration::from_secs(70), "{:?}", begun.elapsed());
    all_arrived(&mut site, &program).await;
    stopped(&site, &mut program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connack_5_is_not_the_end_and_leads_to_no_storm_or_skips() {
    let Some(mut site) = Site::on_mosquitto().await else {
        return;
    };
    site.hub.refuse(site.directory.path(), true);
    let mut program = site.start(&[]);
    reaches(&program, "lva_edge_hub_not_authorized_total", "", 1.0).await;
    activate(&program, &["meanwhile"]).await;
    site.hub.refuse(site.directory.path(), false);
    // By the rules, which the session's tests prove for an hour, 20 s pass at least.
    assert_eq!(site.reported("State").await, "Running");
    let connects = site.workload.signatures.load(SeqCst);
    assert!(
        (2..=20).contains(&connects),
        "{connects} CONNECTs, each with a token of its own"
    );
    all_arrived(&mut site, &program).await;
    stopped(&site, &mut program).await;
}
