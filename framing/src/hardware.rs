//! Decoding devices: the part of FFmpeg's interface that its safe wrapper does not cover.

use crate::picture::PictureError;
use ffmpeg_next::codec::context::Context;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::util::frame::Video;
use ffmpeg_next::{Codec, ffi};
use std::fmt;
use std::ptr;
use std::str::FromStr;

/// A device that decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hardware {
    /// NVIDIA's decoder, by CUDA. Needs the driver and an FFmpeg with `cuvid`.
    Cuda,
    /// Intel's and AMD's decoders, by VA-API. Needs a render node (`/dev/dri/renderD128`) and an FFmpeg with `vaapi`.
    Vaapi,
}

impl Hardware {
    /// Every device.
    pub const ALL: [Self; 2] = [Self::Cuda, Self::Vaapi];

    fn device(self) -> ffi::AVHWDeviceType {
        match self {
            Self::Cuda => ffi::AVHWDeviceType::AV_HWDEVICE_TYPE_CUDA,
            Self::Vaapi => ffi::AVHWDeviceType::AV_HWDEVICE_TYPE_VAAPI,
        }
    }
}

impl fmt::Display for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cuda => "cuda",
            Self::Vaapi => "vaapi",
        })
    }
}

/// A string that is not the name of a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a decoding device; use cuda or vaapi")]
pub struct UnknownHardware(String);

impl FromStr for Hardware {
    type Err = UnknownHardware;

    /// Reads `cuda` and `vaapi`, in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|device| device.to_string().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownHardware(text.chars().take(64).collect()))
    }
}

/// Why a device cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AttachError {
    #[error("this FFmpeg was built without support for the codec on the device")]
    NotBuiltIn,
    #[error(
        "the device cannot be opened ({0}): check that its driver is installed and that this process may use it"
    )]
    Device(ffmpeg_next::Error),
}

/// Attaches a device to a decoder that is not open yet.
#[allow(unsafe_code)]
pub(crate) fn attach(hardware: Hardware, context: &mut Context, codec: Codec) -> Result<(), AttachError> {
    // SAFETY: `codec` points to one of FFmpeg's static codecs, and the list of its configurations ends with null.
    let built_in = unsafe {
        (0..)
            .map(|index| ffi::avcodec_get_hw_config(codec.as_ptr(), index))
            .take_while(|config| !config.is_null())
            .any(|config| {
                (*config).device_type == hardware.device()
                    && (*config).methods & ffi::AV_CODEC_HW_CONFIG_METHOD_HW_DEVICE_CTX as i32 != 0
            })
    };
    if !built_in {
        return Err(AttachError::NotBuiltIn);
    }
    let mut device = ptr::null_mut();
    // SAFETY: FFmpeg writes a new reference to `device`, or an error and nothing.
    let code = unsafe {
        ffi::av_hwdevice_ctx_create(&mut device, hardware.device(), ptr::null(), ptr::null_mut(), 0)
    };
    if code < 0 {
        return Err(AttachError::Device(ffmpeg_next::Error::from(code)));
    }
    // SAFETY: the context is not open yet, so FFmpeg does not use it; it takes our only reference to the device and
    // releases it when it is freed. FFmpeg's own choice of format takes the device's where the stream allows it, and
    // software's elsewhere.
    unsafe {
        (*context.as_mut_ptr()).hw_device_ctx = device;
    }
    Ok(())
}

/// Copies a frame into host memory, as planes.
#[allow(unsafe_code)]
pub(crate) fn to_host(frame: Video) -> Result<Video, PictureError> {
    match frame.format() {
        Pixel::NV12 => planar(&frame),
        Pixel::CUDA | Pixel::VAAPI => {
            let mut host = Video::empty();
            // SAFETY: both frames are valid; FFmpeg allocates the destination's planes in the device's own layout.
            let code = unsafe { ffi::av_hwframe_transfer_data(host.as_mut_ptr(), frame.as_ptr(), 0) };
            if code < 0 {
                return Err(PictureError::Device);
            }
            host.set_color_space(frame.color_space());
            host.set_color_range(frame.color_range());
            match host.format() {
                Pixel::NV12 => planar(&host),
                _ => Ok(host),
            }
        }
        _ => Ok(frame),
    }
}

/// Splits the interleaved chroma of a device into planes.
fn planar(frame: &Video) -> Result<Video, PictureError> {
    let (width, height) = (frame.width(), frame.height());
    let mut out = Video::new(Pixel::YUV420P, width, height);
    if out.planes() < 3 || frame.planes() < 2 {
        return Err(PictureError::OutOfMemory);
    }
    out.set_color_space(frame.color_space());
    out.set_color_range(frame.color_range());
    let (luma_row, stride) = (width as usize, out.stride(0));
    for (to, from) in out
        .data_mut(0)
        .chunks_mut(stride)
        .zip(frame.data(0).chunks(frame.stride(0)))
    {
        if let (Some(to), Some(from)) = (to.get_mut(..luma_row), from.get(..luma_row)) {
            to.copy_from_slice(from);
        }
    }
    let chroma_row = width.div_ceil(2) as usize;
    for plane in 0..2 {
        let stride = out.stride(plane + 1);
        for (to, from) in out
            .data_mut(plane + 1)
            .chunks_mut(stride)
            .zip(frame.data(1).chunks(frame.stride(1)))
        {
            let (pairs, _) = from.as_chunks::<2>();
            for (to, pair) in to.iter_mut().take(chroma_row).zip(pairs) {
                *to = pair[plane];
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_in_any_case() {
        assert_eq!("CUDA".parse(), Ok(Hardware::Cuda));
        assert_eq!("vaapi".parse(), Ok(Hardware::Vaapi));
        assert!("tpu".parse::<Hardware>().is_err());
    }

    #[test]
    fn interleaved_chroma_is_split() {
        let mut frame = Video::new(Pixel::NV12, 6, 4);
        let (luma, chroma) = (frame.stride(0), frame.stride(1));
        for y in 0..4 {
            for x in 0..6 {
                frame.data_mut(0)[y * luma + x] = (10 * y + x) as u8;
            }
        }
        for y in 0..2 {
            for x in 0..3 {
                frame.data_mut(1)[y * chroma + 2 * x] = (100 + 10 * y + x) as u8;
                frame.data_mut(1)[y * chroma + 2 * x + 1] = (200 + 10 * y + x) as u8;
            }
        }
        let out = to_host(frame).unwrap();
        assert_eq!(out.format(), Pixel::YUV420P);
        assert_eq!(out.data(0)[3 * out.stride(0) + 5], 35);
        assert_eq!(out.data(1)[out.stride(1)..][..3], [110, 111, 112]);
        assert_eq!(out.data(2)[out.stride(2)..][..3], [210, 211, 212]);
    }
}
