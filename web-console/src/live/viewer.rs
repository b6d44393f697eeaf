//! The queue to one viewer. **A viewer that is too slow loses pictures; nobody else notices.**

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::mux::{Fragment, Init};

/// Pictures, and bytes of them, that wait for one viewer; more are skipped up to a key frame. Five seconds of most cameras.
/// Pictures are shared among viewers.
const MAX_PICTURES: usize = 150;
const MAX_BYTES: usize = 8 << 20;
/// Notes that wait: boxes, events, states. The oldest makes way.
const MAX_NOTES: usize = 256;

/// What a viewer gets.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// A message of text.
    Note(Utf8Bytes),
    /// A new track.
    Init(Arc<Init>),
    /// A picture.
    Picture(Bytes),
    /// So many pictures were skipped.
    Skipped(u64),
}

/// One viewer of a camera.
#[derive(Debug, Default)]
pub(crate) struct Viewer {
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    /// Of the pictures that came since the viewer did.
    pictures: usize,
    bytes: usize,
    notes: usize,
    waits_for_key: bool,
    /// Since this was last reported.
    skipped: u64,
    is_closed: bool,
}

impl Viewer {
    /// What came before the viewer. It is sent as fast as the viewer takes it, and bounded where it is kept.
    pub(crate) fn begin<'a>(&self, init: Arc<Init>, group: impl Iterator<Item = &'a Fragment>) {
        let mut queue = self.queue.lock();
        queue.items.push_back(Item::Init(init));
        let mut is_empty = true;
        for fragment in group {
            is_empty = false;
            queue.items.push_back(Item::Picture(fragment.bytes.clone()));
        }
        queue.waits_for_key = is_empty;
        drop(queue);
        self.filled.notify_one();
    }

    pub(crate) fn init(&self, init: &Arc<Init>) {
        let mut queue = self.queue.lock();
        queue.items.push_back(Item::Init(Arc::clone(init)));
        queue.waits_for_key = true;
        drop(queue);
        self.filled.notify_one();
    }

    pub(crate) fn picture(&self, fragment: &Fragment) {
        let mut queue = self.queue.lock();
        if queue.pictures >= MAX_PICTURES || queue.bytes + fragment.bytes.len() > MAX_BYTES {
            queue.skip_pictures();
        }
        if queue.waits_for_key && !fragment.is_key {
            queue.skipped += 1;
            return;
        }
        if queue.skipped > 0 {
            let skipped = std::mem::take(&mut queue.skipped);
            queue.items.push_back(Item::Skipped(skipped));
        }
        queue.waits_for_key = false;
        queue.pictures += 1;
        queue.bytes += fragment.bytes.len();
        queue.items.push_back(Item::Picture(fragment.bytes.clone()));
        drop(queue);
        self.filled.notify_one();
    }

    pub(crate) fn note(&self, text: &Utf8Bytes) {
        let mut queue = self.queue.lock();
        if queue.notes >= MAX_NOTES
            && let Some(oldest) = queue.items.iter().position(|item| matches!(item, Item::Note(_)))
        {
            queue.items.remove(oldest);
            queue.notes -= 1;
        }
        queue.notes += 1;
        queue.items.push_back(Item::Note(text.clone()));
        drop(queue);
        self.filled.notify_one();
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.queue.lock().is_closed = true;
        self.filled.notify_one();
    }

    /// Everything that waits, without waiting. Cancel safe together with [`filled`](Self::filled).
    pub(crate) fn take(&self) -> Option<VecDeque<Item>> {
        let mut queue = self.queue.lock();
        if queue.items.is_empty() && queue.is_closed {
            return None;
        }
        if queue.is_closed {
            self.filled.notify_one(); // the end comes after this
        }
        (queue.pictures, queue.bytes, queue.notes) = (0, 0, 0);
        Some(std::mem::take(&mut queue.items))
    }

    /// Waits until something has come since the last wait.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }
}

impl Queue {
    /// What waits is old by now: the viewer goes on with the next key frame.
    fn skip_pictures(&mut self) {
        let before = self.items.len();
        self.items.retain(|item| !matches!(item, Item::Picture(_)));
        let skipped = before - self.items.len();
        self.skipped += u64::try_from(skipped).unwrap_or(u64::MAX);
        (self.pictures, self.bytes) = (0, 0);
        self.waits_for_key = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(is_key: bool, size: usize) -> Fragment {
        Fragment {
            bytes: vec![0; size].into(),
            is_key,
            timestamp_90k: 0,
            unit_at: 0,
        }
    }

    fn init() -> Arc<Init> {
        Arc::new(Init {
            codec: String::new(),
            width: 1,
            height: 1,
            epoch_90k: 0,
            segment: Bytes::new(),
        })
    }

    fn taken(viewer: &Viewer) -> Vec<String> {
        let shown = |item| match item {
            Item::Note(text) => text.to_string(),
            Item::Init(_) => "init".to_owned(),
            Item::Picture(bytes) => bytes.len().to_string(),
            Item::Skipped(pictures) => format!("skipped {pictures}"),
        };
        viewer.take().into_iter().flatten().map(shown).collect()
    }

    #[test]
    fn a_slow_viewer_goes_on_with_the_next_key_frame_and_is_told_what_it_lost() {
        let viewer = Viewer::default();
        viewer.begin(init(), [fragment(true, 7)].iter());
        for _ in 0..=MAX_PICTURES {
            viewer.picture(&fragment(false, 1));
        }
        viewer.note(&"boxes".into());
        assert_eq!(taken(&viewer), ["init", "boxes"]);
        viewer.picture(&fragment(false, 1));
        viewer.picture(&fragment(true, 2));
        // The key frame of the beginning, those that waited, and two that found no place.
        let lost = 1 + MAX_PICTURES + 2;
        assert_eq!(taken(&viewer), [format!("skipped {lost}"), "2".to_owned()]);
    }

    #[test]
    fn bytes_are_bounded_as_well() {
        let viewer = Viewer::default();
        viewer.begin(init(), [fragment(true, 7)].iter());
        viewer.picture(&fragment(false, MAX_BYTES));
        viewer.picture(&fragment(true, 2));
        assert_eq!(taken(&viewer), ["init", "skipped 2", "2"]);
    }

    #[test]
    fn the_oldest_note_makes_way() {
        let viewer = Viewer::default();
        for number in 0..MAX_NOTES + 3 {
            viewer.note(&number.to_string().into());
        }
        let notes = taken(&viewer);
        assert_eq!((notes.len(), notes[0].as_str()), (MAX_NOTES, "3"));
    }

    #[test]
    fn what_waits_is_sent_before_the_end() {
        let viewer = Viewer::default();
        viewer.note(&"last".into());
        viewer.close();
        assert_eq!(taken(&viewer), ["last"]);
        assert!(viewer.take().is_none());
    }
}
