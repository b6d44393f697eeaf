//! The module's twin: required properties, live changes, faults of the hub.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::edge_hub::Seen;
use crate::site::{Hub, Site, desired, twin};
use crate::support::{instance, named, topology};

#[tokio::test(flavor = "multi_thread")]
async fn a_required_property_that_is_removed_is_named_and_restored_it_serves_again() {
    let mut site = Site::new().await;
    let program = site.started().await;
    let list = json!({"@apiVersion": "1.0"});
    let mut version = 3;
    for property in [
        "azureMediaServicesArmId",
        "applicationDataDirectory",
        "aadServicePrincipalSecret",
    ] {
        version += 1;
        site.notify(version, json!({property: null}));
        assert_eq!(site.reported("State").await, "ModuleConfigurationRequired");
        let (status, answer) = site.call("GraphTopologyList", &list).await;
        let error = &answer["error"];
        assert_eq!((status, &error["code"]), (403, &json!("Forbidden")), "{answer}");
        assert_eq!(error["details"][0]["code"], "ModuleConfigurationRequired");
        assert!(error["message"].as_str().unwrap().contains(property), "{answer}");
        version += 1;
        site.notify(version, json!({property: desired()[property]}));
        assert_eq!(site.reported("State").await, "Running");
        site.must("GraphTopologyList", list.clone()).await;
    }
    assert!(!program.log().contains("geheim"));
    let data = site.directory.path().join("lva-edge-data");
    for (file, mode) in [("", 0o700), ("twin.json", 0o600)] {
        let found = std::fs::metadata(data.join(file)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{file}");
    }
    assert_eq!(site.hub.violations(), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_twin_is_remembered_and_a_right_one_of_the_other_product_serves() {
    let mut site = Site::new().await;
    site.hub.set(|behaviour| behaviour.twin = twin(1, json!({})));
    let program = site.start(&[]);
    assert_eq!(site.reported("State").await, "ModuleConfigurationRequired");
    assert_eq!(
        site.call("livePipelineList", json!({"@apiVersion": "1.1"}))
            .await
            .0,
        403
    );
    drop(program);

    // Until the hub answers, the last twin is in force.
    site.hub.set(|behaviour| behaviour.answer_twin = false);
    let program = site.start(&[]);
    site.subscribe().await;
    assert_eq!(
        site.call("livePipelineList", json!({"@apiVersion": "1.1"}))
            .await
            .0,
        403
    );
    let video_analyzer =
        json!({"ApplicationDataDirectory": "/var/lib/videoanalyzer", "provisioningToken": "geheim-19"});
    site.hub.set(|behaviour| {
        behaviour.answer_twin = true;
        behaviour.twin = twin(2, video_analyzer);
    });
    site.hub.close();
    assert_eq!(site.reported("State").await, "Running");
    assert_eq!(
        site.call("livePipelineList", json!({"@apiVersion": "1.1"}))
            .await
            .0,
        200
    );
    assert!(!program.log().contains("geheim"));
}

/// The next event of this name that comes on an output.
async fn event(site: &mut Site, name: &str) -> (String, String) {
    let pick = |event: &crate::site::HubEvent| {
        let property = |name: &str| event.property(name).to_owned();
        (event.name() == name).then(|| (property("$.on"), property("topic")))
    };
    site.event(name, pick).await
}

async fn run_of(site: &mut Site, name: &str) {
    site.must("GraphInstanceSet", instance(name)).await;
    site.must("GraphInstanceActivate", named(name)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_and_topic_are_the_twins_and_apply_live() {
    let mut site = Site::new().await;
    let _program = site.started().await;
    site.must("GraphTopologySet", topology()).await;
    run_of(&mut site, "one").await;
    let (output, topic) = event(&mut site, "GraphInstanceStarted").await;
    assert_eq!(output, "AmsOperational");
    assert_eq!(topic, desired()["azureMediaServicesArmId"]);
    assert_eq!(event(&mut site, "NetworkError").await.0, "AmsDiagnostics");

    site.notify(
        4,
        json!({"azureMediaServicesArmId": "/new", "diagnosticsEventsOutputName": "other", "operationalEventsOutputName": ""}),
    );
    site.reported("State").await;
    run_of(&mut site, "two").await;
    // The operational event of the start is not sent; the diagnostics event goes to the new output.
    let next = site
        .event("an event of the second instance", |event| {
            let is_own = event.property("subject").contains("/two");
            is_own.then(|| {
                (
                    event.property("$.on").to_owned(),
                    event.property("topic").to_owned(),
                )
            })
        })
        .await;
    assert_eq!(next, ("other".to_owned(), "/new".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_throttles_is_asked_again_after_ten_seconds_and_methods_are_served() {
    let site = Site::new().await;
    site.hub.set(|behaviour| behaviour.throttle_twin = 1);
    is_asked_again(site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_on_mosquitto_that_throttles_is_asked_again_after_ten_seconds_or_skips() {
    let Some(mut site) = Site::on_mosquitto().await else {
        return;
    };
    site.hub.behaviour.throttle_twin = 1;
    is_asked_again(site).await;
}

async fn is_asked_again<H: Hub>(mut site: Site<H>) {
    let _program = site.start(&[]);
    let asked = |seen| match seen {
        Seen::TwinGet(at) => Some(at),
        _ => None,
    };
    let first = site.hub.next("a question for the twin", asked).await;
    site.must("GraphTopologyList", json!({"@apiVersion": "1.0"}))
        .await;
    let second = site.hub.next("another one", asked).await;
    assert!(second - first >= Duration::from_secs(9), "{:?}", second - first);
    assert_eq!(site.reported("State").await, "Running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_and_a_missing_version_fetched() {
    let mut site = Site::new().await;
    site.hub.set(|behaviour| behaviour.answer_twin = false);
    let program = site.start(&[]);
    let asked = |seen| matches!(seen, Seen::TwinGet(_)).then_some(());
    site.hub.next("a question for the twin", asked).await;
    site.hub.set(|behaviour| behaviour.answer_twin = true);
    site.hub.next("the same question again", asked).await;
    assert_eq!(site.reported("State").await, "Running");

    // The notice of version 4 is lost, that of version 5 shows it.
    let mut now = desired();
    now.as_object_mut().unwrap().remove("aadTenantId");
    site.hub.set(|behaviour| behaviour.twin = twin(5, now));
    site.notify(5, json!({"telemetryOptOut": true}));
    site.hub.next("a question after the gap", asked).await;
    assert_eq!(site.reported("State").await, "ModuleConfigurationRequired");
    program.signal(Signal::TERM);
}

#[tokio::test(flavor = "multi_thread")]
async fn unsecured_endpoints_are_refused_while_the_twin_forbids_them() {
    let mut site = Site::new().await;
    let program = site.started().await;
    site.must("GraphTopologySet", topology()).await;
    run_of(&mut site, "one").await;
    site.notify(4, json!({"allowUnsecuredEndpoints": false}));
    site.reported("State").await;
    site.must("GraphInstanceSet", instance("two")).await;
    let (status, answer) = site.call("GraphInstanceActivate", named("two")).await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer.to_string().contains("allowUnsecuredEndpoints"), "{answer}");
    // What runs goes on until the next start, at which the last twin is known.
    let state = async |site: &mut Site| {
        site.must("GraphInstanceGet", named("one")).await["properties"]["state"].clone()
    };
    assert_eq!(state(&mut site).await, "Active");
    drop(program);
    let mut forbidding = desired();
    forbidding["allowUnsecuredEndpoints"] = false.into();
    site.hub.set(|behaviour| behaviour.twin = twin(4, forbidding));
    let _program = site.started().await;
    assert_eq!(state(&mut site).await, "Inactive");
    site.notify(5, json!({"allowUnsecuredEndpoints": true}));
    site.reported("State").await;
    site.must("GraphInstanceActivate", named("two")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn log_level_and_categories_of_the_twin_decide_what_is_logged() {
    let mut site = Site::new().await;
    let program = site.started().await;
    site.must("GraphTopologySet", topology()).await;
    run_of(&mut site, "one").await;
    program.logged(" Events: {\"id\":").await;
    program.logged("Request started").await;
    site.notify(4, json!({"logLevel": "Error", "logCategories": "Application"}));
    site.reported("State").await;
    run_of(&mut site, "two").await;
    let is_started = |event: &crate::site::HubEvent| {
        (event.name() == "GraphInstanceStarted" && event.property("subject").ends_with("/two")).then_some(())
    };
    site.event("the start of the second instance", is_started).await;
    // The log had the event before it may log again.
    let published = async |sink: &str| program.metric("lva_edge_sink_events_published_total", sink).await;
    let until_now = published("hub").await;
    let taken = async {
        while published("log").await < until_now {
            tokio::task::yield_now().await;
        }
    };
    crate::within("the log", taken).await;
    site.notify(
        5,
        json!({"logLevel": "verbose", "logCategories": "application, events"}),
    );
    site.reported("State").await;
    run_of(&mut site, "three").await;
    program.logged("/graphInstances/three").await;
    let log = program.log();
    let is_start =
        |line: &&str| line.contains("/graphInstances/two") && line.contains("GraphInstanceStarted");
    assert_eq!(log.lines().find(is_start), None);
}
