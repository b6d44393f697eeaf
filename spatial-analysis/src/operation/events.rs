//! The events that a zone or a line asks for.

use lva_zones::{Aggregation, Classes, DEFAULT_THRESHOLD, Focus, Threshold, Trigger};

/// Type of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventType {
    Crossing,
    Dwell,
    Count,
    Distance,
}

impl EventType {
    /// By its name for a zone, lower case and without punctuation, and whether pages of the contract have it. The tutorial of 2020
    /// writes `enter/exit`, its table `enter` and `exit`. Others are the names of the operations, and of the events that come out.
    pub(super) fn of_zone(word: &str) -> Option<(Self, bool)> {
        Some(match word {
            "zonecrossing" | "enter" | "exit" | "enterexit" | "exitenter" => (Self::Crossing, true),
            "crossing"
            | "enterandexit"
            | "polygoncrossing"
            | "personzonecrossing"
            | "personcrossingpolygon"
            | "personzoneevent"
            | "personzoneenterexit"
            | "personzoneenterexitevent" => (Self::Crossing, false),
            "zonedwelltime" => (Self::Dwell, true),
            "dwell" | "dwelltime" | "personzonedwelltime" | "personzonedwelltimeevent" => {
                (Self::Dwell, false)
            }
            "count" => (Self::Count, true),
            "personcount" | "peoplecount" | "personcountevent" => (Self::Count, false),
            "persondistance" | "peopledistance" => (Self::Distance, true),
            "distance" | "persondistanceevent" => (Self::Distance, false),
            _ => return None,
        })
    }

    /// The contract's name for it.
    pub(super) fn name(self, is_of_line: bool) -> &'static str {
        match self {
            Self::Crossing if is_of_line => "linecrossing",
            Self::Crossing => "zonecrossing",
            Self::Dwell => "zonedwelltime",
            Self::Count => "count",
            Self::Distance => "persondistance",
        }
    }

    /// The same for a line.
    pub(super) fn of_line(word: &str) -> Option<(Self, bool)> {
        Some(match word {
            "linecrossing" => (Self::Crossing, true),
            "crossing" | "personlinecrossing" | "personcrossingline" | "personline" | "personlineevent" => {
                (Self::Crossing, false)
            }
            _ => return None,
        })
    }
}

/// Settings of an event, whatever its type.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EventSettings {
    pub(super) threshold: Option<f64>,
    pub(super) focus: Focus,
    pub(super) sample_every: u32,
    pub(super) trigger: Trigger,
    pub(super) aggregation: Aggregation,
    pub(super) minimum_ft: Option<f64>,
    pub(super) maximum_ft: Option<f64>,
    /// By their places among the names of the elements; all: those of the operation.
    pub(super) classes: Classes,
}

impl Default for EventSettings {
    fn default() -> Self {
        Self {
            threshold: None,
            focus: Focus::default(),
            sample_every: 1,
            trigger: Trigger::Event,
            aggregation: Aggregation::Mode,
            minimum_ft: None,
            maximum_ft: None,
            classes: Classes::default(),
        }
    }
}

impl EventSettings {
    pub(super) fn depth(&self) -> Threshold {
        self.threshold.map_or(Threshold::Auto, Threshold::Width)
    }

    /// How far outside a person must be to have left. Only a threshold below the default applies to both sides.
    pub(super) fn exit_depth(&self) -> Threshold {
        match self.threshold {
            Some(threshold) if threshold < DEFAULT_THRESHOLD => Threshold::Width(threshold),
            _ => Threshold::Auto,
        }
    }
}

/// The events of a zone or line: the first one of each type.
#[derive(Debug, Clone, Default)]
pub(super) struct Events {
    pub(super) crossing: Option<EventSettings>,
    pub(super) dwell: Option<EventSettings>,
    pub(super) count: Option<EventSettings>,
    pub(super) distance: Option<EventSettings>,
}

impl Events {
    /// Adds an event unless there is one of its type: the first generation lists `enter` and `exit` separately. Returns whether
    /// there was one with other settings.
    pub(super) fn add(&mut self, event: EventType, settings: EventSettings) -> bool {
        let slot = match event {
            EventType::Crossing => &mut self.crossing,
            EventType::Dwell => &mut self.dwell,
            EventType::Count => &mut self.count,
            EventType::Distance => &mut self.distance,
        };
        *slot.get_or_insert_with(|| settings.clone()) != settings
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first().is_none()
    }

    /// The settings that stand for the zone or line as a whole.
    pub(super) fn first(&self) -> Option<&EventSettings> {
        let all = [&self.crossing, &self.dwell, &self.count, &self.distance];
        all.into_iter().find_map(Option::as_ref)
    }
}
