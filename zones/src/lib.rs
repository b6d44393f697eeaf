//! People tracking, lines, zones, counts and distances for video analytics, without clock or I/O.
#![forbid(unsafe_code)]
