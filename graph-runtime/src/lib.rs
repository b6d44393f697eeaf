//! Runs media graphs: cameras in, AI extensions asked, events and clips out.
#![forbid(unsafe_code)]
