use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::topic::TopicError;

/// What a level of a topic cannot hold, and `%`, so that it can be undone.
const LEVEL: &AsciiSet = &CONTROLS.add(b'+').add(b'#').add(b'/').add(b'%');

/// A name as one level of a topic.
pub(super) fn encode_level(name: &str) -> String {
    utf8_percent_encode(name, LEVEL).to_string()
}

/// Undoes [`encode_level`].
pub(super) fn decode_level(level: &str) -> Result<String, TopicError> {
    let decoded = percent_decode_str(level).decode_utf8();
    decoded
        .map(|name| name.into_owned())
        .map_err(|_| TopicError::Incomplete)
}
