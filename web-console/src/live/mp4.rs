//! Fragmented MP4 of one video track: the initialisation segment, and a fragment for each picture.

use bytes::Bytes;
use lva_media_types::VideoCodec;
use lva_rtsp::VideoParameters;
use mp4_atom::{
    Atom as _, Avc1, Avcc, Codec, Dinf, Dref, Encode, Ftyp, Hdlr, Hvc1, Hvcc, Mdhd, Mdia, Mfhd, Minf, Moof,
    Moov, Mvex, Mvhd, Stbl, Stco, Stsd, Tfdt, Tfhd, Tkhd, Traf, Trak, Trex, Trun, TrunEntry, Url, Visual,
    Vmhd,
};

/// Ticks a second of all times.
const TIMESCALE: u32 = 90_000;
const TRACK: u32 = 1;

/// A sample that other samples do not need to be decoded before (ISO/IEC 14496-12, 8.8.3.1).
const SYNC_SAMPLE: u32 = 0x0200_0000;
/// A sample that depends on others.
const DEPENDENT_SAMPLE: u32 = 0x0101_0000;

/// The parameters of a stream cannot be written as MP4.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Mp4Error {
    /// Only H.264 and H.265 are.
    #[error("{0} is not played as MP4")]
    Codec(VideoCodec),
    /// The decoder configuration record is damaged, or there is something that MP4 has no place for.
    #[error("the stream cannot be written as MP4: {cause}")]
    Box {
        /// What it is.
        cause: mp4_atom::Error,
    },
}

impl From<mp4_atom::Error> for Mp4Error {
    fn from(cause: mp4_atom::Error) -> Self {
        Self::Box { cause }
    }
}

/// `ftyp` and `moov`.
pub(crate) fn init_segment(video: &VideoParameters) -> Result<Bytes, Mp4Error> {
    let (width, height) = video.size;
    let side = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX);
    let visual = Visual {
        data_reference_index: 1,
        width: side(width),
        height: side(height),
        horizresolution: 72.into(),
        vertresolution: 72.into(),
        frame_count: 1,
        compressor: Default::default(),
        depth: 24,
    };
    let mut record = &video.extra_data[..];
    let codec = match video.codec {
        VideoCodec::H264 => Codec::Avc1(Avc1 {
            visual,
            avcc: Avcc::decode_body(&mut record)?,
            ..Default::default()
        }),
        VideoCodec::H265 => Codec::Hvc1(Hvc1 {
            visual,
            hvcc: Hvcc::decode_body(&mut record)?,
            ..Default::default()
        }),
        VideoCodec::Mjpeg => return Err(Mp4Error::Codec(video.codec)),
    };
    let ftyp = Ftyp {
        major_brand: b"iso5".into(),
        minor_version: 512,
        compatible_brands: vec![b"iso5".into(), b"iso6".into(), b"mp41".into()],
    };
    let mdia = Mdia {
        mdhd: Mdhd {
            timescale: TIMESCALE,
            language: "und".to_owned(),
            ..Default::default()
        },
        hdlr: Hdlr {
            handler: b"vide".into(),
            name: "video".to_owned(),
        },
        minf: Minf {
            vmhd: Some(Vmhd::default()),
            dinf: Dinf {
                dref: Dref {
                    entries: vec![Url::default().into()],
                },
            },
            stbl: Stbl {
                stsd: Stsd { codecs: vec![codec] },
                stco: Some(Stco::default()),
                ..Default::default()
            },
            ..Default::default()
        },
    };
    let moov = Moov {
        mvhd: Mvhd {
            timescale: TIMESCALE,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: TRACK + 1,
            ..Default::default()
        },
        mvex: Some(Mvex {
            trex: vec![Trex {
                track_id: TRACK,
                default_sample_description_index: 1,
                ..Default::default()
            }],
            ..Default::default()
        }),
        trak: vec![Trak {
            tkhd: Tkhd {
                track_id: TRACK,
                enabled: true,
                in_movie: true,
                width: side(width).into(),
                height: side(height).into(),
                ..Default::default()
            },
            mdia,
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut segment = Vec::new();
    ftyp.encode(&mut segment)?;
    moov.encode(&mut segment)?;
    Ok(segment.into())
}

/// A picture with its times since the beginning of the track.
pub(crate) struct Sample<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) decoding_time: u64,
    pub(crate) duration: u32,
    /// From decoding to presentation.
    pub(crate) offset: i32,
    pub(crate) is_key: bool,
}

/// `moof` and `mdat` of one picture.
pub(crate) fn fragment(sequence_number: u32, sample: &Sample<'_>) -> Result<Bytes, Mp4Error> {
    let size = u32::try_from(sample.data.len()).map_err(|_| mp4_atom::Error::TooLarge(b"mdat".into()))?;
    let entry = TrunEntry {
        duration: Some(sample.duration),
        size: Some(size),
        flags: Some(if sample.is_key {
            SYNC_SAMPLE
        } else {
            DEPENDENT_SAMPLE
        }),
        cts: Some(sample.offset.into()),
    };
    let mut moof = Moof {
        mfhd: Mfhd { sequence_number },
        traf: vec![Traf {
            tfhd: Tfhd {
                track_id: TRACK,
                default_base_is_moof: true,
                ..Default::default()
            },
            tfdt: Some(Tfdt {
                base_media_decode_time: sample.decoding_time,
            }),
            trun: vec![Trun {
                data_offset: Some(0),
                samples: vec![entry].into(),
            }],
            ..Default::default()
        }],
    };
    let mut out = Vec::with_capacity(128 + sample.data.len());
    moof.encode(&mut out)?;
    // The size does not depend on the value that is now known.
    let offset = i32::try_from(out.len() + 8).unwrap_or(0);
    for run in moof.traf.iter_mut().flat_map(|traf| &mut traf.trun) {
        run.data_offset = Some(offset);
    }
    out.clear();
    moof.encode(&mut out)?;
    out.extend_from_slice(&size.saturating_add(8).to_be_bytes());
    out.extend_from_slice(b"mdat");
    out.extend_from_slice(sample.data);
    Ok(out.into())
}
