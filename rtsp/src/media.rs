//! From packets to units, without I/O: RTP and RTCP, payload formats, pictures.

mod aac;
mod audio_config;
mod documents;
mod h26x;
mod jpeg;
mod latm;
pub(crate) mod parameter_sets;
pub(crate) mod receiver;
pub(crate) mod rtp;
pub(crate) mod track;
pub(crate) mod unit;
