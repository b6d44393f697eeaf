//! The wire format of Protocol Buffers, read in place (protobuf.dev/programming-guides/encoding).

/// Largest number of a field. Readers differ in what they make of more bits.
const MAX_NUMBER: u64 = (1 << 29) - 1;

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) value: Value<'a>,
    /// The field as in the file: tag, length and content.
    pub(super) whole: &'a [u8],
    /// Where the content begins, in bytes from the start of the file.
    pub(super) at: usize,
}

/// The content of a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Varint(u64),
    /// Text, bytes, a message or packed numbers.
    Bytes(&'a [u8]),
    /// Four or eight bytes.
    Fixed,
}

impl<'a> Field<'a> {
    /// The content of a field with a length; empty for any other.
    pub(super) fn bytes(&self) -> &'a [u8] {
        match self.value {
            Value::Bytes(bytes) => bytes,
            Value::Varint(_) | Value::Fixed => &[],
        }
    }

    pub(super) fn text(&self) -> &'a str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    /// The number in a varint; 0 for any other field.
    pub(super) fn number(&self) -> u64 {
        match self.value {
            Value::Varint(value) => value,
            Value::Bytes(_) | Value::Fixed => 0,
        }
    }

    /// The fields of the message in this field.
    pub(super) fn fields(&self) -> Fields<'a> {
        Fields::new(self.bytes(), self.at)
    }

    /// The numbers of a repeated field, packed or single.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> + use<'a> {
        let (single, mut packed) = match self.value {
            Value::Varint(value) => (Some(value), &[][..]),
            Value::Bytes(bytes) => (None, bytes),
            Value::Fixed => (None, &[][..]),
        };
        let packed = std::iter::from_fn(move || {
            let (value, len) = varint(packed)?;
            packed = packed.get(len..)?;
            Some(value)
        });
        single.into_iter().chain(packed)
    }
}

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireError {
    /// A field is longer than what is there.
    Ends {
        /// Bytes that are missing.
        missing: u64,
    },
    /// No field begins there.
    Malformed {
        /// Bytes from the start of the file.
        at: usize,
    },
}

/// The fields of a message, in their order. Ends after the first error.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    /// Bytes from the start of the file to `rest`.
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8], at: usize) -> Self {
        Self { rest: message, at }
    }

    fn field(&mut self) -> Result<Field<'a>, WireError> {
        let malformed = WireError::Malformed { at: self.at };
        let (tag, tag_len) = varint(self.rest).ok_or(malformed)?;
        let (number, rest) = (tag >> 3, self.rest.get(tag_len..).unwrap_or_default());
        if number == 0 || number > MAX_NUMBER {
            return Err(malformed);
        }
        let (header, content) = match tag & 7 {
            0 => (0, varint(rest).ok_or(malformed)?.1 as u64),
            1 => (0, 8),
            2 => {
                let (len, header) = varint(rest).ok_or(malformed)?;
                (header, len)
            }
            5 => (0, 4),
            _ => return Err(malformed),
        };
        let start = tag_len + header;
        let there = self.rest.len().saturating_sub(start) as u64;
        if content > there {
            return Err(WireError::Ends {
                missing: content - there,
            });
        }
        let end = start + content as usize;
        let (whole, after) = self.rest.split_at_checked(end).ok_or(malformed)?;
        let bytes = whole.get(start..).unwrap_or_default();
        let value = match tag & 7 {
            0 => Value::Varint(varint(bytes).ok_or(malformed)?.0),
            2 => Value::Bytes(bytes),
            _ => Value::Fixed,
        };
        let at = self.at + start;
        self.rest = after;
        self.at += end;
        Ok(Field {
            number,
            value,
            whole,
            at,
        })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// A number and the bytes that it takes; `None` if it does not end within ten bytes.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * i as u32).unwrap_or(0);
        if byte < 0x80 {
            return Some((value, i + 1));
        }
    }
    None
}

/// Appends a number.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that a number takes.
pub(super) fn varint_len(value: u64) -> u64 {
    u64::from((64 - (value | 1).leading_zeros()).div_ceil(7))
}

/// Appends the beginning of a field with a length.
pub(super) fn put_header(out: &mut Vec<u8>, number: u64, len: u64) {
    put_varint(out, number << 3 | 2);
    put_varint(out, len);
}

/// Bytes that [`put_header`] appends.
pub(super) fn header_len(number: u64, len: u64) -> u64 {
    varint_len(number << 3 | 2) + varint_len(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_there_and_back(value in any::<u64>(), shift in 0u32..64) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(varint(&bytes), Some((value, bytes.len())));
            prop_assert_eq!(varint_len(value), bytes.len() as u64);
            prop_assert_eq!(varint(&bytes[..bytes.len() - 1]), None);
        }

        #[test]
        fn fields_cover_what_they_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut covered = 0;
            for field in Fields::new(&bytes, 0) {
                let Ok(field) = field else { break };
                prop_assert_eq!(&bytes[covered..covered + field.whole.len()], field.whole);
                covered += field.whole.len();
            }
            prop_assert!(covered <= bytes.len());
        }
    }

    #[test]
    fn what_is_missing_is_counted() {
        let mut bytes = Vec::new();
        put_header(&mut bytes, 7, 10);
        bytes.extend([0; 4]);
        let error = Fields::new(&bytes, 0).next().unwrap().unwrap_err();
        assert_eq!(error, WireError::Ends { missing: 6 });
        assert!(matches!(
            Fields::new(&[0, 1], 0).next(),
            Some(Err(WireError::Malformed { at: 0 }))
        ));
    }
}
