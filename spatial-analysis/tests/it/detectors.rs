//! One detector for several sessions.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lva_inference::{DetectError, Detection, Detector, DetectorInfo, Frame, ImageView, PixelFormat};
use lva_spatial_analysis::SharedDetector;
use tokio::sync::Semaphore;

/// Waits for leave before each frame, and writes down whose it was by its width.
struct Slow {
    info: DetectorInfo,
    leave: Arc<Semaphore>,
    turns: Arc<Mutex<Vec<u32>>>,
}

#[async_trait]
impl Detector for Slow {
    fn info(&self) -> &DetectorInfo {
        &self.info
    }

    async fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
        if let [Frame::Host(view)] = frames {
            self.turns.lock().unwrap().push(view.width());
        }
        self.leave.acquire().await.unwrap().forget();
        Ok(vec![Vec::new(); frames.len()])
    }
}

#[tokio::test]
async fn busy_sessions_take_turns_and_idle_ones_cost_nothing() {
    let leave = Arc::new(Semaphore::new(0));
    let turns = Arc::new(Mutex::new(Vec::new()));
    let shared = SharedDetector::new(Slow {
        info: DetectorInfo::new("slow", 8, 8),
        leave: Arc::clone(&leave),
        turns: Arc::clone(&turns),
    });
    assert_eq!(shared.info().model, "slow");
    // Each session offers its next frame as soon as it has an answer; number 3 has only one.
    let sessions: Vec<_> = [(1, 5), (2, 5), (3, 1)]
        .into_iter()
        .map(|(width, frames)| {
            let mut detector = shared.clone();
            tokio::spawn(async move {
                let pixels = vec![0; width as usize * 3];
                let view = ImageView::packed(&pixels, width, 1, PixelFormat::Bgr24).unwrap();
                for _ in 0..frames {
                    detector.detect(&[view.into()]).await.unwrap();
                }
            })
        })
        .collect();
    tokio::task::yield_now().await;
    leave.add_permits(11);
    for session in sessions {
        session.await.unwrap();
    }
    assert_eq!(*turns.lock().unwrap(), [1, 2, 3, 1, 2, 1, 2, 1, 2, 1, 2]);
}

#[tokio::test]
async fn a_session_that_gives_up_its_place_does_not_hold_up_the_others() {
    let leave = Arc::new(Semaphore::new(0));
    let turns = Arc::new(Mutex::new(Vec::new()));
    let shared = SharedDetector::new(Slow {
        info: DetectorInfo::new("slow", 8, 8),
        leave: Arc::clone(&leave),
        turns,
    });
    let mut leaving = shared.clone();
    let first = tokio::spawn(async move {
        let view = ImageView::packed(&[0; 3], 1, 1, PixelFormat::Bgr24).unwrap();
        leaving.detect(&[view.into()]).await.map(drop)
    });
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    leave.add_permits(1);
    let view = ImageView::packed(&[0; 3], 1, 1, PixelFormat::Bgr24).unwrap();
    let mut staying = shared;
    assert_eq!(staying.detect(&[view.into()]).await.unwrap().len(), 1);
}
