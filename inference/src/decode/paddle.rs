//! PP-YOLOE and PicoDet with their post-processing: rows of class, score and edges, and the number of rows of each frame.
//!
//! After PaddlePaddle/PaddleDetection `deploy/third_engine` (`multiclass_nms3_0.tmp_0` and `.tmp_2`). A class of −1
//! means that there is nothing.

use super::found::Found;
use super::shapes::{BOXES, FRAMES, Side, expect};
use super::{DecodeError, OutputView};

pub(super) fn frames(outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
    let count = outputs.len().clamp(1, 2);
    expect(outputs, 0, count, [BOXES, Side::Is(6)])?;
    if count == 1 {
        return Ok(Some(1));
    }
    expect(outputs, 1, count, [FRAMES]).map(|sides| Some(sides[0]))
}

pub(super) fn read(outputs: &[OutputView<'_>], frame: usize, found: &mut Found) {
    let rows = outputs
        .first()
        .map_or(&[][..], |output| output.data)
        .as_chunks::<6>()
        .0;
    let (start, len) = match outputs.get(1) {
        None => (0, rows.len()),
        Some(counts) => {
            // Float casts saturate: a negative number is none.
            let mut counts = counts.data.iter().map(|&count| count.round() as usize);
            let start = counts.by_ref().take(frame).fold(0, usize::saturating_add);
            (start, counts.next().unwrap_or(0))
        }
    };
    for row in rows.iter().skip(start).take(len) {
        let [class, score, left, top, right, bottom] = *row;
        found.add_numbered([left, top, right, bottom], class, score);
    }
}
