use std::fmt;

/// How a video stream is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// ITU-T H.264; access units in the length-prefixed form of ISO/IEC 14496-15.
    H264,
    /// ITU-T H.265; access units likewise.
    H265,
    /// Motion JPEG; each access unit is a JPEG file.
    Mjpeg,
}

impl fmt::Display for VideoCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Mjpeg => "MJPEG",
        })
    }
}
