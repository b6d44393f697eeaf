//! 16-bit pixels to bytes.

/// The lowest `BITS` bits as 0..=255: upper bits are repeated below, so that all ones become 255 and 0 stays 0.
fn widen<const BITS: u32>(word: u16) -> u8 {
    let value = word & ((1 << BITS) - 1);
    (value << (8 - BITS) | value >> (2 * BITS - 8)) as u8
}

/// Widens one row into `out`: all reds, then all greens, then all blues. Planes and not pixels, because three
/// loops that write one byte after the other are vectorised and one that writes three is not.
pub(super) fn row<const GREEN_BITS: u32, const BIG_ENDIAN: bool>(words: &[u8], out: &mut Vec<u8>) {
    let word = |&bytes: &[u8; 2]| match BIG_ENDIAN {
        true => u16::from_be_bytes(bytes),
        false => u16::from_le_bytes(bytes),
    };
    let words = words.as_chunks::<2>().0;
    out.resize(words.len() * 3, 0);
    let (red, rest) = out.split_at_mut(words.len());
    let (green, blue) = rest.split_at_mut(words.len());
    red.iter_mut()
        .zip(words)
        .for_each(|(out, bytes)| *out = widen::<5>(word(bytes) >> (5 + GREEN_BITS)));
    green
        .iter_mut()
        .zip(words)
        .for_each(|(out, bytes)| *out = widen::<GREEN_BITS>(word(bytes) >> 5));
    blue.iter_mut()
        .zip(words)
        .for_each(|(out, bytes)| *out = widen::<5>(word(bytes)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixel<const GREEN_BITS: u32, const BIG_ENDIAN: bool>(bytes: [u8; 2]) -> [u8; 3] {
        let mut out = Vec::new();
        row::<GREEN_BITS, BIG_ENDIAN>(&bytes, &mut out);
        [out[0], out[1], out[2]]
    }

    #[test]
    fn extremes_and_positions() {
        assert_eq!(pixel::<6, true>([0xff, 0xff]), [255, 255, 255]);
        assert_eq!(pixel::<6, true>([0xf8, 0x00]), [255, 0, 0]);
        assert_eq!(pixel::<6, false>([0xe0, 0x07]), [0, 255, 0]);
        assert_eq!(pixel::<5, true>([0x80, 0x1f]), [0, 0, 255]);
        assert_eq!(pixel::<5, false>([0x00, 0x7c]), [255, 0, 0]);
        assert_eq!(pixel::<5, false>([0xe0, 0x03]), [0, 255, 0]);
        assert_eq!(pixel::<6, false>([0x10, 0x84]), [132, 130, 132]);
    }

    #[test]
    fn a_row_is_three_planes() {
        let mut out = vec![9; 40];
        row::<6, true>(&[0xf8, 0x00, 0x00, 0x1f], &mut out);
        assert_eq!(out, [255, 0, 0, 0, 0, 255]);
    }
}
