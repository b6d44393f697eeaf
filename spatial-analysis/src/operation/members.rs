//! Which members an operation has at each level, and what is reported of others.

use lva_graph_model::json::nearest;

use super::error::{Finding, shown};
use super::json::{Object, is};

/// A level of an operation, with the members that are read there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    known: &'static [&'static str],
    /// Members that are not read here, and where they belong or what stands for them.
    elsewhere: &'static [(&'static str, &'static str)],
}

/// The object around zones and lines.
pub(super) const ELEMENTS: Level = Level {
    known: &[
        "zones",
        "lines",
        "tracker",
        "classes",
        "hold_ms",
        "lost_grace_ms",
        "name",
    ],
    elsewhere: &[
        (
            "events",
            "not read here, events belong into a zone or a line: move them there",
        ),
        (
            "polygon",
            "not read here, a polygon belongs into one of \"zones\"",
        ),
        ("line", "not read here, a line belongs into one of \"lines\""),
    ],
};

/// A zone.
pub(super) const ZONE: Level = Level {
    known: &[
        "name",
        "polygon",
        "events",
        "threshold",
        "target_side",
        "dwell_limits_ms",
        "focus",
        "classes",
        "zone",
        "@type",
        // Of a truth file of the sample world.
        "groundM",
    ],
    elsewhere: &[
        (
            "loitering_time",
            "not read, give \"dwell_limits_ms\": [milliseconds]",
        ),
        (
            "trigger",
            "not read here, it belongs into the config of one of \"events\"",
        ),
        ("config", "not read here, it belongs into one of \"events\""),
    ],
};

/// A line.
pub(super) const LINE: Level = Level {
    known: &[
        "name",
        "line",
        "start",
        "end",
        "events",
        "threshold",
        "focus",
        "classes",
        "@type",
        "groundM",
    ],
    elsewhere: &[
        (
            "direction",
            "not read: both directions are reported, CrossRight from left to right of who stands at start and looks to \
             end; exchange start and end to turn them",
        ),
        (
            "trigger",
            "not read here, it belongs into the config of one of \"events\"",
        ),
        ("config", "not read here, it belongs into one of \"events\""),
    ],
};

/// The object with the ends of a line.
pub(super) const ENDS: Level = Level {
    known: &["start", "end", "@type", "name"],
    elsewhere: &[],
};

/// The settings of an event.
pub(super) const CONFIG: Level = Level {
    known: &[
        "trigger",
        "output_frequency",
        "outputFrequency",
        "interval",
        "threshold",
        "focus",
        "classes",
        "minimum_distance_threshold",
        "minimumDistanceThreshold",
        "maximum_distance_threshold",
        "maximumDistanceThreshold",
        "aggregation_method",
        "aggregationMethod",
    ],
    elsewhere: &[],
};

/// An event with a `config`.
pub(super) const EVENT: Level = Level {
    known: &["type", "eventType", "config", "@type"],
    elsewhere: &[],
};

impl Level {
    /// What is reported of each member that is not read.
    pub(super) fn unread(self, place: &str, object: &Object) -> Vec<Finding> {
        let unread = object.keys().filter(|name| !self.has(name));
        unread
            .map(|name| {
                Finding::new(
                    format!("{place}{}", shown(name)),
                    self.about(name, [].into_iter()),
                )
            })
            .collect()
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.known.iter().any(|known| is(name, known))
    }

    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        self.known.iter().copied()
    }

    /// What is reported of a member that is not read here, where `others` have a meaning too.
    pub(super) fn about(self, name: &str, others: impl Iterator<Item = &'static str>) -> String {
        match self.elsewhere.iter().find(|(member, _)| is(name, member)) {
            Some((_, why)) => (*why).to_owned(),
            None => unknown(name, self.names().chain(others)),
        }
    }
}

/// Of a member that nothing reads: with the known name that it nearly is.
pub(super) fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(near) => format!("unknown member, ignored; did you mean \"{near}\"?"),
        None => "unknown member, ignored".to_owned(),
    }
}
