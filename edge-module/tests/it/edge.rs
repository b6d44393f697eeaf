//! `lva-edge module` under IoT Edge: connection, methods, events.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use serde_json::json;

use crate::edge_hub::Seen;
use crate::site::Site;
use crate::support::{Client, Program, activated, instance, named, state_of, topology};

async fn disconnected(site: &mut Site) {
    let pick = |seen| (seen == Seen::Disconnect).then_some(());
    site.hub.next("DISCONNECT", pick).await;
}

/// Ends it by SIGTERM, and expects a clean end.
async fn stopped(site: &mut Site, program: &mut Program) {
    program.signal(Signal::TERM);
    disconnected(site).await;
    assert_eq!(program.wait(), Some(0));
    assert_eq!(site.hub.violations(), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seven_variables_are_enough_and_sigterm_disconnects() {
    let mut site = Site::new().await;
    let mut program = site.start(&[]);
    let (expires, _) = site.connect().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!((now + 3400..=now + 3600).contains(&expires));
    assert_eq!(
        site.subscribe().await,
        [
            "$iothub/methods/POST/#",
            "$iothub/twin/res/#",
            "$iothub/twin/PATCH/properties/desired/#",
            "devices/dev1/modules/lva=Edge/inputs/#",
        ]
    );
    let product = site.reported("ProductInfo").await;
    assert!(product.as_str().unwrap().starts_with("Live Video Analytics:"));
    assert_eq!(site.reported("State").await, "Running");
    assert_eq!(program.metric("lva_edge_hub_connected", "").await, 1.0);
    let labels = "iothub=\"hub.example\",edge_device=\"dev1\",module_name=\"lva=Edge\"";
    site.must("GraphTopologySet", topology()).await;
    site.must("GraphInstanceSet", instance("one")).await;
    site.must("GraphInstanceActivate", named("one")).await;
    assert_eq!(program.metric("lva_active_graph_instances", labels).await, 1.0);
    stopped(&mut site, &mut program).await;
    assert_eq!(site.workload.signatures.load(SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_live_as_long_as_asked_and_each_connection_has_a_new_one() {
    let mut site = Site::new().await;
    // A slow machine may be late; that a token is renewed in time is a matter of the rules, and tested there.
    site.hub.set(|behaviour| behaviour.cut_at_expiry = false);
    let mut program = site.start(&["--token-life", "8"]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let first = site.connect().await;
    assert!(first.0 <= now + 8 + crate::PATIENCE.as_secs());
    let mut earlier = first;
    for _ in 0..2 {
        let next = site.connect().await;
        assert!(
            next.0 > earlier.0 && next.1 != earlier.1,
            "{next:?} after {earlier:?}"
        );
        earlier = next;
    }
    site.subscribe().await;
    stopped(&mut site, &mut program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_trust_bundle_is_trusted_and_the_gateways_name_is_checked() {
    for (is_vouched_for, name) in [(false, None), (true, Some("other.example"))] {
        let site = Site::with_certificate(is_vouched_for, |address| {
            name.map_or(address.to_string(), str::to_owned)
        })
        .await;
        let program = site.start(&[]);
        let failed = async {
            while program.metric("lva_edge_hub_connect_failures_total", "").await < 2.0 {
                tokio::task::yield_now().await;
            }
        };
        crate::within("two attempts", failed).await;
        assert_eq!(program.metric("lva_edge_hub_connections_total", "").await, 0.0);
        assert_eq!(
            site.workload.signatures.load(SeqCst),
            0,
            "no token for an untrusted gateway"
        );
        program.logged("TLS failed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_that_are_no_objects_are_400_and_unknown_methods_501() {
    let mut site = Site::new().await;
    let mut program = site.started().await;
    for payload in ["", "null", "{not json", "[]", "\"text\"", "7"] {
        let (status, answer) = site.call("GraphTopologyList", payload).await;
        assert_eq!(status, 400, "{payload}: {answer}");
        let error = &answer["error"];
        assert!(
            error["code"].is_string() && error["message"].is_string(),
            "{answer}"
        );
    }
    for name in ["GraphTopologyExplode", "Sturz%20hinab"] {
        assert_eq!(site.call(name, "{}").await.0, 501);
        assert_eq!(site.call(name, "").await.0, 501);
    }
    stopped(&mut site, &mut program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_overlap_and_no_answer_has_a_secret() {
    let mut site = Site::new().await;
    let mut program = site.started().await;
    site.must("GraphTopologySet", topology()).await;
    for name in ["one", "two", "one"] {
        site.must("GraphInstanceSet", instance(name)).await;
    }
    for name in ["one", "two"] {
        site.hub.publish(
            &format!("$iothub/methods/POST/GraphInstanceActivate/?$rid={name}"),
            &named(name).to_string(),
        );
    }
    let mut open = vec!["one", "two"];
    while !open.is_empty() {
        let pick = |seen| match seen {
            Seen::Answer { topic, .. } => Some(topic),
            _ => None,
        };
        let topic = site.hub.next("an answer", pick).await;
        assert!(topic.starts_with("$iothub/methods/res/200/"), "{topic}");
        open.retain(|name| !topic.ends_with(&format!("$rid={name}")));
    }
    // Called again, as a caller does whose answer was lost.
    assert_eq!(site.call("GraphInstanceActivate", named("one")).await.0, 200);
    for method in ["GraphInstanceGet", "GraphInstanceList", "GraphTopologyList"] {
        let answer = site.must(method, named("one")).await;
        assert!(!answer.to_string().contains("geheim"), "{method}: {answer}");
    }
    assert!(!program.log().contains("geheim"));
    stopped(&mut site, &mut program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_over_128_kib_is_answered_in_pages() {
    let mut site = Site::new().await;
    let mut program = site.started().await;
    const COUNT: usize = 40;
    let description = "x".repeat(6_000);
    for number in 0..COUNT {
        let mut topology = topology();
        topology["name"] = format!("topology-{number:02}").into();
        topology["properties"]["description"] = description.clone().into();
        site.must("GraphTopologySet", topology).await;
    }
    let mut names = Vec::new();
    let mut pages = 0;
    let mut request = json!({"@apiVersion": "1.0"});
    loop {
        // No answer is over the limit: the hub that answers here checks it.
        let page = site.must("GraphTopologyList", request.clone()).await;
        pages += 1;
        names.extend(
            page["value"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["name"].clone()),
        );
        match page.get("@continuationToken") {
            Some(token) => request["@continuationToken"] = token.clone(),
            None => break,
        }
    }
    assert_eq!((names.len(), pages), (COUNT, 3));
    names.dedup();
    assert_eq!(names.len(), COUNT);
    stopped(&mut site, &mut program).await;
}

/// The ids of the events that the hub sees, until there are so many.
async fn ids(site: &mut Site, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let id = site
            .event("an event", |event| Some(event.property("$.mid").to_owned()))
            .await;
        // Sent again where the test is slow.
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn events_survive_kill_9_with_their_ids_and_in_their_order() {
    let mut site = Site::new().await;
    site.hub.set(|behaviour| behaviour.acknowledge = false);
    let mut program = site.started().await;
    site.must("GraphTopologySet", topology()).await;
    for name in ["one", "two", "three"] {
        site.must("GraphInstanceSet", instance(name)).await;
        site.must("GraphInstanceActivate", named(name)).await;
    }
    // Each instance emits its start, and that its camera does not answer.
    let before = ids(&mut site, 6).await;
    program.signal(Signal::KILL);
    program.wait();
    site.hub.set(|behaviour| behaviour.acknowledge = true);
    let mut program = site.start(&[]);
    assert_eq!(ids(&mut site, 6).await, before);
    stopped(&mut site, &mut program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_after_kill_9_instances_run_and_what_they_emit_arrives_later() {
    let mut site = Site::new().await;
    let mut program = site.started().await;
    activated(&mut Client::of(program.address), "one").await;
    program.signal(Signal::KILL);
    program.wait();

    // No gateway and no workload API.
    let mut environment = site.environment();
    for (name, value) in &mut environment {
        match *name {
            "IOTEDGE_GATEWAYHOSTNAME" => *value = "127.255.255.253".into(),
            "IOTEDGE_WORKLOADURI" => *value = "unix:///nowhere/workload.sock".into(),
            _ => {}
        }
    }
    let mut program = Program::start_with(site.directory.path(), &[], Some(&environment));
    let mut client = Client::of(program.address);
    assert_eq!(state_of(&mut client, "one").await, "Active");
    assert_eq!(client.get("/readyz").await.0, 200);
    // Its outputs are those of the last twin.
    let waiting = async {
        while program.metric("lva_edge_outbox_events", "").await < 2.0 {
            tokio::task::yield_now().await;
        }
    };
    crate::within("events in the outbox", waiting).await;
    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));

    let mut program = site.start(&[]);
    let stop = site
        .event("the end of the run without a broker", |event| {
            (event.name() == "GraphInstanceStopped").then(|| event.clone())
        })
        .await;
    assert_eq!(stop.property("$.on"), "AmsOperational");
    stopped(&mut site, &mut program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_ends_the_connection_is_connected_to_and_subscribed_to_again() {
    let mut site = Site::new().await;
    let mut program = site.started().await;
    for _ in 0..2 {
        site.hub.close();
        site.connect().await;
        assert_eq!(site.subscribe().await.len(), 4);
        site.must("GraphTopologyList", json!({"@apiVersion": "1.0"}))
            .await;
    }
    stopped(&mut site, &mut program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_refused_it_connects_seldom_and_never_gives_up() {
    let mut site = Site::new().await;
    site.hub.set(|behaviour| behaviour.refuse = 1);
    let begun = Instant::now();
    let mut program = site.start(&[]);
    let refused = site.connect().await;
    let accepted = site.connect().await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_ne!(refused.1, accepted.1, "signed anew");
    assert_eq!(site.subscribe().await.len(), 4);
    assert_eq!(program.metric("lva_edge_hub_not_authorized_total", "").await, 1.0);
    site.must("GraphTopologyList", json!({"@apiVersion": "1.0"}))
        .await;
    stopped(&mut site, &mut program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unacknowledged_events_come_again_with_their_ids_whether_the_session_is_present_or_not() {
    for session_present in [false, true] {
        let mut site = Site::new().await;
        site.hub.set(|behaviour| {
            behaviour.acknowledge = false;
            behaviour.session_present = session_present;
        });
        let mut program = site.started().await;
        site.must("GraphTopologySet", topology()).await;
        for name in ["one", "two"] {
            site.must("GraphInstanceSet", instance(name)).await;
            site.must("GraphInstanceActivate", named(name)).await;
        }
        let before = ids(&mut site, 4).await;
        site.hub.set(|behaviour| behaviour.acknowledge = true);
        site.hub.close();
        assert_eq!(ids(&mut site, 4).await, before);
        stopped(&mut site, &mut program).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_address_in_use_does_not_keep_a_module_from_its_hub() {
    let mut site = Site::new().await;
    // In use by this test, or by another program.
    let _ports = ["127.0.0.1:8580", "127.0.0.1:9600"].map(std::net::TcpListener::bind);
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_lva-edge"))
        .arg("module")
        .current_dir(site.directory.path())
        .env_clear()
        .envs(site.environment())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(site.reported("State").await, "Running");
    site.must("GraphTopologyList", json!({"@apiVersion": "1.0"}))
        .await;
    program.kill().unwrap();
    program.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_address_in_use_is_an_error_before_the_hub_is_connected() {
    let site = Site::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flags in [
        ["--http", &address, "--metrics", ""],
        ["--http", "", "--metrics", &address],
    ] {
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_lva-edge"))
            .arg("module")
            .args(flags)
            .current_dir(site.directory.path())
            .env_clear()
            .envs(site.environment())
            .output()
            .unwrap();
        let error = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(2));
        assert!(error.contains(&address), "{error}");
    }
    assert_eq!(site.workload.signatures.load(SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_too_large_for_an_answer_is_set_and_listed_shortened() {
    let mut site = Site::new().await;
    let mut program = site.started().await;
    let mut large = topology();
    large["name"] = "large".into();
    // A request that just fits.
    let room = 131_000 - large.to_string().len();
    large["properties"]["description"] = "x".repeat(room - 20).into();
    let set = site.must("GraphTopologySet", large).await;
    assert!(set["name"] == "large" && set["@note"].is_string(), "{set}");
    site.must("GraphTopologySet", topology()).await;
    let mut request = json!({"@apiVersion": "1.0", "@continuationToken": ""});
    let mut names = Vec::new();
    loop {
        let page = site.must("GraphTopologyList", request.clone()).await;
        let entries = page["value"].as_array().unwrap();
        names.extend(entries.iter().map(|one| one["name"].clone()));
        match page.get("@continuationToken") {
            Some(token) => request["@continuationToken"] = token.clone(),
            None => break,
        }
    }
    assert_eq!(names, ["large", "watch"]);
    stopped(&mut site, &mut program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_environment_is_explained() {
    let site = Site::new().await;
    let environment = site.environment();
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_lva-edge"))
        .args(["module", "--http", "", "--metrics", ""])
        .current_dir(site.directory.path())
        .env_clear()
        .envs(
            environment
                .into_iter()
                .filter(|(name, _)| *name != "IOTEDGE_DEVICEID"),
        )
        .output()
        .unwrap();
    let error = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(2));
    assert!(error.contains("IOTEDGE_DEVICEID"), "{error}");
}
