//! The spatial-analysis extension: detections to people, zones, lines and their events.
//!
//! Three crates each know one part: `lva-inference` finds people in a frame, `lva-zones` follows them and notices what
//! they do, `lva-extension-protocol` carries frames in and answers out. This crate will compose them into the
//! extension that the tutorial of Live Video Analytics with spatial analysis talks to.
//!
//! # What it is not
//!
//! It runs no model itself and computes no geometry; it does not know the wire. It is not Microsoft's
//! container and contains nothing of it; it answers in the same form.
//!
//! # Planned shape
//!
//! An operation's configuration is read once and made into a scene. Each session has a state of its own: a detector,
//! a tracker, zones. The whole is an `Extension`, which any server of `lva-extension-protocol` can host, and which a
//! program can as well call directly.
//!
//! **Invariant: sessions share no state; what one camera shows never changes what another's answers are.**
//!
//! # Missing
//!
//! Everything so far. There is no code here yet; the crate holds its place in the workspace.
#![forbid(unsafe_code)]
