/// How a picture is brought to a requested size: `image.scale.mode` of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ScaleMode {
    /// Keeps the aspect ratio, centres the picture and fills the rest with black. Needs width and height (default).
    #[default]
    Pad,
    /// Fills the requested width and height exactly, whatever the aspect ratio. Needs both.
    Stretch,
    /// Keeps the aspect ratio and adds nothing. Needs width, height or both; of both the tighter one counts.
    PreserveAspectRatio,
}

impl ScaleMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Pad, Self::Stretch, Self::PreserveAspectRatio];

    /// The contract's name: `pad`, `stretch` or `preserveAspectRatio`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pad => "pad",
            Self::Stretch => "stretch",
            Self::PreserveAspectRatio => "preserveAspectRatio",
        }
    }
}
