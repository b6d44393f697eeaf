//! JSON that people write, for readers of other documents than this crate's: what is wrong with it, and which name was meant.
//!
//! ```
//! use lva_graph_model::json;
//!
//! let error = json::parse::<serde_json::Value>(b"{\n  \"zones\": [] // the door\n}").unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "not JSON: a comment at line 2, column 15: JSON has none: remove it"
//! );
//! assert_eq!(json::nearest("treshold", ["focus", "threshold"]), Some("threshold"));
//! ```

use serde::de::DeserializeOwned;

use crate::document::{self, DocumentError, decoded};

/// Decodes UTF-8, without a byte-order mark.
///
/// # Errors
///
/// [`DocumentError::NotUtf8`], or [`DocumentError::OtherFormat`] where it is UTF-16.
pub fn text(bytes: &[u8]) -> Result<&str, DocumentError> {
    decoded(bytes)
}

/// Reads JSON of any size: a byte-order mark, any line ends and tabs are fine.
///
/// # Errors
///
/// As [`text`] and [`not_json`].
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DocumentError> {
    let text = text(bytes)?;
    serde_json::from_str(text).map_err(|cause| not_json(text, cause))
}

/// Why a text is not JSON: it is another format, it has something that JSON does not have, or `cause`, the parser's error.
pub fn not_json(text: &str, cause: serde_json::Error) -> DocumentError {
    document::not_json(text, cause)
}

/// The known name from which a name differs least, in at most a quarter of its letters. Case, underscores, dashes and spaces
/// do not count.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bare = |name: &str| -> Vec<char> {
        name.chars()
            .filter(|c| !matches!(c, '_' | '-' | ' '))
            .flat_map(char::to_lowercase)
            .take(64)
            .collect()
    };
    let wanted = bare(name);
    let most = (wanted.len() / 4).max(1);
    known
        .into_iter()
        .map(|known| (distance(&wanted, &bare(known)), known))
        .filter(|(away, _)| *away <= most)
        .min_by_key(|(away, _)| *away)
        .map(|(_, known)| known)
}

/// How many letters have to be inserted, removed or replaced (Levenshtein).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, left) in a.iter().enumerate() {
        let mut corner = index;
        let mut before = index + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (right, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let changed = corner + usize::from(left != right);
            corner = *cell;
            *cell = changed.min(corner + 1).min(before + 1);
            before = *cell;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_of_few_other_letters() {
        let near = |name: &str| nearest(name, ["trigger", "output_frequency", "threshold", "focus"]);
        assert_eq!(near("treshold"), Some("threshold"));
        assert_eq!(near("output-frequency"), Some("output_frequency"));
        assert_eq!(near("Focuss"), Some("focus"));
        assert_eq!(near("min_speed"), None);
        assert_eq!(near(""), None);
        let count = |a: &str, b: &str| {
            let of = |text: &str| text.chars().collect::<Vec<_>>();
            distance(&of(a), &of(b))
        };
        assert_eq!(
            (count("kitten", "sitting"), count("", "abc"), count("abc", "")),
            (3, 3, 3)
        );
    }

    #[test]
    fn a_wrong_type_is_not_taken_for_another_format() {
        let error = parse::<u32>(b"  {\"a\": 'x'}").unwrap_err();
        assert!(error.to_string().contains("invalid type: map"), "{error}");
        assert_eq!(parse::<u32>(b"\xef\xbb\xbf 7\r\n").unwrap(), 7);
    }
}
