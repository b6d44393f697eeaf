//! Size limits, one value for each.

/// Longest side, in pixels, of a picture that is decoded, rendered or shown to a detector: 16,384.
///
/// It bounds the scratch memory that a camera or a client can ask for, and lies well above 8K.
pub const MAX_PICTURE_SIDE: u32 = 16_384;

/// Longest side, in pixels, that a document or a stream descriptor may announce: 65,535.
///
/// The extension contract describes frames up to this size; no memory is allocated for the number alone.
pub const MAX_ANNOUNCED_SIDE: u32 = 65_535;

/// Largest access unit, in bytes, that is accepted from a camera: 32 MiB.
///
/// The largest keyframes of 8K cameras stay below.
pub const MAX_ACCESS_UNIT_BYTES: usize = 32 << 20;
