//! The only module that writes to FFmpeg's structures: `ffmpeg-next` has no safe way to set extra data.
#![allow(unsafe_code)]

use ffmpeg_next::codec::{Id, Parameters};
use ffmpeg_next::{Error, ffi, media};
use lva_media_types::VideoCodec;

use crate::unit::{AudioCodec, AudioTrack, VideoTrack};

/// Stream parameters for the muxer.
pub(crate) fn video(track: &VideoTrack) -> Result<Parameters, Error> {
    let (id, tag) = match track.codec {
        VideoCodec::H264 => (Id::H264, *b"avc1"),
        // With the object type 0x6C of ISO/IEC 14496-1, which players know better than a sample entry `jpeg`.
        VideoCodec::Mjpeg => (Id::MJPEG, *b"mp4v"),
        // `hvc1`: the parameter sets are in the record. Apple's players require it.
        VideoCodec::H265 => (Id::HEVC, *b"hvc1"),
    };
    let mut parameters = with_extra_data(media::Type::Video, id, &track.extra_data)?;
    // SAFETY: `with_extra_data` has checked that the pointer is not null; there is no other reference to it.
    let raw = unsafe { &mut *parameters.as_mut_ptr() };
    raw.width = side(track.width)?;
    raw.height = side(track.height)?;
    raw.codec_tag = u32::from_le_bytes(tag);
    Ok(parameters)
}

/// Stream parameters for the muxer.
pub(crate) fn audio(track: &AudioTrack) -> Result<Parameters, Error> {
    let (id, frame_size) = match track.codec {
        AudioCodec::Aac => (Id::AAC, 1024), // of AAC-LC, what cameras send
        AudioCodec::Opus => (Id::OPUS, 0),  // each packet has it
    };
    let mut parameters = with_extra_data(media::Type::Audio, id, &track.extra_data)?;
    // SAFETY: `with_extra_data` has checked that the pointer is not null; there is no other reference to it.
    let raw = unsafe { &mut *parameters.as_mut_ptr() };
    raw.sample_rate = side(track.sample_rate_hz)?;
    raw.frame_size = frame_size;
    // SAFETY: `ch_layout` is part of the structure above, and this call only writes to it.
    unsafe { ffi::av_channel_layout_default(&raw mut raw.ch_layout, i32::from(track.channels)) };
    Ok(parameters)
}

fn side(value: u32) -> Result<i32, Error> {
    match i32::try_from(value) {
        Ok(value) if value > 0 => Ok(value),
        _ => Err(Error::InvalidData),
    }
}

fn with_extra_data(medium: media::Type, id: Id, extra_data: &[u8]) -> Result<Parameters, Error> {
    let no_memory = Error::Other { errno: ffi::ENOMEM };
    let padding = ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
    let size = i32::try_from(extra_data.len()).map_err(|_| Error::InvalidData)?;
    let mut parameters = Parameters::new();
    // SAFETY: only the pointer is taken here; it is checked before use.
    let raw = unsafe { parameters.as_mut_ptr() };
    if raw.is_null() {
        return Err(no_memory);
    }
    parameters.set_medium(medium);
    parameters.set_id(id);
    // SAFETY: `av_mallocz` gives zeroed memory that FFmpeg frees with the parameters, as it asks for `extradata`; the
    // copy stays inside it, the padding behind stays zero, and `raw` was checked above.
    unsafe {
        let memory = ffi::av_mallocz(extra_data.len() + padding).cast::<u8>();
        if memory.is_null() {
            return Err(no_memory);
        }
        std::ptr::copy_nonoverlapping(extra_data.as_ptr(), memory, extra_data.len());
        (*raw).extradata = memory;
        (*raw).extradata_size = size;
    }
    Ok(parameters)
}
