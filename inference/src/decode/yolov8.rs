//! YOLOv8 to 11: decoded boxes and class scores, stored channel by channel.
//!
//! After ultralytics' description of its exports (`output0`, `[N, 4 + classes, places]`; the integral over bins is in the
//! graph). Some converters transpose it.

use super::found::{Found, best_class};
use super::shapes::{FRAMES, PLACES, Side, expect, part, side};
use super::{DecodeError, OutputView, Rules};

pub(super) fn frames(rules: &Rules, outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
    let channels = Side::Is(4 + rules.classes);
    let usual = expect(outputs, 0, 1, [FRAMES, channels, PLACES]);
    let sides =
        usual.or_else(|error| expect(outputs, 0, 1, [FRAMES, PLACES, channels]).map_err(|_| error))?;
    Ok(Some(sides[0]))
}

pub(super) fn read(rules: &Rules, outputs: &[OutputView<'_>], frame: usize, found: &mut Found) {
    let values = part(outputs, 0, frame);
    let channels = 4 + rules.classes;
    if side(outputs, 0, 1) == channels {
        by_channel(rules, values, side(outputs, 0, 2), found);
    } else {
        for row in values.chunks_exact(channels) {
            let (Some(&[x, y, width, height]), Some(scores)) = (row.first_chunk::<4>(), row.get(4..)) else {
                return;
            };
            if let Some((class, score)) = best_class(scores) {
                found.add_centred([x, y, width, height], class, score);
            }
        }
    }
}

fn by_channel(rules: &Rules, values: &[f32], places: usize, found: &mut Found) {
    let channel = |index: usize| {
        values
            .get(index * places..(index + 1) * places)
            .unwrap_or_default()
    };
    // One class after the other: reading a place's classes together would jump through the whole output.
    let mut best = std::mem::take(&mut found.best);
    best.clear();
    best.resize(places, (f32::NEG_INFINITY, 0));
    for class in 0..rules.classes {
        for (best, &score) in best.iter_mut().zip(channel(4 + class)) {
            if score > best.0 && score.is_finite() {
                *best = (score, class as u16);
            }
        }
    }
    for (place, &(score, class)) in best.iter().enumerate() {
        if found.wants(score) {
            let value = |index: usize| channel(index).get(place).copied().unwrap_or(f32::NAN);
            found.add_centred([0, 1, 2, 3].map(value), usize::from(class), score);
        }
    }
    found.best = best;
}
