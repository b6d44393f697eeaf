//! What an extension adds to its answers for people who watch, by this project's own convention: it goes no further than the program
//! that shows it.
//!
//! A client that shows pictures asks for it in the call (`lva-extension-protocol`: metadata `lva-preview`). The extension may then
//! answer every frame with entities that are marked as preview, and add notes to others: the reasons of an event, the track of a
//! person. The runtime takes marks and notes out before a gate, a node or a sink gets the answer, so they cause nothing. An
//! extension that does not know the convention answers as ever.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::inference::Inference;

/// Name of the extension that marks an inference as preview; its value is `true`.
const MARK: &str = "lva-preview";

/// A note for people who watch: the name of an extension whose value is JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[derive(strum::IntoStaticStr, strum::VariantArray)]
pub enum PreviewNote {
    /// Why an event was counted.
    #[strum(serialize = "lva-why")]
    Why,
    /// An entity as the rules saw it.
    #[strum(serialize = "lva-track")]
    Track,
}

impl PreviewNote {
    /// All notes.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    fn name(self) -> &'static str {
        self.into()
    }
}

impl Inference {
    /// Marks it as something to look at, which causes nothing.
    #[must_use]
    pub fn as_preview(self) -> Self {
        self.with_extension(MARK, "true")
    }

    /// Whether it is only to be looked at.
    pub fn is_preview(&self) -> bool {
        self.extensions.contains_key(MARK)
    }

    /// With a note.
    #[must_use]
    pub fn with_note(self, note: PreviewNote, content: &Value) -> Self {
        self.with_extension(note.name(), content.to_string())
    }

    /// Whether it has any note.
    pub fn has_notes(&self) -> bool {
        let mut notes = PreviewNote::ALL.iter();
        notes.any(|note| self.extensions.contains_key(note.name()))
    }

    /// A note's content; `None` without, and where it cannot be read.
    pub fn note<T: DeserializeOwned>(&self, note: PreviewNote) -> Option<T> {
        serde_json::from_str(self.extensions.get(note.name())?).ok()
    }

    /// Removes all notes.
    pub fn remove_notes(&mut self) {
        for note in PreviewNote::ALL {
            self.extensions.remove(note.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{Event, Inference, JsonStyle, PreviewNote};

    #[test]
    fn marks_and_notes_are_extensions_and_leave_nothing_behind() {
        let plain = Inference::new(Event::new("personZoneEvent"));
        assert!(!plain.is_preview() && !plain.has_notes());
        assert!(plain.clone().as_preview().is_preview());
        let why = json!({"rule": "crossed", "samples": 3});
        let mut noted = plain.clone().with_note(PreviewNote::Why, &why);
        let wire = noted.to_json(JsonStyle::VideoAnalyzer);
        assert!(wire["extensions"]["lva-why"].is_string(), "{wire}");
        assert_eq!(noted.note::<Value>(PreviewNote::Why), Some(why));
        assert_eq!(noted.note::<Value>(PreviewNote::Track), None);
        noted.remove_notes();
        assert_eq!(noted, plain);
        let odd = plain.with_extension("lva-track", "{");
        assert!(odd.has_notes() && odd.note::<Value>(PreviewNote::Track).is_none());
    }
}
