//! The RTSP connection, without I/O: bytes of the camera in; packets, answers and the next requests out.
//!
//! This is the layer that forgives. What a camera does against the RFCs is repaired here and counted
//! ([`repairs`]); a good session passes byte for byte.

pub(crate) mod authentication;
pub(crate) mod deframer;
pub(crate) mod description;
pub(crate) mod exchange;
pub(crate) mod headers;
pub(crate) mod message;
pub(crate) mod repairs;
