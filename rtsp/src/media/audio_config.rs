//! What an `AudioSpecificConfig` describes of AAC (ISO/IEC 14496-3 section 1.6.2.1).

use lva_bitstream::BitReader;

use crate::StreamInfo;

/// Sampling frequencies by their index (ISO/IEC 14496-3 section 1.6.3.4).
const FREQUENCIES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AudioConfig {
    object_type: u32,
    sample_rate_hz: u32,
    channels: u16,
    /// Samples of an access unit, by the sample rate.
    samples: u32,
}

impl AudioConfig {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self::read(&mut BitReader::new(bytes))?.0)
    }

    /// The same where something follows it. `None` also for those that describe their channels themselves.
    pub(super) fn read_whole(bits: &mut BitReader<'_>) -> Option<Self> {
        let start = bits.clone();
        let (config, core) = Self::read(bits)?;
        // `GASpecificConfig` (section 4.4.1) behind its first flag.
        let mut channels = start;
        object_type(&mut channels)?;
        frequency(&mut channels)?;
        let described = matches!(core, 1..=4 | 6 | 7 | 17 | 19 | 20 | 22 | 23) && channels.bits(4)? != 0;
        if !described {
            return None;
        }
        if bits.flag()? {
            bits.skip(14)?; // coreCoderDelay
        }
        let extended = bits.flag()?;
        if matches!(core, 6 | 20) {
            bits.skip(3)?; // layerNr
        }
        if extended {
            bits.skip(match core {
                22 => 16,
                17 | 19 | 20 | 23 => 3,
                _ => 0,
            })?;
            bits.skip(1)?; // extensionFlag3
        }
        if core >= 17 {
            bits.skip(2)?; // epConfig
        }
        Some(config)
    }

    /// As far as the first flag of the coder's own configuration, and the object type of the coder.
    fn read(bits: &mut BitReader<'_>) -> Option<(Self, u32)> {
        let object_type = object_type(bits)?;
        let sample_rate_hz = frequency(bits)?;
        let channels = match bits.bits(4)? {
            7 => 8,
            // 0: defined elsewhere; what cameras mean by it is one.
            channels => channels.max(1) as u16,
        };
        // With SBR (5) or PS (29) the rate of the output follows, and the object type of the core.
        let core = if matches!(object_type, 5 | 29) {
            frequency(bits)?;
            self::object_type(bits)?
        } else {
            object_type
        };
        // `frameLengthFlag` of the general audio coder (section 4.4.1).
        let short = matches!(core, 1..=4 | 6 | 7 | 17 | 19..=23) && bits.flag().unwrap_or(false);
        let config = Self {
            object_type,
            sample_rate_hz,
            channels,
            samples: match (core, short) {
                (23 | 39, true) => 480,
                (23 | 39, false) => 512,
                (_, true) => 960,
                (_, false) => 1024,
            },
        };
        Some((config, core))
    }

    /// Ticks of an access unit by an RTP clock.
    pub(super) fn unit_ticks(self, clock_rate_hz: u32) -> i64 {
        let ticks = u64::from(self.samples) * u64::from(clock_rate_hz);
        (ticks / u64::from(self.sample_rate_hz)) as i64
    }

    pub(super) fn describe(self, info: &mut StreamInfo, record: &[u8]) {
        info.codec_name = Some(format!("mp4a.40.{}", self.object_type));
        info.extra_data = record.to_vec().into();
        info.sample_rate_hz = Some(self.sample_rate_hz);
        info.channels = Some(self.channels);
    }
}

fn object_type(bits: &mut BitReader<'_>) -> Option<u32> {
    Some(match bits.bits(5)? {
        31 => 32 + bits.bits(6)?,
        other => other,
    })
}

fn frequency(bits: &mut BitReader<'_>) -> Option<u32> {
    let rate = match bits.bits(4)? {
        15 => bits.bits(24)?,
        index => *FREQUENCIES.get(index as usize)?,
    };
    (rate > 0).then_some(rate)
}

/// The value of `config` in a description.
pub(super) fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let pairs = text.trim().trim_matches('"').as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_read_with_extensions_and_odd_rates() {
        let config = |hex: &str| {
            let config = AudioConfig::parse(&hexadecimal(hex).unwrap())?;
            Some((
                config.object_type,
                config.sample_rate_hz,
                config.channels,
                config.samples,
            ))
        };
        assert_eq!(config("1408"), Some((2, 16_000, 1, 1024)));
        assert_eq!(config("1190"), Some((2, 48_000, 2, 1024)));
        assert_eq!(config("140C"), Some((2, 16_000, 1, 960)));
        // SBR: 24 kHz that become 48 kHz.
        assert_eq!(config("2B118800"), Some((5, 24_000, 2, 1024)));
        // A rate in 24 bits: 16,000.
        assert_eq!(config("17801F4008"), Some((2, 16_000, 1, 1024)));
        assert_eq!((config("17"), config("")), (None, None));
        assert_eq!((hexadecimal("1x"), hexadecimal("140")), (None, None));
    }
}
