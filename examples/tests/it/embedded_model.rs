use lva_examples::evaluation::Score;
use lva_inference::{
    Detector, ImageView, ModelSpec, PLAZA_PERSON_ONNX, PixelFormat, RtenDetector, RtenOptions,
};
use lva_sample_world::{World, WorldOptions};

#[test]
fn the_embedded_model_finds_most_people_of_an_unseen_scene() {
    let options = WorldOptions {
        seconds: 40.0,
        ..Default::default()
    };
    let mut world = World::new(4242, options).expect("the options are in range");
    let spec = ModelSpec::plaza_person();
    let mut detector =
        RtenDetector::from_bytes(PLAZA_PERSON_ONNX, spec, RtenOptions::default()).expect("the model fits");
    let mut rgb = vec![0; world.frame_bytes()];
    let mut score = Score::default();
    for index in (0..world.frame_count()).step_by(60) {
        let truth = world.render(index, &mut rgb).expect("the frame exists");
        let view = ImageView::packed(&rgb, 1280, 720, PixelFormat::Rgb24).expect("the buffer fits");
        let found = detector.detect(&[view.into()]).expect("the model runs");
        score.add(&found[0], &truth.people);
    }
    assert!(score.people > 60, "only {} people to find", score.people);
    // Below the figures of the model card: twenty frames of one scene vary, and a false alarm at an immobile object counts
    // in each of them.
    assert!(score.recall() > 0.9 && score.precision() > 0.9, "{score:?}");
}
