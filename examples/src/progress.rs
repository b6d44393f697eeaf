//! Progress bars.

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar over `count` items, on a terminal only.
pub fn progress(count: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(count).with_message(what);
    match ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}, {elapsed} elapsed, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
