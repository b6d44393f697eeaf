//! Property bags: what a message carries beside its body, as `name=value&name=value` at the end of a topic.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986: no raw `:` (clients were disconnected for it), no `+` for a space.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Percent-encodes everything but unreserved characters.
pub(crate) fn encode(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, ENCODED)
}

/// Undoes [`encode`]. A `%` that two hexadecimal digits do not follow stays as it is.
pub(crate) fn decode(text: &str) -> Result<Cow<'_, str>, PropertiesError> {
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| PropertiesError::NotUtf8)
}

/// Names and values in the order of the wire; `None` is a name without a value (null), which differs from an empty value.
pub type PropertyList = Vec<(String, Option<String>)>;

/// Writes a property bag. Names and values are percent-encoded without safe characters; null is the name alone.
///
/// ```
/// let bag = lva_hub::properties::encode_bag([("eventTime", Some("2024-01-01T00:00:00Z")), ("empty", Some("")), ("null", None)]);
/// assert_eq!(bag, "eventTime=2024-01-01T00%3A00%3A00Z&empty=&null");
/// ```
pub fn encode_bag<'a>(properties: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let mut bag = String::new();
    for (name, value) in properties {
        if !bag.is_empty() {
            bag.push('&');
        }
        bag.extend(utf8_percent_encode(name, ENCODED));
        if let Some(value) = value {
            bag.push('=');
            bag.extend(utf8_percent_encode(value, ENCODED));
        }
    }
    bag
}

/// Reads a property bag: split at `&`, then at the first `=`, then percent-decoded; `+` stays `+`. A leading `?` and a
/// final `/`, which some senders write, are ignored.
///
/// # Errors
///
/// [`PropertiesError`] for text that is not UTF-8 once decoded.
pub fn decode_bag(bag: &str) -> Result<PropertyList, PropertiesError> {
    let bag = bag.strip_prefix('?').unwrap_or(bag);
    let bag = bag.strip_suffix('/').unwrap_or(bag);
    let parts = bag.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| match part.split_once('=') {
            Some((name, value)) => Ok((decode(name)?.into_owned(), Some(decode(value)?.into_owned()))),
            None => Ok((decode(part)?.into_owned(), None)),
        })
        .collect()
}

/// Why a property bag cannot be read. The sender is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PropertiesError {
    /// Percent-decoded bytes that are not UTF-8.
    #[error("a property of the message is not UTF-8")]
    NotUtf8,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn null_empty_and_plus_keep_their_meaning() {
        let list = decode_bag("null&empty=&plus=a+b&eq=a=b&%24.mid=m%201").unwrap();
        let own = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        assert_eq!(
            list,
            [
                own("null", None),
                own("empty", Some("")),
                own("plus", Some("a+b")),
                own("eq", Some("a=b")),
                own("$.mid", Some("m 1")),
            ]
        );
    }

    #[test]
    fn a_question_mark_in_front_and_a_slash_behind_are_not_properties() {
        assert_eq!(
            decode_bag("?a=1&b=2/").unwrap(),
            [
                ("a".to_owned(), Some("1".to_owned())),
                ("b".to_owned(), Some("2".to_owned()))
            ]
        );
        assert_eq!(decode_bag("").unwrap(), []);
    }

    #[test]
    fn bytes_that_are_not_text_are_an_error() {
        assert_eq!(decode_bag("a=%ff"), Err(PropertiesError::NotUtf8));
        assert_eq!(
            decode_bag("a=%zz").unwrap(),
            [("a".to_owned(), Some("%zz".to_owned()))]
        );
    }

    proptest! {
        #[test]
        fn any_bag_comes_back_as_it_was(list in proptest::collection::vec((".{1,12}", proptest::option::of(".{0,12}")), 0..8)) {
            let bag = encode_bag(list.iter().map(|(name, value)| (name.as_str(), value.as_deref())));
            prop_assert!(bag.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%=&".contains(&b)), "{}", bag);
            prop_assert_eq!(decode_bag(&bag).unwrap(), list);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,64}") {
            let _ = decode_bag(&text);
        }
    }
}
