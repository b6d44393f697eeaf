//! The events of a clip as one picture, drawn on their frames.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use image::imageops::{FilterType, replace, resize};
use image::{Rgb, RgbImage};
use lva_graph_runtime::{ClipInfo, GraphEvent};
use lva_inference_schema::body::EventBody;
use lva_inference_schema::{InferenceValue, event_time};
use lva_media_types::MediaTime;
use lva_spatial_analysis::Outline;

use crate::VideoReader;
use crate::draw::{ORANGE, WHITE, canvas, place, sides};

/// Most panes of a picture, two in a row.
const PANES: usize = 4;
/// Width of a pane in pixels.
const PANE_WIDTH: u32 = 640;

/// The events of one frame, with the boxes of the people.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// Media time of the frame.
    pub timestamp_90k: u64,
    /// Such as `Enter square`, with the person's box (left, top, width, height in fractions of the frame).
    pub acts: Vec<(String, Option<[f32; 4]>)>,
}

impl Moment {
    /// The zone and line events of a message; `None` without any.
    pub fn of(event: &GraphEvent) -> Option<Self> {
        let EventBody::Analytics(body) = &event.body else {
            return None;
        };
        let place = |id: &String| {
            let found = body.inferences.iter().find(|other| other.inference_id == *id)?;
            match &found.value {
                InferenceValue::Entity(entity) => {
                    let b = &entity.bbox;
                    Some([b.l, b.t, b.w, b.h].map(|side| side.to_f32()))
                }
                _ => None,
            }
        };
        let acts: Vec<_> = body
            .inferences
            .iter()
            .filter_map(|inference| {
                let InferenceValue::Event(found) = &inference.value else {
                    return None;
                };
                let property = |name: &str| found.properties.get(name).map_or("", String::as_str);
                let what = format!("{} {}{}", property("status"), property("zone"), property("line"));
                Some((what, inference.related_inferences.iter().find_map(place)))
            })
            .collect();
        (!acts.is_empty()).then_some(Self {
            timestamp_90k: event.timestamp_90k,
            acts,
        })
    }
}

/// Draws up to four moments of a clip with zones and lines into a PNG file, first one of each kind. Returns the number
/// of drawn moments; with 0, no file is written.
///
/// # Errors
///
/// The clip cannot be decoded, or the file cannot be written.
pub fn draw_moments(
    clip: &ClipInfo,
    moments: &[Moment],
    outlines: &[Outline],
    out: &Path,
) -> anyhow::Result<usize> {
    let length = Duration::try_from_secs_f64(clip.seconds).unwrap_or_default();
    let last = clip.first_timestamp_90k + MediaTime::ticks_in(length);
    let chosen = choose(clip.first_timestamp_90k..=last, moments);
    if chosen.is_empty() {
        return Ok(0);
    }
    let mut reader = VideoReader::open(&clip.path)?;
    let mut bgr = Vec::new();
    let mut panes = Vec::new();
    let mut open = chosen.into_iter().peekable();
    while let Some(moment) = open.peek() {
        let Some((width, height)) = reader.read(&mut bgr)? else {
            break;
        };
        let shown = clip.first_timestamp_90k + reader.elapsed_90k();
        // The file's clock may be coarser than 1/90000 s.
        if shown + 900 >= moment.timestamp_90k {
            panes.push(pane(&bgr, width, height, moment, outlines)?);
            open.next();
        }
    }
    ensure!(
        !panes.is_empty(),
        "{} ends before its events",
        clip.path.display()
    );
    let (width, height) = panes[0].dimensions();
    let columns = if panes.len() == 1 { 1 } else { 2 };
    let rows = (panes.len() as u32).div_ceil(columns);
    let mut sheet = RgbImage::new(width * columns, height * rows);
    for (index, pane) in (0u32..).zip(&panes) {
        let (x, y) = (index % columns * width, index / columns * height);
        replace(&mut sheet, pane, i64::from(x), i64::from(y));
    }
    sheet
        .save(out)
        .with_context(|| format!("cannot write {}", out.display()))?;
    Ok(panes.len())
}

/// Selects moments of the clip, one of each kind before a second of any, in order of time.
fn choose(clip: RangeInclusive<u64>, moments: &[Moment]) -> Vec<&Moment> {
    let mut known = BTreeSet::new();
    let (fresh, again): (Vec<_>, Vec<_>) = moments
        .iter()
        .filter(|moment| clip.contains(&moment.timestamp_90k))
        .partition(|moment| moment.acts.iter().any(|(what, _)| known.insert(what.clone())));
    let mut chosen: Vec<_> = fresh.into_iter().chain(again).take(PANES).collect();
    chosen.sort_by_key(|moment| moment.timestamp_90k);
    chosen
}

fn pane(
    bgr: &[u8],
    width: u32,
    height: u32,
    moment: &Moment,
    outlines: &[Outline],
) -> anyhow::Result<RgbImage> {
    let rgb = bgr.chunks_exact(3).flat_map(|p| [p[2], p[1], p[0]]).collect();
    let full =
        RgbImage::from_raw(width, height, rgb).context("the decoder returned a frame of another size")?;
    let pane_height = (u64::from(PANE_WIDTH) * u64::from(height)).div_ceil(u64::from(width.max(1))) as u32;
    let mut small = resize(&full, PANE_WIDTH, pane_height.max(1), FilterType::Triangle);
    let mut canvas = canvas(&mut small, PANE_WIDTH, pane_height.max(1))?;
    for outline in outlines {
        let points: Vec<_> = outline.points.iter().map(|point| [point.x, point.y]).collect();
        place(&mut canvas, &outline.name, &points);
    }
    for (what, who) in &moment.acts {
        let Some(who) = *who else { continue };
        let [left, top, ..] = sides(who);
        canvas.rectangle(sides(who), ORANGE, 2);
        canvas.text([left, top.max(0.05)], what, ORANGE, 1);
    }
    canvas.text([0.005, 0.04], &event_time(moment.timestamp_90k), WHITE, 1);
    for x in 0..PANE_WIDTH {
        small.put_pixel(x, 0, Rgb([255; 3]));
    }
    for y in 0..pane_height {
        small.put_pixel(0, y, Rgb([255; 3]));
    }
    Ok(small)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(second: u64, what: &str) -> Moment {
        Moment {
            timestamp_90k: second * 90_000,
            acts: vec![(what.to_owned(), None)],
        }
    }

    #[test]
    fn one_of_each_kind_comes_before_a_second_of_any_and_all_in_the_order_of_time() {
        let all = [
            moment(9, "Exit door"), // before the clip
            moment(11, "Enter door"),
            moment(12, "Enter door"),
            moment(13, "Enter door"),
            moment(14, "Enter door"),
            moment(15, "Exit door"),
            moment(16, "CrossLeft gate"),
            moment(21, "Exit door"), // after it
        ];
        let seconds: Vec<_> = choose(10 * 90_000..=20 * 90_000, &all)
            .iter()
            .map(|moment| moment.timestamp_90k / 90_000)
            .collect();
        assert_eq!(seconds, [11, 12, 15, 16]);
    }
}
