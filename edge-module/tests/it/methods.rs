//! Methods, metrics and health over HTTP.

use serde_json::{Value, json};

use crate::support::{Client, activated, config, instance, named, started, state_of, topology};

#[tokio::test]
async fn a_graph_is_set_run_and_removed_by_plain_calls() {
    let directory = tempfile::tempdir().unwrap();
    let module = started(config(directory.path())).await;
    let mut client = Client::of(module.http_address().unwrap());
    activated(&mut client, "one").await;
    assert_eq!(state_of(&mut client, "one").await, "Active");
    let (status, all) = client.get("/api/v1/instances").await;
    let all: Value = serde_json::from_str(&all).unwrap();
    assert_eq!((status, &all["value"][0]["topology"]), (200, &json!("watch")));
    assert_eq!(all["value"][0]["stats"]["received"], 0);
    for (method, status) in [
        ("GraphInstanceDeactivate", 200),
        ("GraphInstanceDelete", 200),
        ("GraphInstanceDelete", 204),
    ] {
        assert_eq!(client.method(method, &named("one")).await.0, status, "{method}");
    }
    let (status, answer) = client.method("GraphInstanceActivate", &named("one")).await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("NotFound")));
    assert!(module.stop().await);
}

#[tokio::test]
async fn the_service_api_answers_in_its_envelope() {
    let directory = tempfile::tempdir().unwrap();
    let module = started(config(directory.path())).await;
    let mut client = Client::of(module.http_address().unwrap());
    let path = "/twins/device/modules/lvaEdge/methods?api-version=2021-04-12";
    let call =
        json!({"methodName": "GraphTopologySet", "responseTimeoutInSeconds": 30, "payload": topology()});
    let (status, body) = client.post(path, &call.to_string()).await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &answer["status"]), (200, &json!(201)));
    assert_eq!(answer["payload"]["name"], "watch");

    let unknown = json!({"methodName": "Nonsense"}).to_string();
    let (status, body) = client.post(path, &unknown).await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &answer["status"]), (200, &json!(501)));
    let (status, body) = client.post("/twins/device/modules/other/methods", &unknown).await;
    assert!(
        status == 404 && body.contains("404010") && body.contains("lvaEdge"),
        "{body}"
    );
    let (status, body) = client.post(path, "{}").await;
    assert!(status == 400 && body.contains("methodName"), "{body}");
}

#[tokio::test]
async fn payloads_that_are_no_objects_are_bad_requests_with_a_code() {
    let directory = tempfile::tempdir().unwrap();
    let module = started(config(directory.path())).await;
    let mut client = Client::of(module.http_address().unwrap());
    for payload in ["", "null", "[]", "not json", "\"text\""] {
        let (status, body) = client.post("/api/v1/methods/GraphTopologyList", payload).await;
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 400, "{payload}: {body}");
        assert!(
            answer["error"]["code"].is_string() && answer["error"]["message"].is_string(),
            "{body}"
        );
    }
}

#[tokio::test]
async fn metrics_have_the_names_of_the_contract_and_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let module = started(config(directory.path())).await;
    let mut client = Client::of(module.http_address().unwrap());
    activated(&mut client, "one").await;
    let (status, text) = Client::of(module.metrics_address().unwrap())
        .get("/metrics")
        .await;
    assert_eq!(status, 200);
    let labels = "iothub=\"\",edge_device=\"device\",module_name=\"lvaEdge\",graph_topology=\"watch\"";
    assert!(
        text.contains(&format!("lva_active_graph_instances{{{labels}}} 1")),
        "{text}"
    );
    assert!(
        text.contains("lva_edge_methods_total{method=\"GraphInstanceActivate\",status=\"200\"} 1"),
        "{text}"
    );
    for name in [
        "lva_received_bytes",
        "lva_data_dropped",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(text.contains(&format!("# TYPE {name} ")), "{name}: {text}");
    }
    assert!(text.ends_with("# EOF\n") && !text.contains("geheim-17"));
}

#[tokio::test]
async fn health_is_answered_without_a_token_and_the_description_lists_all_calls() {
    let directory = tempfile::tempdir().unwrap();
    let module = started(config(directory.path())).await;
    let mut client = Client::of(module.http_address().unwrap());
    assert_eq!(client.get("/healthz").await, (200, "ok\n".into()));
    assert_eq!(client.get("/readyz").await, (200, "ready\n".into()));
    let (_, text) = client.get("/api/v1/openapi.json").await;
    let document: Value = serde_json::from_str(&text).unwrap();
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(
        paths,
        [
            "/api/v1/instances",
            "/api/v1/methods/{name}",
            "/api/v1/twin",
            "/twins/{device}/modules/{module}",
            "/twins/{device}/modules/{module}/methods"
        ]
    );
    assert_eq!(client.get("/nowhere").await.0, 404);
    assert_eq!(client.get("/api/v1/methods/GraphTopologyList").await.0, 405);
}

#[tokio::test]
async fn no_answer_and_no_error_shows_a_secret() {
    let directory = tempfile::tempdir().unwrap();
    let module = started(config(directory.path())).await;
    let mut client = Client::of(module.http_address().unwrap());
    activated(&mut client, "one").await;
    for method in ["GraphInstanceGet", "GraphInstanceList", "GraphInstanceSet"] {
        let payload = if method == "GraphInstanceSet" {
            instance("one")
        } else {
            named("one")
        };
        let (_, answer) = client.method(method, &payload).await;
        assert!(!answer.to_string().contains("geheim-17"), "{method}: {answer}");
    }
    let (_, all) = client.get("/api/v1/instances").await;
    assert!(!all.contains("geheim-17"));
}
