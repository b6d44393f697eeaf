//! Methods, and what is refused.

use lva_graph_model::methods::InstanceState;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_graph_that_no_instance_can_run_is_rejected_when_it_is_set() {
    let sink = json!({
        "@type": "#Microsoft.Media.MediaGraphAssetSink", "name": "everything",
        "assetNamePattern": "all-${System.GraphInstanceName}", "localMediaCachePath": "/var/lib/x",
        "localMediaCacheMaximumSizeMiB": "200", "inputs": [{"nodeName": "rtspSource", "outputSelectors": [
            {"property": "mediaType", "operator": "is", "value": "audio"},
        ]}],
    });
    let directory = tempfile::tempdir().unwrap();
    let (module, _) = module(directory.path());
    let (status, answer) = module
        .invoke("GraphTopologySet", &topology(vec![], vec![sink]))
        .await;
    assert_eq!(status, 400, "{answer}");
    let text = answer.to_string();
    for part in [
        "VideoExcluded",
        "sink 'everything'",
        "exclude all video",
        "select 'video'",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn what_the_libraries_refuse_is_rejected_at_the_activation_by_name_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let (module, _) = module(directory.path());
    must(&module, "GraphTopologySet", topology(vec![], vec![])).await;
    must(&module, "GraphInstanceSet", instance("rtsp://cam[1]/x", 1)).await;
    let (status, answer) = module
        .invoke("GraphInstanceActivate", &by_name("Sample-Graph-1"))
        .await;
    assert_eq!(status, 409, "{answer}");
    let text = answer.to_string();
    for part in ["rtspSource", "RtspSource", "correct the endpoint's url"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(module.state("Sample-Graph-1"), Some(InstanceState::Inactive));
    assert!(module.stats("Sample-Graph-1").is_none());
}

#[tokio::test]
async fn an_instance_without_a_camera_is_active_and_can_be_stopped_and_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let (module, _) = module(directory.path());
    let instance = instance("rtsp://127.0.0.1:1/media/x.mp4", 1);
    activate(&module, topology(vec![], vec![]), instance).await;
    let name = || by_name("Sample-Graph-1");
    let shown = must(&module, "GraphInstanceGet", name()).await;
    assert_eq!(shown["properties"]["state"], "Active");
    assert!(!shown.to_string().contains(PASSWORD), "{shown}");
    must(&module, "GraphInstanceActivate", name()).await;
    let (status, _) = module.invoke("GraphInstanceDelete", &name()).await;
    assert_eq!(status, 409);
    // Two at once: the second waits for the first.
    let stop = || must(&module, "GraphInstanceDeactivate", name());
    tokio::join!(stop(), stop());
    must(&module, "GraphInstanceActivate", name()).await;
    must(&module, "GraphInstanceDeactivate", name()).await;
    must(&module, "GraphInstanceDelete", name()).await;
    let list = must(&module, "GraphInstanceList", json!({"@apiVersion": "1.0"})).await;
    assert_eq!(list, json!({"value": []}));
    let (status, _) = module.invoke("GraphInstanceActivate", &name()).await;
    assert_eq!(status, 404);
    assert_eq!(module.invoke("MakeCoffee", &json!({})).await.0, 501);
}

#[tokio::test]
async fn shutdown_stops_everything_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let (module, _) = module(directory.path());
    activate(
        &module,
        topology(vec![], vec![]),
        instance("rtsp://127.0.0.1:1/x", 1),
    )
    .await;
    module.shutdown().await;
    assert_eq!(module.state("Sample-Graph-1"), Some(InstanceState::Inactive));
}

#[tokio::test]
async fn what_ran_until_the_shutdown_is_saved_as_active() {
    let directory = tempfile::tempdir().unwrap();
    let (module, _) = module(directory.path());
    let instance = instance("rtsp://127.0.0.1:1/x", 1);
    activate(&module, topology(vec![], vec![]), instance).await;
    let before = module.save();
    module.shutdown().await;
    assert_eq!(module.save(), before);
    let name = json!({"@apiVersion": "1.0", "name": "Sample-Graph-1"});
    must(&module, "GraphInstanceDeactivate", name).await;
    assert_ne!(module.save(), before);
}

#[tokio::test]
async fn a_saved_module_comes_back_with_what_ran_running() {
    let directory = tempfile::tempdir().unwrap();
    let (before, _) = module(directory.path());
    let instance = instance("rtsp://127.0.0.1:1/media/x.mp4", 1);
    activate(&before, topology(vec![], vec![]), instance).await;
    let saved = before.save();
    before.shutdown().await;

    let options = lva_graph_runtime::RuntimeOptions::new(directory.path());
    let (after, failures) = lva_graph_runtime::Module::restore(&saved, options.clone(), vec![]).unwrap();
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(after.state("Sample-Graph-1"), Some(InstanceState::Active));
    assert_eq!(after.save(), saved);
    after.shutdown().await;
    assert!(lva_graph_runtime::Module::restore(&json!({}), options, vec![]).is_err());
}
