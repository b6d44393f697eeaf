//! RTSP camera sessions with reconnection and an absolute clock, and a simulator that serves files.
#![forbid(unsafe_code)]
