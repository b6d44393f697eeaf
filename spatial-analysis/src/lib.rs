//! The spatial-analysis extension: detections to people, zones, lines and their events.
#![forbid(unsafe_code)]
