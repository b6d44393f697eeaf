//! What the runnable programs share: flags, progress, pictures.
#![forbid(unsafe_code)]

use indicatif::{ProgressBar, ProgressStyle};

/// Parses `WIDTHxHEIGHT`.
///
/// # Errors
///
/// A message for the person at the command line.
pub fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once(['x', 'X', '×']);
    parts
        .and_then(|(width, height)| Some((width.trim().parse().ok()?, height.trim().parse().ok()?)))
        .ok_or_else(|| format!("'{text}' is not a size: write WIDTHxHEIGHT, such as 1280x720"))
}

/// A progress bar over `count` of `what`; on a terminal only, silent elsewhere.
pub fn progress(count: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(count).with_message(what);
    let style = "{bar:40} {pos}/{len} {msg}, {elapsed} gone, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}
