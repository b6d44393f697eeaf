//! From packets to units, without I/O: RTP and RTCP, payload formats, pictures.

mod h26x;
pub(crate) mod parameter_sets;
pub(crate) mod receiver;
pub(crate) mod rtp;
pub(crate) mod track;
pub(crate) mod unit;
