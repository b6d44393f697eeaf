//! Frames in shared memory cost no allocation in proportion to their size, and none is copied for a trusted peer.
//!
//! A test binary of its own, because it counts every allocation of its process: client and server both.
#![allow(clippy::unwrap_used, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lva_extension_protocol::client::*;
use lva_extension_protocol::server::*;
use lva_extension_protocol::*;
use lva_inference_schema::Inference;

struct Counting;

static BYTES: AtomicU64 = AtomicU64::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

fn note(bytes: usize) {
    BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
    LARGEST.fetch_max(bytes, Ordering::Relaxed);
}

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Notes where the frames lie that it is shown, and what their first byte is.
#[derive(Clone, Default)]
struct Watcher(Arc<Mutex<Vec<(usize, u8)>>>);

#[async_trait]
impl Extension for Watcher {
    async fn open(&self, _: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl ExtensionSession for Watcher {
    async fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        let data = sample.data();
        self.0.lock().unwrap().push((data.as_ptr() as usize, data[0]));
        Ok(Vec::new())
    }
}

const WARM_UP: usize = 20;
const FRAMES: usize = 100;

/// What a frame may cost in bytes, on both sides together: messages, headers, channels. The frame itself has 3,320,064.
const PER_FRAME: u64 = 16 << 10;

async fn exchange(trust: Trust) {
    let watcher = Watcher::default();
    let options = ServerOptions::default().with_trust(trust);
    let listening = ExtensionServer::new(watcher.clone())
        .with_options(options)
        .listen(ListenAddress::loopback(0))
        .await
        .unwrap();
    let (url, stats) = (listening.url(), listening.stats());
    let serving = tokio::spawn(listening.serve(std::future::pending()));
    let format = FrameFormat::raw(PixelFormat::Bgr24, 1408, 786).unwrap();
    let memory = Transfer::SharedMemory(SharedMemoryOptions::default());
    let options = ClientOptions::new(url, format).with_transfer(memory);
    let Session {
        frames, mut answers, ..
    } = connect::<usize>(&options).await.unwrap();
    let frame_bytes = format.frame_bytes().unwrap();
    let (mut sent, mut answered, mut before) = (0, 0, 0);
    while answered < WARM_UP + FRAMES {
        while sent < WARM_UP + FRAMES
            && let Ok(mut slot) = frames.slot()
        {
            slot[0] = sent as u8;
            slot.send(0, &[], sent).unwrap();
            sent += 1;
        }
        let Some(SessionEvent::Answered(answer)) = answers.next().await.unwrap() else {
            panic!("a frame was lost")
        };
        assert_eq!(answer.context, answered);
        answered += 1;
        if answered == WARM_UP {
            before = BYTES.load(Ordering::Relaxed);
            LARGEST.store(0, Ordering::Relaxed);
        }
    }
    let per_frame = (BYTES.load(Ordering::Relaxed) - before) / FRAMES as u64;
    let largest = LARGEST.load(Ordering::Relaxed);
    eprintln!(
        "{trust:?}: {per_frame} bytes allocated a frame on both sides together, the largest piece {largest}"
    );
    assert!(per_frame < PER_FRAME, "{per_frame}");
    assert!(largest < frame_bytes / 16, "{largest}");

    let seen = watcher.0.lock().unwrap();
    assert!(seen.iter().enumerate().all(|(at, (_, first))| *first == at as u8));
    let places: std::collections::BTreeSet<usize> = seen.iter().map(|(address, _)| *address).collect();
    let copies = stats.read().frame_copies;
    match trust {
        // Where the frames lie in one mapping: multiples of a place apart, as the client laid them.
        Trust::Peer => {
            assert_eq!(copies, 0);
            let base = *places.first().unwrap();
            let place = frame_bytes.next_multiple_of(64);
            assert!(places.len() <= DEFAULT_WINDOW + 1, "{places:?}");
            assert!(
                places
                    .iter()
                    .all(|address| (address - base).is_multiple_of(place))
            );
        }
        // One private buffer, used again and again.
        Trust::Untrusted => {
            assert_eq!(copies, (WARM_UP + FRAMES) as u64);
            assert_eq!(places.len(), 1, "{places:?}");
        }
    }
    assert_eq!(answers.stats().frame_copies, 0);
    serving.abort();
}

#[tokio::test]
async fn frames_in_shared_memory_allocate_nothing_of_their_size() {
    exchange(Trust::Untrusted).await;
    exchange(Trust::Peer).await;
}
