//! Renders and encodes frames in the format of a node.

use lva_framing::{FrameEncoder, FramePlan, Picture, Renderer};

use crate::convert::picture::FrameSpec;

/// Makes frames of one format. It keeps its buffers from frame to frame.
pub(crate) struct FrameRenderer {
    spec: FrameSpec,
    renderer: Option<Renderer>,
    encoder: FrameEncoder,
    pixels: Vec<u8>,
}

impl FrameRenderer {
    pub(crate) fn new(spec: FrameSpec) -> Self {
        Self {
            spec,
            renderer: None,
            encoder: FrameEncoder::new(),
            pixels: Vec::new(),
        }
    }

    /// Starts over with new buffers, after a panic.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.spec);
    }

    /// Whether frames are image files, whose size is not known before they are encoded.
    pub(crate) fn makes_files(&self) -> bool {
        self.spec.file.is_some()
    }

    /// Renders into memory of exactly the size of the plan's frames.
    pub(crate) fn render(
        &mut self,
        picture: &Picture,
        plan: &FramePlan,
        into: &mut [u8],
    ) -> Result<(), String> {
        let renderer = match self.renderer.take() {
            Some(renderer) if renderer.plan() == plan => renderer,
            _ => Renderer::new(*plan),
        };
        let rendered = self.renderer.insert(renderer).render(picture, into);
        rendered.map_err(|error| error.to_string())
    }

    /// Makes the frame as it is posted: an image file, or its bare pixels.
    pub(crate) fn encode(
        &mut self,
        picture: &Picture,
        plan: &FramePlan,
        file: &mut Vec<u8>,
    ) -> Result<(), String> {
        let Some(kind) = self.spec.file else {
            file.resize(plan.bytes(), 0);
            return self.render(picture, plan, file);
        };
        let mut pixels = std::mem::take(&mut self.pixels);
        pixels.resize(plan.bytes(), 0);
        let rendered = self.render(picture, plan, &mut pixels);
        let encoded = rendered.and_then(|()| {
            let encoded = self.encoder.encode(plan, &pixels, kind, file);
            encoded.map_err(|error| error.to_string())
        });
        self.pixels = pixels;
        encoded
    }
}
