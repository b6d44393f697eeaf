//! Servers that die under load, again and again: nothing is lost for good, nothing is answered wrongly, nothing stays.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use lva_extension_protocol::*;
use lva_inference_schema::InferenceValue;

use crate::support::{Digester, digest, small_format, within};

/// Serves from a runtime of its own until told to die, then tears the runtime down at once: sockets close without a
/// word, as those of a killed process do.
fn doomed(
    address: SocketAddr,
    directory: &Path,
) -> (
    SocketAddr,
    std::sync::mpsc::Sender<()>,
    std::thread::JoinHandle<()>,
) {
    let options = ServerOptions::default().with_shared_memory_directory(directory);
    let (die, death) = std::sync::mpsc::channel::<()>();
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(async move {
            let started = Instant::now();
            let listening = loop {
                let server = ExtensionServer::new(Digester::default()).with_options(options.clone());
                match server.listen(ListenAddress::Tcp(address)).await {
                    Ok(listening) => break listening,
                    Err(error) if started.elapsed() > Duration::from_secs(30) => panic!("{error}"),
                    Err(_) => tokio::task::yield_now().await,
                }
            };
            let ListenAddress::Tcp(bound) = *listening.address() else {
                unreachable!()
            };
            tell.send(bound).unwrap();
            listening.serve(std::future::pending()).await.unwrap();
        });
        let _ = death.recv();
        runtime.shutdown_background();
    });
    (told.recv().unwrap(), die, thread)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_dead_servers_lose_no_frame_unnamed_answer_none_wrongly_and_leave_no_file() {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let memory = SharedMemoryOptions::default().with_directory(directory.path());
    let mut address: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut random = 5_u64;
    let (mut answered_in_all, mut lost_in_all) = (0, 0);
    for _ in 0..50 {
        let (bound, die, thread) = doomed(address, directory.path());
        address = bound;
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let transfer = match random >> 63 {
            0 => Transfer::Embedded,
            _ => Transfer::SharedMemory(memory.clone()),
        };
        let options = ClientOptions::new(ExtensionUrl::tcp(address), small_format()).with_transfer(transfer);
        let Session {
            frames, mut answers, ..
        } = connect::<(u64, String)>(&options).await.unwrap();
        let frames_before_death = (random >> 40) % 60;
        let (mut sent, mut back) = (0_u64, BTreeSet::new());
        let error = loop {
            while let Ok(mut slot) = frames.slot() {
                slot.fill(sent as u8);
                slot[..8].copy_from_slice(&sent.to_le_bytes());
                let expected = digest(&slot);
                if slot.send(sent, &[], (sent, expected)).is_err() {
                    break;
                }
                sent += 1;
            }
            match within(answers.next()).await {
                Ok(Some(SessionEvent::Answered(answer))) => {
                    let (number, expected) = answer.context;
                    let InferenceValue::Event(event) = &answer.inferences[0].value else {
                        panic!("no event")
                    };
                    assert_eq!(event.properties["digest"], expected);
                    assert_eq!(answer.timestamp_90k, number);
                    assert!(back.insert(number));
                    if number == frames_before_death {
                        die.send(()).unwrap();
                    }
                }
                Ok(other) => panic!("{other:?}"),
                Err(error) => break error,
            }
        };
        assert!(error.is_transient(), "{error}");
        answered_in_all += back.len();
        for frame in answers.take_unanswered() {
            assert!(back.insert(frame.context.0));
            lost_in_all += 1;
        }
        assert_eq!(back.len() as u64, sent, "every frame came back, answered or not");
        thread.join().unwrap();
    }
    assert!(answered_in_all >= 50 && lost_in_all <= 50 * DEFAULT_WINDOW);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
