use lva_sample_world::{TrainingScene, WorldError};

fn still(scene: &mut TrainingScene, variation: u32) -> (Vec<u8>, usize) {
    let mut rgb = vec![0; 128 * 72 * 3];
    let people = scene.render(variation, &mut rgb).expect("the buffer fits");
    (rgb, people.len())
}

#[test]
fn a_still_depends_on_seed_and_variation_alone() {
    let mut one = TrainingScene::new(1_000_003, 128, 72).expect("in range");
    let mut other = one.clone();
    let first = still(&mut one, 0);
    let second = still(&mut one, 1);
    assert!(first.0 != second.0);
    assert!(still(&mut other, 1) == second && still(&mut other, 0) == first);
}

#[test]
fn places_hold_people_and_some_hold_none() {
    let counts: Vec<usize> = (0..8)
        .flat_map(|seed| {
            let mut scene = TrainingScene::new(1_000_000 + seed, 128, 72).expect("in range");
            (0..6)
                .map(move |variation| still(&mut scene, variation).1)
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(counts.iter().any(|count| *count >= 6));
    assert!(counts.contains(&0), "a detector has to see empty places too");
}

#[test]
fn a_size_out_of_range_is_refused() {
    let error = TrainingScene::new(1_000_000, 10, 10).map(|_| ()).unwrap_err();
    assert_eq!(
        error,
        WorldError::Size {
            width: 10,
            height: 10
        }
    );
}
