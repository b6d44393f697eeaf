//! Operations of spatial analysis, as the graph keeps them for the extension.

use lva_graph_model::nodes::ExtensionProtocol;
use lva_graph_model::{Instance, Node};
use serde_json::{Value, json};

use crate::support::{graph, street, with};

/// The operation of a street with a vision extension, parsed; its members as the document has them.
fn kept(operation: Value) -> (String, Value) {
    let node = json!({
        "@type": "#Microsoft.VideoAnalyzer.CognitiveServicesVisionProcessor",
        "name": "vision",
        "endpoint": {"@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "tcp://spatial:50051"},
        "operation": operation,
        "inputs": [{"nodeName": "camera"}],
    });
    let document = with(street(), "/properties/processors/0", node);
    let document = with(
        document,
        "/properties/processors/1/inputs/0/nodeName",
        json!("vision"),
    );
    let parameters = json!([{"name": "area", "type": "String", "default": "[[0,0],[0,1],[0.5,1],[0,0]]"},
                            {"name": "camera", "type": "SecretString", "default": "{\"cameras\": []}"}]);
    let document = with(document, "/properties/parameters", parameters);
    let graph = graph(document, &Instance::new("s", "Street", []));
    let text = graph.nodes().iter().find_map(|node| match &node.kind {
        Node::Extension(extension) => match &extension.protocol {
            ExtensionProtocol::ComputerVision { operation } => operation.clone(),
            _ => None,
        },
        _ => None,
    });
    let text = text.unwrap();
    (format!("{text:?}"), serde_json::from_str(text.as_str()).unwrap())
}

fn zone(events: Value) -> Value {
    json!([{"zone": {"@type": "#Microsoft.VideoAnalyzer.NamedPolygonString", "name": "door", "polygon": "${area}"},
            "events": events}])
}

#[test]
fn a_typed_operation_is_kept_in_the_schema_s_spelling_with_parameters_filled_in() {
    let events = json!([{"Threshold": 16, "focus": "FOOT_PRINT", "trigger": "Event", "outputFrequency": "2.0",
                         "minimumDistanceThreshold": "1.5"}]);
    let (_, distance) = kept(json!({
        "@type": "#microsoft.videoanalyzer.spatialAnalysisPersonDistanceOperation",
        "debug": "False",
        "Zones": zone(events),
    }));
    assert_eq!(
        distance,
        json!({
            "@type": "#Microsoft.VideoAnalyzer.SpatialAnalysisPersonDistanceOperation",
            "zones": [{
                "zone": {"@type": "#Microsoft.VideoAnalyzer.NamedPolygonString", "name": "door",
                         "polygon": "[[0.0,0.0],[0.0,1.0],[0.5,1.0]]"},
                "events": [{"threshold": "16", "focus": "footprint", "trigger": "event",
                            "outputFrequency": "2", "minimumDistanceThreshold": "1.5"}],
            }],
        })
    );
    let (_, crossing) = kept(json!({
        "@type": "#Microsoft.VideoAnalyzer.SpatialAnalysisPersonZoneCrossingOperation",
        "zones": zone(json!([{"focus": "bottomCenter", "eventType": "zoneDwellTime"}, {}])),
    }));
    assert_eq!(
        crossing["zones"][0]["events"],
        json!([{"focus": "bottomCenter", "eventType": "zoneDwellTime"},
               {"focus": "footprint", "eventType": "zoneCrossing"}])
    );
}

#[test]
fn lines_and_settings_are_kept_and_secrets_hidden() {
    let (shown, lines) = kept(json!({
        "@type": "#Microsoft.VideoAnalyzer.SpatialAnalysisPersonLineCrossingOperation",
        "debug": "true",
        "cameraConfiguration": "${camera}",
        "lines": [{"line": {"@type": "#Microsoft.VideoAnalyzer.NamedLineString", "name": "gate",
                            "line": "[[0.5, 0.1], [0.5, 0.9]]"}}],
    }));
    assert_eq!(lines["lines"][0]["line"]["line"], "[[0.5,0.1],[0.5,0.9]]");
    assert_eq!(lines["debug"], "true");
    assert_eq!(lines["cameraConfiguration"], "{\"cameras\": []}");
    assert_eq!(shown, "***");
}
