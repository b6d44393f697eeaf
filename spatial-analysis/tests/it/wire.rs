//! A client, a socket, shared memory, the hosted extension: what a media graph sees.

use std::time::Duration;

use lva_extension_protocol::client::*;
use lva_extension_protocol::server::*;
use lva_extension_protocol::*;
use lva_inference::DetectorInfo;
use lva_inference_schema::Inference;
use lva_spatial_analysis::*;
use tokio::sync::oneshot;

use crate::support::*;

/// Long enough for a busy machine; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

const WIDTH: u32 = 160;
const HEIGHT: u32 = 90;

struct Host {
    url: ExtensionUrl,
    server: StatsReader,
    analysis: AnalysisStatsReader,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<Result<(), HostError>>,
}

impl Host {
    async fn start(detectors: Detectors) -> Self {
        let config = Operation::from_json(SCENE).unwrap();
        let extension = SpatialExtension::new(config, detectors);
        let analysis = extension.stats();
        let listening = ExtensionServer::new(extension);
        let listening = listening.listen(ListenAddress::loopback(0)).await.unwrap();
        let (url, server) = (listening.url(), listening.stats());
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(listening.serve(async move {
            let _ = stopped.await;
        }));
        Self {
            url,
            server,
            analysis,
            stop,
            serving,
        }
    }

    fn options(&self) -> ClientOptions {
        let format = FrameFormat::raw(PixelFormat::Bgr24, WIDTH, HEIGHT).unwrap();
        ClientOptions::new(self.url.clone(), format)
            .with_transfer(Transfer::SharedMemory(SharedMemoryOptions::default()))
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        within(self.serving).await.unwrap().unwrap();
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

/// Draws the walk into the slots of a session and gives what was answered, by the second of the frame.
async fn walk_over_the_wire(options: ClientOptions, fps: u64, began: u64) -> Vec<(f64, Vec<Inference>)> {
    let Session {
        frames,
        mut answers,
        peer,
        ..
    } = within(connect::<u64>(&options)).await.unwrap();
    assert_eq!(peer.identifier, DEFAULT_IDENTIFIER);
    let mut reported = Vec::new();
    for (time, found) in walk(fps) {
        let mut slot = frames.slot().unwrap();
        let nowhere = lva_inference::BoundingBox::default();
        draw_white(
            &mut slot,
            WIDTH as usize,
            found.first().map_or(nowhere, |f| f.bbox),
        );
        slot.send(began + time, &[], time).unwrap();
        let Some(SessionEvent::Answered(answer)) = within(answers.next()).await.unwrap() else {
            panic!("no answer")
        };
        assert_eq!((answer.context, answer.timestamp_90k), (time, began + time));
        if !answer.inferences.is_empty() {
            assert_sound(&answer.inferences);
            reported.push((time as f64 / SECOND as f64, answer.inferences));
        }
    }
    frames.finish();
    assert!(within(answers.next()).await.unwrap().is_none());
    reported
}

fn statuses(reported: &[(f64, Vec<Inference>)]) -> Vec<(String, String)> {
    reported.iter().flat_map(|(_, message)| events(message)).collect()
}

fn the_walk() -> Vec<(String, String)> {
    [("Enter", "door"), ("Exit", "door"), ("CrossRight", "gate")]
        .map(|(status, place)| (status.to_owned(), place.to_owned()))
        .to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_in_shared_memory_become_events() {
    let host = Host::start(Detectors::each(|| Ok::<_, BoxError>(WhiteSpot::default()))).await;
    let reported = walk_over_the_wire(host.options(), 15, 143_810_610_210_090).await;
    assert_eq!(statuses(&reported), the_walk());
    for ((seconds, _), expected) in reported.iter().zip([3.0, 5.0, 6.0]) {
        assert!(
            (expected..expected + 0.5).contains(seconds),
            "{expected} s reported at {seconds} s"
        );
    }
    let stats = host.analysis.read();
    assert_eq!((stats.sessions, stats.frames, stats.people), (1, 150, 120));
    assert_eq!(
        (stats.zone_enters, stats.zone_exits, stats.line_crossings),
        (1, 1, 1)
    );
    // Untrusted by default: one copy a frame, by the server. Three messages hold six inferences.
    let server = host.server.read();
    assert_eq!(
        (server.answers, server.inferences, server.frame_copies),
        (150, 6, 150)
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_share_a_detector_share_nothing_else() {
    let host = Host::start(Detectors::shared(WhiteSpot::default())).await;
    // The second stream watches another zone, at another rate and another time.
    let other =
        r#"{"zones": [{"name": "far", "polygon": [[0.7, 0.5], [0.9, 0.5], [0.9, 0.95], [0.7, 0.95]]}]}"#;
    let (first, second) = tokio::join!(
        walk_over_the_wire(host.options(), 15, 1000 * SECOND),
        walk_over_the_wire(host.options().with_configuration(other), 10, SECOND),
    );
    assert_eq!(statuses(&first), the_walk());
    let far = |status: &str| (status.to_owned(), "far".to_owned());
    assert_eq!(statuses(&second), [far("Enter"), far("Exit")]);
    let ids = |reported: &[(f64, Vec<Inference>)]| -> Vec<String> {
        reported
            .iter()
            .flat_map(|(_, m)| m.iter().map(|i| i.inference_id.clone()))
            .collect()
    };
    let (one, two) = (ids(&first), ids(&second));
    assert!(one.iter().all(|id| !two.contains(id)));
    assert_eq!(host.analysis.read().sessions, 2);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_without_a_time_are_followed_by_their_arrival() {
    let host = Host::start(Detectors::shared(WhiteSpot::default())).await;
    let Session {
        frames, mut answers, ..
    } = within(connect::<()>(&host.options())).await.unwrap();
    for _ in 0..5 {
        let mut slot = frames.slot().unwrap();
        draw_white(&mut slot, WIDTH as usize, walker_at(4.0));
        slot.send(0, &[], ()).unwrap();
        within(answers.next()).await.unwrap().unwrap();
    }
    let stats = host.analysis.read();
    assert_eq!((stats.frames, stats.late_frames, stats.restarts), (5, 0, 0));
    drop((frames, answers));
    host.stop().await;
}

async fn refusal(options: &ClientOptions) -> PeerStatus {
    match within(connect::<()>(options)).await {
        Err(ConnectError::Refused { status, .. }) => status,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("accepted"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_cannot_be_used_is_refused_with_its_remedy() {
    let host = Host::start(Detectors::shared(WhiteSpot::default())).await;
    let status = refusal(
        &host
            .options()
            .with_configuration(r#"{"zones": [{"name": "door"}]}"#),
    )
    .await;
    assert_eq!(status.code, GrpcCode::InvalidArgument);
    assert!(
        status
            .message
            .contains("zone \"door\": polygon: missing; give an array of points"),
        "{status:?}"
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_detector_that_cannot_be_had_refuses_the_stream_and_keeps_why_to_the_log() {
    let host = Host::start(Detectors::each(|| {
        Err::<WhiteSpot, BoxError>("/secret/model.onnx is gone".into())
    }))
    .await;
    let status = refusal(&host.options()).await;
    assert_eq!(status.code, GrpcCode::Internal);
    assert!(!status.message.contains("secret"), "{status:?}");
    host.stop().await;
    let dogs = || WhiteSpot(DetectorInfo::new("dogs", 8, 8).with_class_names(["dog"]));
    let host = Host::start(Detectors::shared(dogs())).await;
    assert_eq!(refusal(&host.options()).await.code, GrpcCode::Internal);
    // Whose operation names the class learns why.
    let of_cats = r#"{"classes": "cat", "zones": [{"name": "z", "polygon": [[0,0],[1,0],[1,1]]}]}"#;
    let status = refusal(&host.options().with_configuration(of_cats)).await;
    assert_eq!(status.code, GrpcCode::InvalidArgument, "{status:?}");
    assert!(status.message.contains("no class 'cat'"), "{status:?}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_beyond_every_detector_are_refused() {
    let host = Host::start(Detectors::shared(WhiteSpot::default())).await;
    let long = FrameFormat::raw(PixelFormat::Bgr24, 40_000, 1).unwrap();
    let status = refusal(&ClientOptions::new(host.url.clone(), long)).await;
    assert_eq!(status.code, GrpcCode::OutOfRange, "{status:?}");
    let thin = FrameFormat::raw(PixelFormat::Bgr24, 1000, 1).unwrap();
    let status = refusal(&ClientOptions::new(host.url.clone(), thin)).await;
    assert_eq!(status.code, GrpcCode::OutOfRange, "{status:?}");
    host.stop().await;
}

#[cfg(feature = "image-codecs")]
mod encoded {
    use super::*;
    use image::{ImageFormat, RgbImage};

    /// RGB and BGR are the same where all is black or white.
    fn picture(bbox: lva_inference::BoundingBox, width: u32, height: u32) -> Vec<u8> {
        let mut pixels = vec![0; (width * height * 3) as usize];
        draw_white(&mut pixels, width as usize, bbox);
        let mut png = std::io::Cursor::new(Vec::new());
        let image = RgbImage::from_raw(width, height, pixels).unwrap();
        image.write_to(&mut png, ImageFormat::Png).unwrap();
        png.into_inner()
    }

    async fn send(
        session: &mut Session<()>,
        bytes: &[u8],
        time: u64,
    ) -> Result<Vec<Inference>, SessionError> {
        let mut slot = session.frames.slot_with_size(bytes.len()).unwrap();
        slot.copy_from_slice(bytes);
        slot.send(time, &[], ()).unwrap();
        match within(session.answers.next()).await? {
            Some(SessionEvent::Answered(answer)) => Ok(answer.inferences),
            other => panic!("{other:?}"),
        }
    }

    fn png_options(host: &Host) -> ClientOptions {
        let format = FrameFormat::png(WIDTH, HEIGHT).unwrap();
        ClientOptions::new(host.url.clone(), format)
            .with_transfer(Transfer::SharedMemory(SharedMemoryOptions::default()))
            .with_largest_frame(100_000)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn encoded_pictures_become_events() {
        let host = Host::start(Detectors::shared(WhiteSpot::default())).await;
        let mut session = within(connect::<()>(&png_options(&host))).await.unwrap();
        let mut reported = Vec::new();
        for (time, found) in walk(15) {
            let nowhere = lva_inference::BoundingBox::default();
            let bytes = picture(found.first().map_or(nowhere, |f| f.bbox), WIDTH, HEIGHT);
            reported.extend(events(&send(&mut session, &bytes, time).await.unwrap()));
        }
        assert_eq!(reported, the_walk());
        let stats = host.analysis.read();
        assert_eq!(
            (stats.frames, stats.unreadable_frames, stats.people),
            (150, 0, 120)
        );
        assert_eq!(host.server.read().process_failures, 0);
        drop(session);
        host.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_damaged_picture_or_one_of_another_size_ends_its_stream_and_no_other() {
        let host = Host::start(Detectors::shared(WhiteSpot::default())).await;
        let mut healthy = within(connect::<()>(&png_options(&host))).await.unwrap();
        let bytes = picture(walker_at(1.0), WIDTH, HEIGHT);
        let larger = picture(walker_at(1.0), WIDTH + 1, HEIGHT);
        let smaller = picture(walker_at(1.0), WIDTH - 1, HEIGHT);
        for (damaged, message) in [
            (&b"no picture"[..], "not a JPEG"),
            (&bytes[..50], "damaged"),
            (&larger[..], ""),
            (&smaller[..], "were announced"),
        ] {
            let mut session = within(connect::<()>(&png_options(&host))).await.unwrap();
            let Err(SessionError::Status(status)) = send(&mut session, damaged, 1).await else {
                panic!("not ended")
            };
            assert_eq!(status.code, GrpcCode::InvalidArgument, "{status}");
            assert!(status.message.contains(message), "{status}");
            assert!(!status.is_transient());
            assert!(send(&mut healthy, &bytes, 1).await.is_ok());
        }
        let (analysis, server) = (host.analysis.read(), host.server.read());
        assert_eq!(analysis.unreadable_frames + analysis.failed_frames, 4);
        assert_eq!((server.samples_refused, server.process_failures), (4, 0));
        drop(healthy);
        host.stop().await;
    }
}
