//! Operations of spatial analysis, their lines and zones.

use super::members::Members;
use super::{Presence, Reader, ValueError};
use crate::diagnostic::DiagnosticCode;
use crate::generation::Generation;
use crate::graph::{
    CountEvent, DistanceEvent, EventTrigger, Focus, LineCrossingEvent, NamedLine, NamedPolygon, Operation,
    OperationSettings, Point, Watched, ZoneCrossingEvent, ZoneEventType,
};

impl Reader<'_> {
    pub(crate) fn operation(&mut self, node: &mut Members<'_>) -> Option<Operation> {
        let mut members = node.object("operation", self.findings)?;
        let members = &mut members;
        let (local, at) = self.local_type(members)?;
        let is = |name: &str| local.eq_ignore_ascii_case(name);
        let operation = if is("SpatialAnalysisCustomOperation") {
            let configuration = self.string(members, "extensionConfiguration", Presence::Required);
            configuration.map(|configuration| Operation::Custom { configuration })
        } else if is("SpatialAnalysisPersonCountOperation") {
            let settings = self.settings(members);
            let zones = self.zones(members, Self::count_event);
            zones.map(|zones| Operation::PersonCount { settings, zones })
        } else if is("SpatialAnalysisPersonZoneCrossingOperation") {
            let settings = self.settings(members);
            let zones = self.zones(members, Self::zone_crossing_event);
            zones.map(|zones| Operation::PersonZoneCrossing { settings, zones })
        } else if is("SpatialAnalysisPersonDistanceOperation") {
            let settings = self.settings(members);
            let zones = self.zones(members, Self::distance_event);
            zones.map(|zones| Operation::PersonDistance { settings, zones })
        } else if is("SpatialAnalysisPersonLineCrossingOperation") {
            let settings = self.settings(members);
            let lines = self.watched(
                members,
                "lines",
                "line",
                Self::named_line,
                Self::line_crossing_event,
            );
            lines.map(|lines| Operation::PersonLineCrossing { settings, lines })
        } else {
            let known = "a SpatialAnalysis operation: PersonCount, PersonZoneCrossing, PersonDistance, \
                         PersonLineCrossing or Custom";
            self.unknown_type(members, &local, &at, known);
            return None;
        };
        members.finish(self.findings);
        operation
    }

    fn settings(&mut self, members: &mut Members<'_>) -> OperationSettings {
        for name in [
            "calibrationConfiguration",
            "cameraCalibratorNodeConfiguration",
            "trackerNodeConfiguration",
        ] {
            self.since(members, name, self.generation == Generation::VideoAnalyzer1_1);
        }
        OperationSettings {
            debug: self.boolean(members, "debug").unwrap_or(false),
            enable_face_mask_classifier: self.boolean(members, "enableFaceMaskClassifier").unwrap_or(false),
            camera: self.string(members, "cameraConfiguration", Presence::Optional),
            detector: self.string(members, "detectorNodeConfiguration", Presence::Optional),
            tracker: self.string(members, "trackerNodeConfiguration", Presence::Optional),
            calibration: self.string(members, "calibrationConfiguration", Presence::Optional),
            camera_calibrator: self.string(members, "cameraCalibratorNodeConfiguration", Presence::Optional),
        }
    }

    fn zones<E>(
        &mut self,
        members: &mut Members<'_>,
        read_event: fn(&mut Self, &mut Members<'_>) -> E,
    ) -> Option<Vec<Watched<NamedPolygon, E>>> {
        self.watched(members, "zones", "zone", Self::named_polygon, read_event)
    }

    /// `None` unless all of it can be read and there is at least one.
    fn watched<W, E>(
        &mut self,
        members: &mut Members<'_>,
        list: &'static str,
        place: &'static str,
        read_place: fn(&mut Self, &mut Members<'_>) -> Option<W>,
        read_event: fn(&mut Self, &mut Members<'_>) -> E,
    ) -> Option<Vec<Watched<W, E>>> {
        let items = members.list(list, self.findings);
        if items.is_empty() {
            members.missing(list, self.findings);
        }
        let wanted = items.len();
        let mut all = Vec::with_capacity(wanted);
        for item in items {
            let what = format!("a {place} of {}", members.what);
            let Some(mut entry) = members.item(item, what, self.findings) else {
                continue;
            };
            let at = entry.object(place, self.findings);
            if at.is_none() && entry.get(place).is_none() {
                entry.missing(place, self.findings);
            }
            let at = at.and_then(|mut m| read_place(self, &mut m));
            let mut events = Vec::new();
            for item in entry.list("events", self.findings) {
                let what = format!("an event of {}", entry.what);
                if let Some(mut event) = entry.item(item, what, self.findings) {
                    events.push(read_event(self, &mut event));
                    event.finish(self.findings);
                }
            }
            entry.finish(self.findings);
            all.extend(at.map(|at| Watched { at, events }));
        }
        (all.len() == wanted && wanted > 0).then_some(all)
    }

    fn focus(&mut self, members: &mut Members<'_>) -> Focus {
        self.string_enum::<Focus>(members, "focus", Presence::Optional)
            .unwrap_or(Focus::Footprint)
    }

    fn count_event(&mut self, members: &mut Members<'_>) -> CountEvent {
        CountEvent {
            threshold: self.number(members, "threshold", 0.0),
            focus: self.focus(members),
            trigger: self.string_enum::<EventTrigger>(members, "trigger", Presence::Optional),
            output_frequency: self.integer(members, "outputFrequency", Presence::Optional, 1..=u32::MAX),
        }
    }

    fn zone_crossing_event(&mut self, members: &mut Members<'_>) -> ZoneCrossingEvent {
        let event_type = self.string_enum::<ZoneEventType>(members, "eventType", Presence::Optional);
        ZoneCrossingEvent {
            threshold: self.number(members, "threshold", 0.0),
            focus: self.focus(members),
            event_type: event_type.unwrap_or(ZoneEventType::ZoneCrossing),
        }
    }

    fn distance_event(&mut self, members: &mut Members<'_>) -> DistanceEvent {
        DistanceEvent {
            count: self.count_event(members),
            minimum_distance: self.number(members, "minimumDistanceThreshold", 0.0),
            maximum_distance: self.number(members, "maximumDistanceThreshold", 0.0),
        }
    }

    fn line_crossing_event(&mut self, members: &mut Members<'_>) -> LineCrossingEvent {
        LineCrossingEvent {
            threshold: self.number(members, "threshold", 0.0),
            focus: self.focus(members),
        }
    }

    pub(crate) fn named_line(&mut self, members: &mut Members<'_>) -> Option<NamedLine> {
        let name = self.shape_head(members, "NamedLineString");
        let points = self.scalar(members, "line", Presence::Required, |text| {
            let points = parse_points(text, "[[x1,y1],[x2,y2]]")?;
            match points[..] {
                [start, end] if start != end => Ok((start, end)),
                _ => Err(ValueError::value("two different points, [[x1,y1],[x2,y2]]")),
            }
        });
        members.finish(self.findings);
        let (start, end) = points?;
        Some(NamedLine {
            name: name?,
            start,
            end,
        })
    }

    pub(crate) fn named_polygon(&mut self, members: &mut Members<'_>) -> Option<NamedPolygon> {
        let name = self.shape_head(members, "NamedPolygonString");
        let points = self.scalar(members, "polygon", Presence::Required, |text| {
            let mut points = parse_points(text, "[[x,y],[x,y],[x,y]]")?;
            if points.len() > 1 && points.first() == points.last() {
                points.pop();
            }
            if points.len() < 3 {
                return Err(ValueError::value(
                    "at least three different points, [[x,y],[x,y],[x,y]]",
                ));
            }
            Ok(points)
        });
        members.finish(self.findings);
        Some(NamedPolygon {
            name: name?,
            points: points?,
        })
    }

    fn shape_head(&mut self, members: &mut Members<'_>, expected: &'static str) -> Option<String> {
        let name = self.display_string(members, "name", Presence::Required);
        let (local, at) = self.local_type(members)?;
        if !local.eq_ignore_ascii_case(expected) {
            self.unknown_type(members, &local, &at, expected);
            return None;
        }
        name
    }
}

/// Points as JSON inside a text, in fractions of the frame.
fn parse_points(text: &str, form: &str) -> Result<Vec<Point>, ValueError> {
    let points: Vec<[f64; 2]> = serde_json::from_str(text)
        .map_err(|_| ValueError::value(format!("a JSON text of the form {form}")))?;
    let inside = |v: f64| (0.0..=1.0).contains(&v);
    if !points.iter().flatten().all(|v| inside(*v)) {
        return Err(ValueError::with(
            DiagnosticCode::OutOfRange,
            "points in fractions of the frame, 0 to 1",
        ));
    }
    Ok(points.into_iter().map(|[x, y]| Point { x, y }).collect())
}
