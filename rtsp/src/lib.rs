//! RTSP camera sessions with reconnection and an absolute clock, and a simulator that serves files.
//!
//! A camera is an unreliable peer: it reboots, stalls without closing, loses packets, forgets sessions and sets
//! its clock back. This crate will turn one such peer into a steady sequence of encoded pictures and audio frames,
//! each with a time since 1970 and a word on where that time came from.
//!
//! # What it is not
//!
//! It decodes nothing and does not know FFmpeg. It records nothing. It is not a media server for production: the
//! simulator, behind feature `simulator`, exists for tests and demonstrations.
//!
//! # Planned shape
//!
//! Built on the `retina` client. A sans-I/O supervisor decides when to connect, wait, give up and start over; a
//! thin tokio shell does it. What comes out is an `AccessUnit` (one encoded picture with its 90 kHz time, the source
//! of that time, whether decoding can start there, and whether something was lost before it) and a
//! `StreamInfo` (codec, parameter sets, size).
//!
//! **Invariant: the media time of a stream never goes backwards; a jump is said, not hidden.**
//!
//! # Missing
//!
//! Everything so far, the feature `simulator` included. There is no code here yet; the crate holds its place in the
//! workspace.
#![forbid(unsafe_code)]
