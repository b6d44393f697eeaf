//! Boxes that the graph has finished: one row a box.
//!
//! Six values a row: ultralytics with `nms=True`, YOLOv10 and YOLO26 (`[N, boxes, 6]`, rows of zeros behind the last box).
//! Seven values: YOLOv7 `--end2end --max-wh` (frame, edges, class, score) and YOLO-NAS in its flat format (frame, edges,
//! score, class). Seven of Caffe's `DetectionOutput`, as OpenVINO's person-detection-retail-0013 has them (frame, class,
//! score, edges 0..=1; a negative frame ends).

use super::found::Found;
use super::shapes::{BOXES, FRAMES, Side, expect, part};
use super::{DecodeError, OutputView, Rules};

pub(super) fn frames_of_six(outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
    expect(outputs, 0, 1, [FRAMES, BOXES, Side::Is(6)]).map(|sides| Some(sides[0]))
}

pub(super) fn read_six(outputs: &[OutputView<'_>], frame: usize, found: &mut Found) {
    for row in part(outputs, 0, frame).as_chunks::<6>().0 {
        let [left, top, right, bottom, score, class] = *row;
        found.add_numbered([left, top, right, bottom], class, score);
    }
}

pub(super) fn frames_of_seven(outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
    expect(outputs, 0, 1, [BOXES, Side::Is(7)]).map(|_| None)
}

/// `[class, score]`: where they stand in a row.
pub(super) fn read_seven(outputs: &[OutputView<'_>], frame: usize, columns: [usize; 2], found: &mut Found) {
    let rows = outputs.first().map_or(&[][..], |output| output.data);
    for row in rows
        .as_chunks::<7>()
        .0
        .iter()
        .filter(|row| of_frame(row[0], frame))
    {
        let [_, left, top, right, bottom, ..] = *row;
        let [class, score] = columns.map(|column| row.get(column).copied().unwrap_or(f32::NAN));
        found.add_numbered([left, top, right, bottom], class, score);
    }
}

pub(super) fn frames_of_detection_output(outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
    expect(outputs, 0, 1, [Side::Is(1), Side::Is(1), BOXES, Side::Is(7)]).map(|_| None)
}

pub(super) fn read_detection_output(
    rules: &Rules,
    outputs: &[OutputView<'_>],
    frame: usize,
    found: &mut Found,
) {
    let (width, height) = (rules.input_width as f32, rules.input_height as f32);
    let rows = outputs.first().map_or(&[][..], |output| output.data);
    let rows = rows.as_chunks::<7>().0.iter().take_while(|row| row[0] >= 0.0);
    for row in rows.filter(|row| of_frame(row[0], frame)) {
        let [_, class, score, left, top, right, bottom] = *row;
        let edges = [left * width, top * height, right * width, bottom * height];
        found.add_numbered(edges, class, score);
    }
}

/// Whether a row belongs to a frame of the batch.
fn of_frame(number: f32, frame: usize) -> bool {
    number >= 0.0 && number.round() as usize == frame
}
