use serde_json::{Map, Value};

/// Most bytes of desired properties, and of reported ones in one change, as JSON.
const MAX_BYTES: usize = 32 * 1024;
const MAX_DEPTH: usize = 10;
const MAX_KEY_BYTES: usize = 1024;
const MAX_STRING_BYTES: usize = 4096;
/// Integers beyond lose digits in readers of JSON, and the hub refuses them.
const MAX_INTEGER: i64 = (1 << 52) - 1;

/// Whether a hub would keep these properties in a twin.
///
/// # Errors
///
/// [`TwinLimitError`] for the first that it would refuse.
pub fn check_properties(properties: &Map<String, Value>) -> Result<(), TwinLimitError> {
    check_size([properties].into_iter())?;
    check_members(properties, 1)
}

/// Whether changes that wait are within the bound together.
pub(crate) fn check_size<'a>(
    patches: impl Iterator<Item = &'a Map<String, Value>>,
) -> Result<(), TwinLimitError> {
    let bytes = |patch| serde_json::to_vec(patch).map_or(MAX_BYTES + 1, |json| json.len());
    let size: usize = patches.map(bytes).sum();
    match size {
        0..=MAX_BYTES => Ok(()),
        _ => Err(TwinLimitError::TooLarge { size }),
    }
}

fn check_members(object: &Map<String, Value>, depth: usize) -> Result<(), TwinLimitError> {
    if depth > MAX_DEPTH {
        return Err(TwinLimitError::TooDeep);
    }
    for (key, value) in object {
        let is_bad = |c: char| matches!(c, '.' | '$' | ' ') || c.is_control();
        if key.is_empty() || key.len() > MAX_KEY_BYTES || key.contains(is_bad) {
            return Err(TwinLimitError::Key { key: key.clone() });
        }
        check_value(key, value, depth)?;
    }
    Ok(())
}

fn check_value(key: &str, value: &Value, depth: usize) -> Result<(), TwinLimitError> {
    let refused = || Err(TwinLimitError::Value { key: key.to_owned() });
    match value {
        Value::String(text) if text.len() > MAX_STRING_BYTES => refused(),
        Value::Number(number) if number.is_f64() => Ok(()),
        Value::Number(number) => match number.as_i64() {
            Some(integer) if (-MAX_INTEGER - 1..=MAX_INTEGER).contains(&integer) => Ok(()),
            _ => refused(),
        },
        Value::Object(inner) => check_members(inner, depth + 1),
        Value::Array(_) if depth >= MAX_DEPTH => Err(TwinLimitError::TooDeep),
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| check_value(key, item, depth + 1)),
        _ => Ok(()),
    }
}

/// Why properties do not fit in a twin. The caller is at fault; a retry does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TwinLimitError {
    /// Not an object.
    #[error("the properties of a twin must be a JSON object")]
    NotAnObject,
    /// Beyond 32 KiB.
    #[error("the properties have {size} bytes, and a twin accepts {MAX_BYTES}")]
    TooLarge {
        /// Bytes as JSON.
        size: usize,
    },
    /// Beyond ten levels.
    #[error("the properties are nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A name that the hub refuses.
    #[error(
        "the property '{key}' needs another name: not empty, at most {MAX_KEY_BYTES} bytes, without '.', '$' and spaces"
    )]
    Key {
        /// The name.
        key: String,
    },
    /// A value that the hub refuses.
    #[error(
        "the value of the property '{key}' is out of range: strings have at most {MAX_STRING_BYTES} bytes, integers at most 52 bits"
    )]
    Value {
        /// The name.
        key: String,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: Value) -> Result<(), TwinLimitError> {
        check_properties(value.as_object().unwrap())
    }

    #[test]
    fn what_the_hub_refuses_is_refused_before_it_is_sent() {
        assert_eq!(check(json!({"a":{"b":[1,{"c":null}]},"f":1.5})), Ok(()));
        for key in ["", "a.b", "$a", "a b", &"k".repeat(1025)] {
            assert!(
                matches!(check(json!({key: 1})), Err(TwinLimitError::Key { .. })),
                "{key}"
            );
        }
        assert_eq!(check(json!({"n": MAX_INTEGER})), Ok(()));
        assert_eq!(check(json!({"n": -MAX_INTEGER - 1})), Ok(()));
        for value in [json!(1_i64 << 52), json!(u64::MAX), json!("s".repeat(4097))] {
            assert!(matches!(
                check(json!({"n": value})),
                Err(TwinLimitError::Value { .. })
            ));
        }
        let big = json!({"a": vec!["s".repeat(1000); 40]});
        assert!(matches!(check(big), Err(TwinLimitError::TooLarge { .. })));
        let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!({"a": inner}));
        assert_eq!(check(nested(10)), Ok(()));
        assert_eq!(check(nested(11)), Err(TwinLimitError::TooDeep));
    }
}
