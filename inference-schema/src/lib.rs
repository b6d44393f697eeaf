//! Inference events, analytics messages and event envelopes of Live Video Analytics and Video Analyzer.
#![forbid(unsafe_code)]
