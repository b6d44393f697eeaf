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

#[test]
fn rendering_allocates_nothing_after_the_first_picture() {
    let picture = drawn(640, 360, ColorMatrix::Bt601, ColorRange::Limited);
    for format in PixelFormat::ALL {
        let settings = ImageSettings::new(format).with_scale(ScaleMode::Pad, Some(416), Some(416));
        let plan = settings.plan(640, 360).unwrap();
        let mut slot = vec![0; plan.bytes()];
        let mut renderer = Renderer::new(plan);
        renderer.render(&picture, &mut slot).unwrap();
        let before = COUNT.get();
        for _ in 0..10 {
            renderer.render(&picture, &mut slot).unwrap();
        }
        assert_eq!(COUNT.get() - before, 0, "{format}");
    }
}
