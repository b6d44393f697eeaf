use crate::{fingerprint, small};
use lva_sample_world::{World, WorldError, WorldOptions};

#[test]
fn a_seed_gives_the_bytes_that_it_gave_on_every_other_machine() {
    let mut world = small(7, 10.0);
    let mut rgb = vec![0; world.frame_bytes()];
    world.render(55, &mut rgb).expect("the frame exists");
    // Changes only when the drawing is changed; then the committed clip has to be drawn again too.
    assert_eq!(fingerprint(&rgb), GOLDEN, "the picture has changed");
}

const GOLDEN: u64 = 0x5B0E_1A73_DD45_F9D8;

#[test]
fn frames_may_be_asked_for_in_any_order() {
    let (mut one, mut other) = (small(3, 4.0), small(3, 4.0));
    let mut draw = |index| {
        let mut rgb = vec![0; one.frame_bytes()];
        let truth = one.render(index, &mut rgb).expect("the frame exists");
        (rgb, truth)
    };
    let forwards: Vec<_> = [0, 17, 39].map(&mut draw).into();
    for (index, (rgb, truth)) in [39, 17, 0].into_iter().zip(forwards.iter().rev()) {
        let mut again = vec![0; other.frame_bytes()];
        assert_eq!(&other.render(index, &mut again).expect("the frame exists"), truth);
        assert!(&again == rgb, "frame {index} differs");
    }
}

#[test]
fn seeds_differ() {
    let draw = |seed| {
        let mut world = small(seed, 2.0);
        let mut rgb = vec![0; world.frame_bytes()];
        world.render(0, &mut rgb).expect("the frame exists");
        rgb
    };
    assert!(draw(1) != draw(2));
}

#[test]
fn the_frame_count_is_exact() {
    let count = |fps, seconds| {
        World::new(
            1,
            WorldOptions {
                width: 64,
                height: 64,
                fps,
                seconds,
            },
        )
        .expect("in range")
        .frame_count()
    };
    assert_eq!(count(30, 10.0), 300);
    assert_eq!(count(25, 0.1), 3);
    assert_eq!(count(1, 0.2), 1, "a clip is never empty");
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let with = |width, height, fps, seconds| {
        World::new(
            1,
            WorldOptions {
                width,
                height,
                fps,
                seconds,
            },
        )
        .map(|_| ())
        .unwrap_err()
    };
    assert_eq!(with(0, 90, 30, 1.0), WorldError::Size { width: 0, height: 90 });
    assert_eq!(
        with(160, 9000, 30, 1.0),
        WorldError::Size {
            width: 160,
            height: 9000
        }
    );
    assert_eq!(with(160, 90, 0, 1.0), WorldError::Rate(0));
    assert_eq!(with(160, 90, 30, 0.0), WorldError::Length(0.0));
    assert!(matches!(with(160, 90, 30, f64::NAN), WorldError::Length(_)));
}

#[test]
fn a_wrong_buffer_or_frame_is_an_error_and_draws_nothing() {
    let mut world = small(1, 1.0);
    let expected = world.frame_bytes();
    assert_eq!(
        world.render(0, &mut [0; 10]),
        Err(WorldError::BufferSize { actual: 10, expected })
    );
    let mut rgb = vec![9; expected];
    assert_eq!(
        world.render(10, &mut rgb),
        Err(WorldError::NoSuchFrame { index: 10, count: 10 })
    );
    assert!(rgb.iter().all(|byte| *byte == 9));
}
