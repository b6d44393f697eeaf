//! 16-bit pixels to bytes.

/// A layout of 16-bit words: how each colour, 0..=255, is read from one.
pub(super) trait Word {
    /// The two bytes of a pixel in memory order as a number.
    fn of(bytes: [u8; 2]) -> u16;
    fn red(word: u16) -> u8;
    fn green(word: u16) -> u8;
    fn blue(word: u16) -> u8 {
        widen5(word)
    }
}

/// Order of the two bytes in memory.
pub(super) trait ByteOrder {
    fn of(bytes: [u8; 2]) -> u16;
}

pub(super) struct BigEndian;
pub(super) struct LittleEndian;

impl ByteOrder for BigEndian {
    fn of(bytes: [u8; 2]) -> u16 {
        u16::from_be_bytes(bytes)
    }
}

impl ByteOrder for LittleEndian {
    fn of(bytes: [u8; 2]) -> u16 {
        u16::from_le_bytes(bytes)
    }
}

/// 5 bits red, 6 green, 5 blue.
pub(super) struct Rgb565<O>(std::marker::PhantomData<O>);
/// 1 unused bit, 5 bits each.
pub(super) struct Rgb555<O>(std::marker::PhantomData<O>);

impl<O: ByteOrder> Word for Rgb565<O> {
    fn of(bytes: [u8; 2]) -> u16 {
        O::of(bytes)
    }

    fn red(word: u16) -> u8 {
        widen5(word >> 11)
    }

    fn green(word: u16) -> u8 {
        let value = word >> 5 & 0x3f;
        (value << 2 | value >> 4) as u8
    }
}

impl<O: ByteOrder> Word for Rgb555<O> {
    fn of(bytes: [u8; 2]) -> u16 {
        O::of(bytes)
    }

    fn red(word: u16) -> u8 {
        widen5(word >> 10)
    }

    fn green(word: u16) -> u8 {
        widen5(word >> 5)
    }
}

/// The lowest five bits as 0..=255: upper bits are repeated below, so that 31 becomes 255 and 0 stays 0.
fn widen5(word: u16) -> u8 {
    let value = word & 0x1f;
    (value << 3 | value >> 2) as u8
}

/// Widens one row into `out`: all reds, then all greens, then all blues. Planes and not pixels, because three
/// loops that write one byte after the other are vectorised and one that writes three is not.
pub(super) fn row<W: Word>(words: &[u8], out: &mut Vec<u8>) {
    let words = words.as_chunks::<2>().0;
    out.resize(words.len() * 3, 0);
    let (red, rest) = out.split_at_mut(words.len());
    let (green, blue) = rest.split_at_mut(words.len());
    red.iter_mut()
        .zip(words)
        .for_each(|(out, &bytes)| *out = W::red(W::of(bytes)));
    green
        .iter_mut()
        .zip(words)
        .for_each(|(out, &bytes)| *out = W::green(W::of(bytes)));
    blue.iter_mut()
        .zip(words)
        .for_each(|(out, &bytes)| *out = W::blue(W::of(bytes)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixel<W: Word>(bytes: [u8; 2]) -> [u8; 3] {
        let mut out = Vec::new();
        row::<W>(&bytes, &mut out);
        [out[0], out[1], out[2]]
    }

    #[test]
    fn extremes_and_positions() {
        assert_eq!(pixel::<Rgb565<BigEndian>>([0xff, 0xff]), [255, 255, 255]);
        assert_eq!(pixel::<Rgb565<BigEndian>>([0xf8, 0x00]), [255, 0, 0]);
        assert_eq!(pixel::<Rgb565<LittleEndian>>([0xe0, 0x07]), [0, 255, 0]);
        assert_eq!(pixel::<Rgb555<BigEndian>>([0x80, 0x1f]), [0, 0, 255]);
        assert_eq!(pixel::<Rgb555<LittleEndian>>([0x00, 0x7c]), [255, 0, 0]);
        assert_eq!(pixel::<Rgb555<LittleEndian>>([0xe0, 0x03]), [0, 255, 0]);
        assert_eq!(pixel::<Rgb565<LittleEndian>>([0x10, 0x84]), [132, 130, 132]);
    }

    #[test]
    fn a_row_is_three_planes() {
        let mut out = vec![9; 40];
        row::<Rgb565<BigEndian>>(&[0xf8, 0x00, 0x00, 0x1f], &mut out);
        assert_eq!(out, [255, 0, 0, 0, 0, 255]);
    }
}
