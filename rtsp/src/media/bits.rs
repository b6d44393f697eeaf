//! Reads bits, of a NAL unit's payload without its emulation prevention bytes.

/// Reading past the end gives `None`.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bits of the current byte that were read.
    bit: u8,
    zeros: u8,
    /// No bytes are left out.
    raw: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut bits = Self {
            bytes,
            at: 0,
            bit: 0,
            zeros: 0,
            raw: false,
        };
        bits.skip_prevention();
        bits
    }

    /// Bits of something else.
    pub(super) fn raw(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            bit: 0,
            zeros: 0,
            raw: true,
        }
    }

    /// `00 00 03` stands for `00 00` (H.264 section 7.4.1).
    fn skip_prevention(&mut self) {
        if self.raw {
            return;
        }
        let byte = self.bytes.get(self.at).copied();
        if self.zeros >= 2 && byte == Some(3) {
            self.at += 1;
            self.zeros = 0;
        }
        self.zeros = if self.bytes.get(self.at) == Some(&0) {
            self.zeros + 1
        } else {
            0
        }
        .min(2);
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at)?;
        let set = byte & 0x80 >> self.bit != 0;
        self.bit += 1;
        if self.bit == 8 {
            self.bit = 0;
            self.at += 1;
            self.skip_prevention();
        }
        Some(set)
    }

    /// At most 32 bits, the first one first.
    pub(super) fn u(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    pub(super) fn skip(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.flag().map(|_| ()))
    }

    /// Exp-Golomb (H.264 section 9.1).
    pub(super) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1_u32 << zeros) - 1 + self.u(zeros)?)
    }

    /// Signed Exp-Golomb.
    pub(super) fn se(&mut self) -> Option<i32> {
        let code = i64::from(self.ue()?);
        i32::try_from(if code % 2 == 1 { (code + 1) / 2 } else { -code / 2 }).ok()
    }
}
