//! Media graph documents of Live Video Analytics and Video Analyzer: parse, resolve, validate.
#![forbid(unsafe_code)]
