//! Streams whose operation changes while they run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use lva_extension_protocol::server::*;
use lva_extension_protocol::*;
use lva_inference_schema::{Inference, InferenceValue};
use lva_spatial_analysis::*;

use crate::support::*;

const WIDTH: u32 = 160;
const HEIGHT: u32 = 90;

/// One operation for all, or none.
struct Changing {
    revision: AtomicU64,
    now: Mutex<Option<StreamOperation>>,
}

impl Changing {
    fn new(operation: &str) -> Arc<Self> {
        let changing = Arc::new(Self {
            revision: AtomicU64::new(0),
            now: Mutex::default(),
        });
        changing.set(Some(operation));
        changing
    }

    fn set(&self, operation: Option<&str>) {
        *self.now.lock().unwrap() =
            operation.map(|text| StreamOperation::new(Operation::from_json(text).unwrap()));
        self.revision.fetch_add(1, Ordering::SeqCst);
    }
}

impl OperationSource for Changing {
    fn revision(&self) -> u64 {
        self.revision.load(Ordering::SeqCst)
    }

    fn operation(&self, node: &GraphIdentity) -> Result<StreamOperation, NoOperation> {
        let now = self.now.lock().unwrap().clone();
        now.ok_or_else(|| NoOperation(format!("nothing for '{}'", node.graph_instance_name)))
    }
}

fn extension(source: &Arc<Changing>) -> SpatialExtension {
    let source: Arc<dyn OperationSource> = source.clone();
    let detectors = Detectors::shared(WhiteSpot::default());
    SpatialExtension::with_source(source, detectors, AnalysisOptions::default())
}

fn info() -> SessionInfo {
    let mut info = SessionInfo::new(FrameFormat::raw(PixelFormat::Bgr24, WIDTH, HEIGHT).unwrap());
    info.identity = GraphIdentity::new("one", "");
    info
}

/// The answer to the frame of the walk at this time.
async fn seen_at(session: &mut Box<dyn ExtensionSession>, n: u64) -> Result<Vec<Inference>, BoxError> {
    let mut pixels = vec![0; (WIDTH * HEIGHT * 3) as usize];
    let seconds = n as f64 / 15.0;
    draw_white(&mut pixels, WIDTH as usize, walker_at(seconds));
    let data = Bytes::from(pixels);
    session
        .process(Sample::detached(&data, SECOND * 1000 + n * SECOND / 15))
        .await
}

/// The events of these frames: status, place and person.
async fn events_of(
    session: &mut Box<dyn ExtensionSession>,
    frames: std::ops::Range<u64>,
) -> Vec<[String; 3]> {
    let mut all = Vec::new();
    for n in frames {
        for inference in seen_at(session, n).await.unwrap() {
            if let InferenceValue::Event(event) = &inference.value {
                all.push(["status", "zone", "trackingId"].map(|name| event.properties[name].clone()));
            }
        }
    }
    all
}

/// A zone through which the walk leads in its second to fourth second.
const NEAR: &str =
    r#"{"zones": [{"name": "near", "polygon": [[0.2, 0.5], [0.4, 0.5], [0.4, 0.95], [0.2, 0.95]]}]}"#;

#[tokio::test]
async fn an_equal_operation_changes_nothing_and_another_one_begins_anew() {
    let source = Changing::new(SCENE);
    let extension = extension(&source);
    let mut session = extension.open(&info()).await.unwrap();
    let entered = events_of(&mut session, 0..55).await;
    assert_eq!(entered.len(), 1);
    assert_eq!(entered[0][..2], ["Enter", "door"]);
    // The same zones in other words.
    source.set(Some(&format!(" {SCENE}\n")));
    let left = events_of(&mut session, 55..84).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0], ["Exit", "door", &entered[0][2]]);

    source.set(Some(
        r#"{"lines": [{"name": "late", "start": [0.75, 1.0], "end": [0.75, 0.0]}]}"#,
    ));
    let crossed = events_of(&mut session, 84..115).await;
    assert_eq!(crossed.len(), 1);
    assert_eq!(crossed[0][..2], ["CrossRight", "late"]);
    assert_ne!(crossed[0][2], entered[0][2], "people begin anew, with new ids");
    let stats = extension.stats().read();
    assert_eq!((stats.sessions, stats.frames, stats.events()), (1, 115, 3));
}

#[tokio::test]
async fn a_stream_whose_operation_is_gone_ends_and_one_with_its_own_goes_on() {
    let source = Changing::new(SCENE);
    let extension = extension(&source);
    let mut following = extension.open(&info()).await.unwrap();
    let mut own = extension.open(&info().with_configuration(NEAR)).await.unwrap();
    seen_at(&mut following, 0).await.unwrap();
    source.set(None);
    let error = seen_at(&mut following, 1).await.unwrap_err();
    assert_eq!(
        error.downcast_ref(),
        Some(&StreamError::Withdrawn("nothing for 'one'".to_owned()))
    );
    let events = events_of(&mut own, 0..60).await;
    let places: Vec<_> = events.iter().map(|event| &event[..2]).collect();
    assert_eq!(places, [["Enter", "near"], ["Exit", "near"]]);
    match extension.open(&info()).await.map(drop) {
        Err(ExtensionOpenError::Configuration(message)) => assert_eq!(message, "nothing for 'one'"),
        other => panic!("{other:?}"),
    }
    // It comes back, and so may a stream.
    source.set(Some(NEAR));
    let mut again = extension.open(&info()).await.unwrap();
    assert_eq!(events_of(&mut again, 0..60).await.len(), 2);
}

#[tokio::test]
async fn a_stream_names_its_operation_by_a_camera_alone_and_follows_it() {
    let source = Changing::new(NEAR);
    let extension = extension(&source);
    let camera = info().with_configuration(r#"{"VIDEO_SOURCE_ID": "camera 2"}"#);
    let mut stream = extension.open(&camera).await.unwrap();
    assert_eq!(events_of(&mut stream, 0..60).await.len(), 2);
    source.set(None);
    let error = seen_at(&mut stream, 60).await.unwrap_err();
    assert_eq!(
        error.downcast_ref(),
        Some(&StreamError::Withdrawn("nothing for 'camera 2'".to_owned()))
    );
    match extension.open(&camera).await.map(drop) {
        Err(ExtensionOpenError::Configuration(message)) => assert_eq!(message, "nothing for 'camera 2'"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wrong_graph_of_a_twin_does_not_keep_the_others_from_being_read() {
    let twin = format!(
        r#"{{"graphs": {{"a": {{"parameters": {NEAR}}}, "b": {{"parameters": {{}}}}, "c": 3, "d": null}}}}"#
    );
    let each = Operation::each_from_twin(&twin).unwrap();
    let names: Vec<_> = each.iter().map(|(name, read)| (&**name, read.is_ok())).collect();
    assert_eq!(names, [("a", true), ("b", false), ("c", false)]);
    assert!(Operation::all_from_twin(&twin).is_err());
    let many: serde_json::Map<_, _> = (0..257)
        .map(|n| (format!("g{n:03}"), serde_json::from_str(NEAR).unwrap()))
        .collect();
    let each = Operation::each_from_twin(&serde_json::json!({"graphs": many}).to_string()).unwrap();
    let refused: Vec<_> = each.iter().filter(|(_, read)| read.is_err()).collect();
    assert!(
        matches!(refused[..], [(name, Err(OperationError::TooMany))] if name == "g256"),
        "{refused:?}"
    );
}
