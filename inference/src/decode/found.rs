//! What decoders hand over: boxes of one frame, filtered by class and score.

/// A box in pixels of the model's input, before non-maximum suppression. All numbers are finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    /// Left, top, right, bottom.
    pub(crate) edges: [f32; 4],
    pub(crate) class: u16,
    pub(crate) score: f32,
}

/// The boxes of one frame.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) boxes: Vec<Candidate>,
    /// For each class whether it is reported.
    kept: Vec<bool>,
    threshold: f32,
    /// The first score outside of 0..=1, when scores are tried.
    pub(super) out_of_range: Option<f32>,
    /// Score and class of the best class of each place, for outputs that are stored class by class.
    pub(super) best: Vec<(f32, u16)>,
}

impl Found {
    pub(super) fn new(kept: Vec<bool>, threshold: f32) -> Self {
        Self {
            boxes: Vec::new(),
            kept,
            threshold,
            out_of_range: None,
            best: Vec::new(),
        }
    }

    /// One that takes every box of every class, to see which scores a network gives.
    #[cfg(any(feature = "rten", feature = "ort", feature = "kserve"))]
    pub(super) fn trial(&self) -> Self {
        Self::new(vec![true; self.kept.len()], f32::NEG_INFINITY)
    }

    /// Forgets the last frame's boxes.
    pub(super) fn begin(&mut self) {
        self.boxes.clear();
    }

    /// Whether a score is high enough. Not for NaN.
    #[inline]
    pub(super) fn wants(&self, score: f32) -> bool {
        score >= self.threshold
    }

    /// Whether a class is reported.
    #[inline]
    pub(super) fn keeps(&self, class: usize) -> bool {
        self.kept.get(class).copied().unwrap_or(false)
    }

    /// Takes a box by its edges, unless its score is too low or its class not asked for.
    pub(super) fn add(&mut self, edges: [f32; 4], class: usize, score: f32) {
        if !(self.wants(score) && score.is_finite()) {
            return;
        }
        if self.threshold == f32::NEG_INFINITY && !(-0.001..=1.001).contains(&score) {
            self.out_of_range.get_or_insert(score);
        }
        if self.keeps(class)
            && edges.iter().all(|e| e.is_finite())
            && let Ok(class) = u16::try_from(class)
        {
            let score = score.min(1.0);
            self.boxes.push(Candidate { edges, class, score });
        }
    }

    /// As [`Found::add`], for a class that a network gives as a float.
    pub(super) fn add_numbered(&mut self, edges: [f32; 4], class: f32, score: f32) {
        if class >= 0.0 {
            // A float cast saturates, and `keeps` refuses what is beyond the names.
            self.add(edges, class.round() as usize, score);
        }
    }

    /// As [`Found::add`], by centre and size.
    pub(super) fn add_centred(&mut self, [x, y, width, height]: [f32; 4], class: usize, score: f32) {
        let (across, down) = (width / 2.0, height / 2.0);
        self.add([x - across, y - down, x + across, y + down], class, score);
    }
}

/// The class with the highest finite score, over all classes: who is taken for a chair is a chair, whichever classes are
/// kept.
pub(super) fn best_class(scores: &[f32]) -> Option<(usize, f32)> {
    let mut best = None;
    let mut best_score = f32::NEG_INFINITY;
    for (class, &score) in scores.iter().enumerate() {
        if score > best_score && score.is_finite() {
            best_score = score;
            best = Some((class, score));
        }
    }
    best
}
