//! Streams of a few bytes whose pictures would take gigabytes.

use lva_framing::{Decoder, DecoderOptions, PushError, UnitOutcome, VideoCodec};

/// Writes the bits of a parameter set or a slice.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    free: u32,
}

impl Bits {
    fn bits(mut self, value: u32, count: u32) -> Self {
        for place in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            *self.bytes.last_mut().unwrap() |= ((value >> place & 1) as u8) << self.free;
        }
        self
    }

    /// Unsigned Exp-Golomb (H.264 section 9.1).
    fn ue(self, value: u32) -> Self {
        let code = value + 1;
        let len = 32 - code.leading_zeros();
        self.bits(0, len - 1).bits(code, len)
    }

    /// The unit, with the stop bit and emulation prevention.
    fn unit(self, header: u8) -> Vec<u8> {
        let mut unit = vec![header];
        let mut zeros = 0;
        for byte in self.bits(1, 1).bytes {
            if zeros >= 2 && byte <= 3 {
                unit.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            unit.push(byte);
        }
        unit
    }
}

/// An SPS of Baseline with so many macroblocks a side, 16 reference pictures, cropped to 16x16 or not at all.
fn sps(side: u32, cropped: bool) -> Vec<u8> {
    let bits = Bits::default()
        .bits(66, 8)
        .bits(0, 8)
        .bits(62, 8)
        .ue(0)
        .ue(0) // log2_max_frame_num_minus4
        .ue(2) // pic_order_cnt_type
        .ue(16)
        .bits(0, 1)
        .ue(side - 1)
        .ue(side - 1)
        .bits(3, 2); // frame_mbs_only_flag, direct_8x8_inference_flag
    let bits = if cropped {
        bits.bits(1, 1).ue(0).ue((side - 1) * 8).ue(0).ue((side - 1) * 8)
    } else {
        bits.bits(0, 1)
    };
    bits.bits(0, 1).unit(0x67)
}

fn pps() -> Vec<u8> {
    let bits = Bits::default().ue(0).ue(0).bits(0, 2).ue(0).ue(0).ue(0);
    bits.bits(0, 3).ue(0).ue(0).ue(0).bits(0, 3).unit(0x68)
}

/// A picture: an IDR slice that is cut off, or a P slice that copies the picture before.
fn slice(number: u32, side: u32) -> Vec<u8> {
    if number == 0 {
        let header = Bits::default().ue(0).ue(7).ue(0).bits(0, 4).ue(0).bits(0, 2);
        return header.ue(0).ue(25).bits(0, 8).unit(0x65);
    }
    let header = Bits::default().ue(0).ue(5).ue(0).bits(number % 16, 4);
    header.bits(0, 3).ue(0).ue(side * side).unit(0x61)
}

fn unit(nals: &[Vec<u8>]) -> Vec<u8> {
    let prefixed = nals.iter().flat_map(|nal| {
        let mut out = (nal.len() as u32).to_be_bytes().to_vec();
        out.extend_from_slice(nal);
        out
    });
    prefixed.collect()
}

/// The most memory that this process has had, in MiB.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// What pushing 20 pictures gave, and the memory in MiB that it took.
fn push(side: u32, cropped: bool, options: DecoderOptions) -> (Vec<Result<UnitOutcome, PushError>>, u64) {
    let mut decoder = Decoder::open(VideoCodec::H264, &[], options).unwrap();
    let before = most_memory();
    let pushed = (0..20).map(|number| {
        let sets = [sps(side, cropped), pps()];
        let picture = slice(number, side);
        let nals = if number == 0 {
            [&sets[..], &[picture]].concat()
        } else {
            vec![picture]
        };
        let pushed = decoder.push(&unit(&nals), u64::from(number) * 3000);
        while decoder.next_picture().is_some() {}
        pushed
    });
    (pushed.collect(), most_memory() - before)
}

/// Other tests of the process take memory meanwhile; the bomb would take 6 GiB and more.
const MOST_MIB: u64 = 1024;

#[test]
fn pictures_beyond_the_budget_are_refused_before_memory_is_taken() {
    // The size that is shown may be small: memory is taken for the other one.
    for cropped in [false, true] {
        let (pushed, memory) = push(1000, cropped, DecoderOptions::default());
        let refused = PushError::TooManyPixels {
            width: 16_000,
            height: 16_000,
            max_pixels: 8192 * 4320,
        };
        assert_eq!(pushed[0], Err(refused));
        assert!(memory < MOST_MIB, "{memory} MiB");
        eprintln!("16000x16000, cropped {cropped}: {memory} MiB");
    }
}

#[test]
fn a_size_that_cannot_be_read_is_refused() {
    let mut decoder = Decoder::open(VideoCodec::H264, &[], DecoderOptions::default()).unwrap();
    let cut_off = sps(8, false)[..6].to_vec();
    let pushed = decoder.push(&unit(&[cut_off, pps(), slice(0, 8)]), 0);
    assert_eq!(pushed, Err(PushError::UnknownSize));
}

#[test]
fn pictures_within_the_budget_are_decoded() {
    let without_limit = DecoderOptions::default().with_max_pixels(u64::MAX);
    let (unlimited, _) = push(8, true, without_limit);
    let (pushed, _) = push(8, true, DecoderOptions::default());
    assert_eq!(pushed, unlimited);
    assert!(
        pushed.iter().skip(1).all(|one| *one == Ok(UnitOutcome::Accepted)),
        "{pushed:?}"
    );
    let smaller = DecoderOptions::default().with_max_pixels(128 * 128 - 1);
    let (pushed, _) = push(8, false, smaller);
    assert!(
        matches!(pushed[0], Err(PushError::TooManyPixels { width: 128, .. })),
        "{pushed:?}"
    );
}

#[test]
fn a_jpeg_beyond_the_budget_is_not_decoded() {
    let mut decoder = Decoder::open(VideoCodec::Mjpeg, &[], DecoderOptions::default()).unwrap();
    let before = most_memory();
    // SOI, a baseline frame of 16000x16000 in three colours, the beginning of a scan.
    let side = 16_000_u16.to_be_bytes();
    let mut jpeg = vec![
        0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, side[0], side[1], side[0], side[1], 3,
    ];
    jpeg.extend([
        1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0, 0xff, 0xda, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0,
    ]);
    jpeg.extend([0x55; 200]);
    jpeg.extend([0xff, 0xd9]);
    assert_eq!(decoder.push(&jpeg, 0), Ok(UnitOutcome::Damaged));
    assert!(decoder.next_picture().is_none());
    assert!(most_memory() - before < 256, "{} MiB", most_memory() - before);
}
