//! How often a thread asks Rust's allocator. (FFmpeg has its own; swscale makes its tables when a scaler is made.)

use crate::support::drawn;
use lva_framing::{ColorMatrix, ColorRange, ImageSettings, PixelFormat, Renderer, ScaleMode};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often the work asks the allocator on this thread.
pub(crate) fn allocations_of(work: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

#[test]
fn rendering_allocates_nothing_after_the_first_picture() {
    let picture = drawn(640, 360, ColorMatrix::Bt601, ColorRange::Limited);
    for format in PixelFormat::ALL {
        let settings = ImageSettings::new(format).with_scale(ScaleMode::Pad, Some(416), Some(416));
        let plan = settings.plan(640, 360).unwrap();
        let mut slot = vec![0; plan.bytes()];
        let mut renderer = Renderer::new(plan);
        renderer.render(&picture, &mut slot).unwrap();
        let count = allocations_of(|| {
            for _ in 0..10 {
                renderer.render(&picture, &mut slot).unwrap();
            }
        });
        assert_eq!(count, 0, "{format}");
    }
}

#[cfg(feature = "encode")]
#[test]
fn encoding_keeps_its_memory_as_far_as_its_libraries_do() {
    use lva_framing::{FrameEncoder, ImageFile};
    let picture = drawn(320, 180, ColorMatrix::Bt601, ColorRange::Limited);
    let plan = ImageSettings::new(PixelFormat::Rgb24).plan(320, 180).unwrap();
    let mut frame = vec![0; plan.bytes()];
    Renderer::new(plan).render(&picture, &mut frame).unwrap();
    // A JPEG or PNG encoder is made for each file: a bounded number of pieces, none of them a copy that grows.
    for (format, most) in [
        (ImageFile::Bmp, 0),
        (ImageFile::Jpeg { quality: 85 }, 64),
        (ImageFile::Png, 64),
    ] {
        let (mut encoder, mut file) = (FrameEncoder::new(), Vec::new());
        encoder.encode(&plan, &frame, format, &mut file).unwrap();
        let mut counts = [0; 3];
        for count in &mut counts {
            *count = allocations_of(|| encoder.encode(&plan, &frame, format, &mut file).unwrap());
        }
        crate::support::print_note(&format!("{format:?}: {counts:?} allocations a file"));
        assert!(
            counts.iter().all(|count| *count <= most && *count == counts[0]),
            "{format:?}: {counts:?}"
        );
    }
}
