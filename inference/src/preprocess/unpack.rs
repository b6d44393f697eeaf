//! 16-bit pixels to bytes.

/// Readers of one 16-bit pixel: two bytes in memory order to red, green, blue, 0..=255.
#[derive(Debug)]
pub(super) struct Word;

impl Word {
    pub(super) fn rgb565_be(bytes: [u8; 2]) -> [u8; 3] {
        rgb565(u16::from_be_bytes(bytes))
    }

    pub(super) fn rgb565_le(bytes: [u8; 2]) -> [u8; 3] {
        rgb565(u16::from_le_bytes(bytes))
    }

    pub(super) fn rgb555_be(bytes: [u8; 2]) -> [u8; 3] {
        rgb555(u16::from_be_bytes(bytes))
    }

    pub(super) fn rgb555_le(bytes: [u8; 2]) -> [u8; 3] {
        rgb555(u16::from_le_bytes(bytes))
    }
}

#[inline]
fn rgb565(word: u16) -> [u8; 3] {
    let green = (word >> 5 & 0x3f) as u8;
    [widen5(word >> 11), green << 2 | green >> 4, widen5(word)]
}

#[inline]
fn rgb555(word: u16) -> [u8; 3] {
    [widen5(word >> 10), widen5(word >> 5), widen5(word)]
}

/// Repeats the upper bits below, so that 31 becomes 255 and 0 stays 0.
#[inline]
fn widen5(word: u16) -> u8 {
    let value = (word & 0x1f) as u8;
    value << 3 | value >> 2
}

/// Widens one row into `out`, three bytes a pixel.
pub(super) fn row(words: &[u8], word: impl Fn([u8; 2]) -> [u8; 3], out: &mut Vec<u8>) {
    let words = words.as_chunks::<2>().0;
    out.resize(words.len() * 3, 0);
    for (pixel, &bytes) in out.as_chunks_mut::<3>().0.iter_mut().zip(words) {
        *pixel = word(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_and_positions() {
        assert_eq!(Word::rgb565_be([0xff, 0xff]), [255, 255, 255]);
        assert_eq!(Word::rgb565_be([0xf8, 0x00]), [255, 0, 0]);
        assert_eq!(Word::rgb565_le([0xe0, 0x07]), [0, 255, 0]);
        assert_eq!(Word::rgb555_be([0x80, 0x1f]), [0, 0, 255]);
        assert_eq!(Word::rgb555_le([0x00, 0x7c]), [255, 0, 0]);
        assert_eq!(Word::rgb555_le([0xe0, 0x03]), [0, 255, 0]);
        assert_eq!(Word::rgb565_le([0x10, 0x84]), [132, 130, 132]);
    }
}
