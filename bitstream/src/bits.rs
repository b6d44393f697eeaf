/// Reads bits, the most significant one first. Reading past the end gives `None`.
#[derive(Debug, Clone)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bits of the current byte that were read.
    bit: u8,
    /// Zero bytes in a row that were read; `None` where no bytes are left out.
    zeros: Option<u8>,
}

impl<'a> BitReader<'a> {
    /// Of bytes as they are.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            bit: 0,
            zeros: None,
        }
    }

    /// Of a NAL unit behind its header: `00 00 03` stands for `00 00` (7.4.1 of ITU-T H.264, 7.4.2 of H.265).
    pub fn of_nal(payload: &'a [u8]) -> Self {
        let mut reader = Self {
            zeros: Some(0),
            ..Self::new(payload)
        };
        reader.skip_emulation_prevention();
        reader
    }

    fn skip_emulation_prevention(&mut self) {
        let Some(zeros) = &mut self.zeros else { return };
        if *zeros >= 2 && self.bytes.get(self.at) == Some(&3) {
            self.at += 1;
            *zeros = 0;
        }
        *zeros = match self.bytes.get(self.at) {
            Some(0) => (*zeros + 1).min(2),
            _ => 0,
        };
    }

    /// One bit.
    pub fn flag(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at)?;
        let set = byte & 0x80 >> self.bit != 0;
        self.bit += 1;
        if self.bit == 8 {
            self.bit = 0;
            self.at += 1;
            self.skip_emulation_prevention();
        }
        Some(set)
    }

    /// A number of at most 32 bits.
    pub fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count.min(32) {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// Skips so many bits.
    pub fn skip(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.flag().map(drop))
    }

    /// Whole bytes, wherever the reader stands in a byte. `None` without reserving memory if there are not so many.
    pub fn take_bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        if count > self.bytes.len().saturating_sub(self.at) {
            return None;
        }
        (0..count)
            .map(|_| self.bits(8).and_then(|byte| u8::try_from(byte).ok()))
            .collect()
    }

    /// Bits that were read, those left out included.
    pub fn position(&self) -> usize {
        self.at * 8 + usize::from(self.bit)
    }

    /// An unsigned Exp-Golomb code, ue(v) (9.1 of ITU-T H.264, 9.2 of H.265).
    pub fn unsigned_exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1_u32 << zeros) - 1 + self.bits(zeros)?)
    }

    /// A signed Exp-Golomb code, se(v).
    pub fn signed_exp_golomb(&mut self) -> Option<i32> {
        let code = i64::from(self.unsigned_exp_golomb()?);
        i32::try_from(if code % 2 == 1 { (code + 1) / 2 } else { -code / 2 }).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_across_bytes_and_none_past_the_end() {
        let mut reader = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!((reader.flag(), reader.bits(5)), (Some(true), Some(0b01001)));
        assert_eq!(reader.bits(2), Some(0b10));
        assert_eq!(reader.unsigned_exp_golomb(), Some(1));
        let mut copy = reader.clone();
        assert_eq!(copy.unsigned_exp_golomb(), Some(9));
        assert_eq!(reader.signed_exp_golomb(), Some(5));
        assert_eq!(reader.position(), 18);
        assert_eq!((reader.take_bytes(2), reader.bits(7)), (None, None));
    }

    #[test]
    fn bytes_that_prevent_start_codes_are_left_out_of_nal_units_alone() {
        let bytes = [0, 0, 3, 1, 0, 0, 3, 0, 0, 3];
        let mut reader = BitReader::of_nal(&bytes);
        let mut read = Vec::new();
        while let Some(byte) = reader.bits(8) {
            read.push(byte);
        }
        assert_eq!(read, [0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(BitReader::new(&bytes).take_bytes(3), Some(vec![0, 0, 3]));
    }

    #[test]
    fn codes_without_end_are_none() {
        assert_eq!(BitReader::new(&[0; 8]).unsigned_exp_golomb(), None);
        let largest = [0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(BitReader::new(&largest).unsigned_exp_golomb(), Some(u32::MAX - 1));
    }
}
