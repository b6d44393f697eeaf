//! What the runnable programs share.
