use std::collections::BTreeMap;
use std::sync::Arc;

use lva_graph_runtime::GraphEvent;
use lva_inference_schema::body::EventBody;
use lva_inference_schema::{Event, InferenceValue};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Most zones whose counts are kept; the broker's client keeps no more states either.
const MAX_ZONES: usize = 2_000;

/// The people in each zone as events last reported them, and whether instances may have changed their states.
#[derive(Debug, Clone, Default)]
pub(crate) struct ZoneCounts(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// By instance and zone; the number as the event wrote it.
    counts: Mutex<BTreeMap<(String, String), String>>,
    changed: Notify,
}

impl ZoneCounts {
    /// Takes the counts of an event.
    pub(crate) fn note(&self, event: &GraphEvent) {
        let EventBody::Analytics(body) = &event.body else {
            // Of an instance, perhaps.
            return self.0.changed.notify_one();
        };
        for inference in &body.inferences {
            if let InferenceValue::Event(found) = &inference.value
                && let Some((zone, count)) = zone_count(found)
            {
                self.set(event.subject.instance_name(), zone, count);
            }
        }
    }

    fn set(&self, instance: &str, zone: &str, count: &str) {
        let mut counts = self.0.counts.lock();
        let key = (instance.to_owned(), zone.to_owned());
        let is_new = !counts.contains_key(&key);
        if is_new && counts.len() >= MAX_ZONES {
            return;
        }
        if counts.insert(key, count.to_owned()).as_deref() != Some(count) {
            self.0.changed.notify_one();
        }
    }

    /// Waits for a change since the last wait. There is one waiter.
    pub(crate) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// The counts of instances that exist, by instance and zone; others are forgotten.
    pub(crate) fn of_existing(&self, exists: impl Fn(&str) -> bool) -> BTreeMap<(String, String), String> {
        let mut counts = self.0.counts.lock();
        counts.retain(|(instance, _), _| exists(instance));
        counts.clone()
    }
}

/// The zone and the count of an event that counts people.
fn zone_count(event: &Event) -> Option<(&str, &str)> {
    if event.name != "personCountEvent" {
        return None;
    }
    let zone = event.properties.get("zone").filter(|zone| !zone.is_empty())?;
    let count = event.properties.get("personCount")?;
    count.parse::<f64>().ok()?;
    // Video Analyzer writes 2 as "2.0".
    Some((zone, count.strip_suffix(".0").unwrap_or(count)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_events_that_count_people() {
        let event = |name: &str, count: &str| {
            Event::new(name)
                .with_property("zone", "queue")
                .with_property("personCount", count)
        };
        assert_eq!(zone_count(&event("personCountEvent", "2")), Some(("queue", "2")));
        assert_eq!(
            zone_count(&event("personCountEvent", "20.0")),
            Some(("queue", "20"))
        );
        assert_eq!(zone_count(&event("personCountEvent", "many")), None);
        assert_eq!(zone_count(&event("personDistanceEvent", "2")), None);
        assert_eq!(
            zone_count(&Event::new("personCountEvent").with_property("personCount", "2")),
            None
        );
    }

    #[test]
    fn counts_are_bounded_and_forgotten_with_their_instance() {
        let counts = ZoneCounts::default();
        for zone in 0..=MAX_ZONES {
            counts.set("one", &zone.to_string(), "1");
        }
        counts.set("one", "7", "5");
        let all = counts.of_existing(|_| true);
        assert_eq!(all.len(), MAX_ZONES);
        assert_eq!(all[&("one".to_owned(), "7".to_owned())], "5");
        assert!(counts.of_existing(|_| false).is_empty());
        assert!(counts.of_existing(|_| true).is_empty());
    }
}
