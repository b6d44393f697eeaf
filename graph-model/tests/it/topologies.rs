//! The published topologies, each by itself, where the shared data is at hand.

use std::collections::BTreeSet;
use std::path::Path;

use lva_graph_model::{
    DiagnosticCode, DocumentError, Generation, Instance, ParameterType, Strictness, Topology, resolve,
};
use serde_json::Value;

use crate::support::shared_data;

/// What the README next to the topologies promises about a file.
enum Expected {
    /// A topology of an edge module: fine.
    Edge(Generation),
    /// A topology of the cloud service: refused by name.
    Cloud,
}

macro_rules! published {
    ($($test:ident: $file:literal => $expected:expr,)+) => {
        pub(crate) const FILES: &[&str] = &[$($file,)+];
        $(#[test] fn $test() { check($file, $expected); })+
    };
}

published! {
    lva_1_0_cvr_asset_or_skips: "lva-1.0/cvr-asset.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_cvr_with_grpcextension_early_or_skips: "lva-1.0/cvr-with-grpcExtension-early.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_cvr_with_grpcextension_or_skips: "lva-1.0/cvr-with-grpcExtension.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_cvr_with_httpextension_or_skips: "lva-1.0/cvr-with-httpExtension.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_cvr_with_motion_or_skips: "lva-1.0/cvr-with-motion.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_evr_httpextension_assets_early_or_skips: "lva-1.0/evr-httpExtension-assets-early.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_evr_httpextension_assets_or_skips: "lva-1.0/evr-httpExtension-assets.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_evr_hubmessage_assets_early_or_skips: "lva-1.0/evr-hubMessage-assets-early.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_evr_hubmessage_assets_or_skips: "lva-1.0/evr-hubMessage-assets.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_evr_motion_assets_files_early_or_skips: "lva-1.0/evr-motion-assets-files-early.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_evr_motion_assets_files_or_skips: "lva-1.0/evr-motion-assets-files.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_evr_motion_files_or_skips: "lva-1.0/evr-motion-files.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_grpcextension_or_skips: "lva-1.0/grpcExtension.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_httpextension_or_skips: "lva-1.0/httpExtension.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_lva_spatial_analysis_or_skips: "lva-1.0/lva-spatial-analysis.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_motion_detection_or_skips: "lva-1.0/motion-detection.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_motion_with_grpcextension_early_or_skips: "lva-1.0/motion-with-grpcExtension-early.json" => Expected::Edge(Generation::Lva1),
    lva_1_0_motion_with_grpcextension_or_skips: "lva-1.0/motion-with-grpcExtension.json" => Expected::Edge(Generation::Lva1),
    lva_2_0_audio_video_or_skips: "lva-2.0/audio-video.json" => Expected::Edge(Generation::Lva2),
    lva_2_0_cvr_asset_or_skips: "lva-2.0/cvr-asset.json" => Expected::Edge(Generation::Lva2),
    lva_2_0_cvr_with_grpcextension_or_skips: "lva-2.0/cvr-with-grpcExtension.json" => Expected::Edge(Generation::Lva2),
    lva_2_0_cvr_with_httpextension_or_skips: "lva-2.0/cvr-with-httpExtension.json" => Expected::Edge(Generation::Lva2),
    lva_2_0_cvr_with_motion_or_skips: "lva-2.0/cvr-with-motion.json" => Expected::Edge(Generation::Lva2),
    lva_2_0_evr_httpextension_assets_or_skips: "lva-2.0/evr-httpExtension-assets.json" => Expected::Edge(Generation::Lva2),
    lva_2_0_evr_hubmessage_assets_or_skips: "lva-2.0/evr-hubMessage-assets.json" => Expected::Edge(Generation::Lva2),
    lva_2_0_evr_motion_assets_files_or_skips: "lva-2.0/evr-motion-assets-files.json" => Expected::Edge(Generation::Lva2),
    lva_2_0_evr_motion_files_or_skips: "lva-2.0/evr-motion-files.json" => Expected::Edge(Generation::Lva2),
    lva_2_0_grpcextension_or_skips: "lva-2.0/grpcExtension.json" => Expected::Edge(Generation::Lva2),
    lva_2_0_httpextension_or_skips: "lva-2.0/httpExtension.json" => Expected::Edge(Generation::Lva2),
    lva_2_0_lva_spatial_analysis_or_skips: "lva-2.0/lva-spatial-analysis.json" => Expected::Edge(Generation::Lva2),
    lva_2_0_motion_detection_or_skips: "lva-2.0/motion-detection.json" => Expected::Edge(Generation::Lva2),
    lva_2_0_motion_with_grpcextension_or_skips: "lva-2.0/motion-with-grpcExtension.json" => Expected::Edge(Generation::Lva2),
    lva_2_0_refapp_iot_central_motiongraphtopology_or_skips: "lva-2.0/refapp-iot-central-motionGraphTopology.json" => Expected::Edge(Generation::Lva2),
    ava_ai_composition_or_skips: "ava/ai-composition.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_cloud_cloud_record_camera_behind_firewall_or_skips: "ava/cloud-cloud-record-camera-behind-firewall.json" => Expected::Cloud,
    ava_cloud_export_from_video_archive_or_skips: "ava/cloud-export-from-video-archive.json" => Expected::Cloud,
    ava_cvr_video_sink_or_skips: "ava/cvr-video-sink.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_cvr_with_grpcextension_or_skips: "ava/cvr-with-grpcExtension.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_cvr_with_httpextension_and_objecttracking_or_skips: "ava/cvr-with-httpExtension-and-objectTracking.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_cvr_with_httpextension_or_skips: "ava/cvr-with-httpExtension.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_cvr_with_motion_or_skips: "ava/cvr-with-motion.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_deepstream_grpcextension_or_skips: "ava/deepstream-grpcExtension.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_evr_httpextension_video_sink_or_skips: "ava/evr-httpExtension-video-sink.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_evr_hubmessage_video_sink_or_skips: "ava/evr-hubMessage-video-sink.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_evr_motion_file_sink_or_skips: "ava/evr-motion-file-sink.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_evr_motion_video_sink_or_skips: "ava/evr-motion-video-sink.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_httpextension_or_skips: "ava/httpExtension.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_line_crossing_or_skips: "ava/line-crossing.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_motion_detection_or_skips: "ava/motion-detection.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_motion_with_grpcextension_or_skips: "ava/motion-with-grpcExtension.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_spatial_analysis_person_count_operation_or_skips: "ava/spatial-analysis-person-count-operation.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_spatial_analysis_person_line_crossing_operation_or_skips: "ava/spatial-analysis-person-line-crossing-operation.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
    ava_spatial_analysis_person_zone_crossing_operation_or_skips: "ava/spatial-analysis-person-zone-crossing-operation.json" => Expected::Edge(Generation::VideoAnalyzer1_1),
}

#[test]
fn no_published_topology_is_left_out_or_skips() {
    let Some(directory) = shared_data("topologies") else {
        return;
    };
    let listed: BTreeSet<String> = FILES.iter().map(|file| (*file).to_owned()).collect();
    let mut there = BTreeSet::new();
    for generation in ["lva-1.0", "lva-2.0", "ava"] {
        for entry in std::fs::read_dir(directory.join(generation)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            there.insert(format!("{generation}/{name}"));
        }
    }
    assert_eq!(listed, there);
}

/// A value for every parameter that needs one, guessed from its name.
pub(crate) fn made_up(topology: &Topology) -> Instance {
    let values: Vec<(String, String)> = topology
        .parameters()
        .into_iter()
        .filter(|parameter| parameter.default.is_none())
        .map(|parameter| {
            let name = parameter.name.to_lowercase();
            let value = match parameter.parameter_type {
                ParameterType::Int => "3",
                ParameterType::Double => "0.5",
                ParameterType::Bool => "true",
                _ if name.contains("rtspurl") => "rtsp://cam:554/media/a.mkv",
                _ if name.contains("sensitivity") => "medium",
                _ if name.contains("url") => "http://host/score",
                _ => "madeup",
            };
            (parameter.name, value.to_owned())
        })
        .collect();
    let pairs = values.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Instance::new("Made-Up", topology.name(), pairs)
}

fn check(file: &str, expected: Expected) {
    let Some(path) = shared_data(Path::new("topologies").join(file).to_str().unwrap()) else {
        return;
    };
    let bytes = std::fs::read(path).unwrap();
    match expected {
        Expected::Cloud => {
            let refused = Topology::from_slice(&bytes);
            assert!(
                matches!(&refused, Err(DocumentError::CloudTopology { mark: "'kind'", .. })),
                "{refused:?}"
            );
        }
        Expected::Edge(generation) => check_edge(&bytes, generation),
    }
}

fn check_edge(bytes: &[u8], generation: Generation) {
    let topology = Topology::from_slice(bytes).unwrap();
    assert_eq!(topology.generation(), generation);

    // Read, written, read: the same document, and nothing of the JSON is lost.
    let written = topology.to_json();
    let again = Topology::from_json(&written).unwrap();
    assert_eq!(again, topology);
    assert_eq!(again.to_json(), written);
    let mark = b"\xef\xbb\xbf".as_slice();
    let original: Value = serde_json::from_slice(bytes.strip_prefix(mark).unwrap_or(bytes)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), original);

    // The product took it, so both strictnesses do.
    for strictness in [Strictness::Open, Strictness::Compatible] {
        for found in topology.validate(strictness) {
            assert!(!found.is_error(), "{found}");
            assert!(
                !matches!(
                    found.code,
                    DiagnosticCode::UnknownMember | DiagnosticCode::WrongType
                ),
                "{found}"
            );
        }
        let resolved = resolve(&topology, &made_up(&topology), strictness)
            .unwrap_or_else(|error| panic!("{:#?}", error.findings));
        assert_eq!(resolved.graph.generation(), generation);
        assert_eq!(resolved.graph.in_order().len(), resolved.graph.nodes().len());
    }
}
