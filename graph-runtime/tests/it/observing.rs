//! A run that is observed: pictures and answers as they come, and nothing else changes.

use async_trait::async_trait;
use lva_extension_protocol::BoxError;
use lva_extension_protocol::server::{Extension, ExtensionOpenError, ExtensionSession, Sample, SessionInfo};
use lva_graph_runtime::RunObservation;
use lva_inference_schema::body::EventBody;
use lva_inference_schema::{Entity, Event, EventName, Inference, InferenceKind, PreviewNote, Rectangle};
use serde_json::{Value, json};

use crate::support::*;

/// Shows somebody in every frame, and has an event in every twentieth, for clients that ask for previews.
#[derive(Clone)]
struct Previews;

struct Watched {
    previews: bool,
    number: u64,
}

#[async_trait]
impl Extension for Previews {
    async fn open(&self, session: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        Ok(Box::new(Watched {
            previews: session.preview,
            number: 0,
        }))
    }
}

#[async_trait]
impl ExtensionSession for Watched {
    async fn process(&mut self, _: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        self.number += 1;
        let person = Entity::new(
            "person",
            0.5_f32,
            Rectangle::new(0.25_f32, 0.0_f32, 0.25_f32, 1.0_f32),
        );
        let person = Inference::new(person).with_id("p1");
        let event = Inference::new(Event::new("personZoneEvent"))
            .with_id("e1")
            .related_to("p1");
        Ok(match (self.number.is_multiple_of(20), self.previews) {
            (true, true) => vec![
                person.with_note(PreviewNote::Track, &json!({"number": 1})),
                event.with_note(PreviewNote::Why, &json!({"rule": "crossed"})),
            ],
            (true, false) => vec![person, event],
            (false, true) => vec![person.as_preview()],
            (false, false) => Vec::new(),
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_gets_every_picture_and_previews_go_to_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let simulator = camera(directory.path(), None).await;
    let server = Server::start(Previews, 0).await;
    let recordings = directory.path().join("recordings");
    let (module, events) = module_with(&recordings, |options| options.with_previews(true));
    let graph = instance(&simulator.url("clip.mp4"), server.port);
    activate(&module, topology(vec![], vec![]), graph).await;

    let mut observer = module.instance("Sample-Graph-1").unwrap().observe();
    let (mut units, mut previews, mut explained) = (Vec::new(), 0, None::<Value>);
    let mut streams = 0;
    while units.len() < 90 || previews < 5 || explained.is_none() {
        match observer.next().await.unwrap() {
            RunObservation::Streams(all) => streams += all.len(),
            RunObservation::Unit(unit) => units.push(unit),
            RunObservation::Results { node, found, .. } => {
                assert_eq!(node, "computerVisionExtension");
                previews += found.iter().filter(|inference| inference.is_preview()).count();
                let why = found
                    .iter()
                    .find_map(|inference| inference.note(PreviewNote::Why));
                explained = explained.or(why);
                // In the camera's picture, as those of events are.
                let left = found
                    .iter()
                    .filter_map(Inference::bounding_box)
                    .map(|bbox| bbox.l.get());
                assert!(left.clone().count() > 0 && left.into_iter().all(|left| left == 0.0));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((streams, observer.missed()), (1, 0));
    assert!(units[0].keyframe);
    assert!(
        units
            .windows(2)
            .all(|pair| pair[1].timestamp_90k - pair[0].timestamp_90k == 3000)
    );
    assert_eq!(explained, Some(json!({"rule": "crossed"})));

    let stats = deactivate(&module).await;
    while observer.next().await.is_some() {}
    let answered = stats.extensions["computerVisionExtension"].answered;
    assert_eq!(
        events.count(EventName::Inference) as u64,
        answered / 20,
        "an event each twentieth frame"
    );
    for event in events.all() {
        if let EventBody::Analytics(body) = &event.body {
            let kinds: Vec<_> = body.inferences.iter().map(Inference::kind).collect();
            assert_eq!(kinds, [InferenceKind::Entity, InferenceKind::Event]);
            assert!(
                body.inferences.iter().all(|found| found.extensions.is_empty()),
                "{body:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_asked_for_previews_unless_the_program_shows_them() {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let simulator = camera(directory.path(), None).await;
    let server = Server::start(Previews, 0).await;
    let (module, _) = module(&directory.path().join("recordings"));
    let graph = instance(&simulator.url("clip.mp4"), server.port);
    activate(&module, topology(vec![], vec![]), graph).await;
    let run = module.instance("Sample-Graph-1").unwrap();
    let mut observer = run.observe();
    let mut answers = 0;
    while answers < 25 {
        if let RunObservation::Results { found, .. } = observer.next().await.unwrap() {
            answers += 1;
            assert!(
                found
                    .iter()
                    .all(|inference| !inference.is_preview() && !inference.has_notes())
            );
        }
    }
    run.stop().await.unwrap();
    while observer.next().await.is_some() {}
    assert!(run.observe().next().await.is_none(), "a run that has ended");
}
