//! Which packets of JPEG (RFC 2435) make a whole picture: sans-I/O. The depacketizer behind it joins whatever it is given.

/// The depacketizer drops larger pictures without a word.
const MAX_PICTURE: usize = 2_000_000;
/// Fragment offset, type, Q, width, height (section 3.1).
const HEADER: usize = 8;

/// Follows the fragments of one stream.
#[derive(Debug, Default)]
pub(super) struct JpegFragments {
    /// The offset of the next fragment; `None` until a picture begins.
    next: Option<usize>,
    /// Pictures of which a part was missing.
    damaged: u64,
}

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fragment {
    /// It continues or begins a picture.
    Good,
    /// It is of a picture of which a part is missing, and dropped.
    Incomplete,
    /// It makes the picture too large.
    TooLarge,
}

impl JpegFragments {
    pub(super) fn damaged(&self) -> u64 {
        self.damaged
    }

    pub(super) fn take(&mut self, payload: &[u8], marker: bool) -> Fragment {
        let Some(&[_, high, middle, low, kind, q, ..]) = payload.first_chunk::<HEADER>() else {
            self.give_up();
            return Fragment::Incomplete;
        };
        let offset = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        if offset == 0 {
            // The end of the one before never came.
            self.give_up();
            self.next = Some(0);
        } else if self.next != Some(offset) {
            self.give_up();
            return Fragment::Incomplete;
        }
        let mut header = HEADER;
        if kind > 63 {
            header += 4; // restart intervals (section 3.1.7)
        }
        if offset == 0 && q >= 128 {
            // Quantization tables (section 3.1.8).
            let length = match payload.get(header + 2..header + 4) {
                Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
                _ => 0,
            };
            header += 4 + length;
        }
        let end = offset + payload.len().saturating_sub(header);
        if end > MAX_PICTURE {
            self.give_up();
            return Fragment::TooLarge;
        }
        self.next = (!marker).then_some(end);
        Fragment::Good
    }

    /// The picture will not be whole.
    fn give_up(&mut self) {
        self.damaged += u64::from(self.next.take().is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fragment of a picture with this offset and so many bytes, and tables of 128 bytes in front of the first.
    fn fragment(offset: usize, len: usize) -> Vec<u8> {
        let [.., high, middle, low] = (offset as u32).to_be_bytes();
        let mut payload = vec![0, high, middle, low, 1, 255, 40, 30];
        if offset == 0 {
            payload.extend([0, 0, 0, 128]);
            payload.extend([9; 128]);
        }
        payload.extend(std::iter::repeat_n(7, len));
        payload
    }

    /// Offset, length and marker of each packet, to whether it is good.
    fn good(packets: &[(usize, usize, bool)]) -> (Vec<bool>, u64) {
        let mut fragments = JpegFragments::default();
        let good = packets
            .iter()
            .map(|(offset, len, marker)| fragments.take(&fragment(*offset, *len), *marker) == Fragment::Good)
            .collect();
        (good, fragments.damaged())
    }

    #[test]
    fn whole_pictures_pass() {
        let picture = [
            (0, 1000, false),
            (1000, 1000, false),
            (2000, 17, true),
            (0, 5, true),
        ];
        assert_eq!(good(&picture), (vec![true; 4], 0));
        // With restart intervals, and tables that are known.
        let mut fragments = JpegFragments::default();
        let mut first = vec![0, 0, 0, 0, 65, 90, 40, 30, 0, 4, 0xff, 0xff];
        first.extend([7; 50]);
        assert_eq!(fragments.take(&first, false), Fragment::Good);
        assert_eq!(fragments.next, Some(50));
    }

    #[test]
    fn a_picture_without_one_of_its_fragments_is_dropped_and_no_other() {
        for missing in 0..4 {
            let mut packets = vec![(0, 10, true)];
            let damaged = [(0, 10, false), (10, 10, false), (20, 10, false), (30, 10, true)];
            packets.extend(
                damaged
                    .into_iter()
                    .enumerate()
                    .filter(|(at, _)| *at != missing)
                    .map(|(_, p)| p),
            );
            packets.extend([(0, 10, false), (10, 10, true)]);
            let (good, damaged) = good(&packets);
            assert!(good[0] && good[4] && good[5], "{missing}: {good:?}");
            // Without its first fragment nothing of it was begun.
            assert_eq!(damaged, u64::from(missing != 0), "{missing}");
        }
    }

    #[test]
    fn a_picture_without_end_is_given_up() {
        let mut fragments = JpegFragments::default();
        let mut offset = 0;
        let mut seen = Vec::new();
        for _ in 0..100 {
            seen.push(fragments.take(&fragment(offset, 60_000), false));
            offset += 60_000;
        }
        let whole = MAX_PICTURE / 60_000;
        assert!(seen[..whole].iter().all(|seen| *seen == Fragment::Good));
        assert_eq!(seen[whole], Fragment::TooLarge);
        assert!(seen[whole + 1..].iter().all(|seen| *seen == Fragment::Incomplete));
        assert_eq!(fragments.take(&[1, 2], true), Fragment::Incomplete);
    }
}
