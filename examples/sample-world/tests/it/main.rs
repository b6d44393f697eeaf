//! The sample world as its users see it.

mod training;
mod truth;
mod world;

use lva_sample_world::{World, WorldOptions};

/// A small world, quick to draw.
fn small(seed: u64, seconds: f64) -> World {
    let options = WorldOptions {
        width: 160,
        height: 90,
        fps: 10,
        seconds,
    };
    World::new(seed, options).expect("the options are in range")
}

/// A fingerprint of bytes (FNV-1a).
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}
