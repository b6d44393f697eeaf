use std::time::Instant;

use lva_edge_module::analysis::{ModelArgs, ModelArgsError};
use lva_inference::Detector;

/// Loads the model of the flags. Reports on standard error what it was recognised as, what runs it, and how long loading
/// took.
///
/// # Errors
///
/// The model's or the runtime's, for the user to fix.
#[allow(clippy::print_stderr)] // for programs
pub fn load_detector(args: &ModelArgs) -> Result<Box<dyn Detector>, ModelArgsError> {
    let start = Instant::now();
    let model = args.choose()?;
    eprintln!("model: {}", model.recognition());
    for note in model.recognition().notes() {
        eprintln!("model: note: {note}");
    }
    let detector = args.load_chosen(model)?;
    eprintln!(
        "detector: {}, loaded in {} ms",
        detector.info(),
        start.elapsed().as_millis()
    );
    Ok(detector)
}
