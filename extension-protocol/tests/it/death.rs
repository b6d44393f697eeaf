//! Servers that are killed under load, again and again: nothing is lost for good, nothing is answered wrongly, nothing
//! stays behind.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lva_extension_protocol::client::*;
use lva_extension_protocol::server::*;
use lva_extension_protocol::*;
use lva_inference_schema::InferenceValue;

use crate::support::{Digester, PATIENCE, digest, small_format, within};

/// Where the server process looks for shared memory, and its port.
const DIRECTORY: &str = "LVA_TEST_DOOMED_DIRECTORY";
const PORT: &str = "LVA_TEST_DOOMED_PORT";
const LISTENING: &str = "doomed server on port ";

/// The server of the test below, in a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "is started, and killed, by the test below"]
async fn serves_until_it_is_killed() {
    let (Ok(directory), Ok(port)) = (std::env::var(DIRECTORY), std::env::var(PORT)) else {
        return;
    };
    let address = ListenAddress::loopback(port.parse().unwrap());
    let options = ServerOptions::default().with_shared_memory_directory(directory);
    let server = ExtensionServer::new(Digester::default()).with_options(options);
    let listening = server.listen(address).await.unwrap();
    let ListenAddress::Tcp(bound) = *listening.address() else {
        unreachable!()
    };
    println!("\n{LISTENING}{}", bound.port());
    listening.serve(std::future::pending()).await.unwrap();
}

/// A server process that is killed when this is dropped.
struct Doomed {
    process: Child,
    port: u16,
}

impl Doomed {
    fn start(directory: &Path, port: u16) -> Self {
        let began = Instant::now();
        loop {
            match Self::try_start(directory, port) {
                Some(doomed) => return doomed,
                // Another program may have the port for a while.
                None => assert!(began.elapsed() < PATIENCE, "port {port} stays taken"),
            }
        }
    }

    /// `None` where it ended without a port.
    fn try_start(directory: &Path, port: u16) -> Option<Self> {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "death::serves_until_it_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(DIRECTORY, directory)
            .env(PORT, port.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let listening = lines.find_map(|line| Some(line.unwrap().strip_prefix(LISTENING)?.to_owned()));
        let Some(port) = listening else {
            process.wait().unwrap();
            return None;
        };
        let port = port.parse().unwrap();
        Some(Self { process, port })
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Memory of this process that is really there, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size()
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

const DEATHS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_survives_fifty_killed_servers_and_loses_nothing_for_good() {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let memory = SharedMemoryOptions::default().with_directory(directory.path());
    let policy = BackoffPolicy {
        min_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(50),
        healthy_after: Duration::from_secs(30),
    };
    let mut random = Random(5);
    let (mut port, mut answered_in_all, mut lost_in_all) = (0, 0, 0);
    let (mut files_before, mut memory_before) = (0, 0);
    for death in 0..DEATHS {
        let mut server = Doomed::start(directory.path(), port);
        port = server.port;
        let transfer = match random.below(2) {
            0 => Transfer::Embedded,
            _ => Transfer::SharedMemory(memory.clone()),
        };
        let url = ExtensionUrl::tcp(([127, 0, 0, 1], port).into());
        let options = ClientOptions::new(url, small_format()).with_transfer(transfer);
        let frames_before_death = random.below(60);
        let (mut sent, mut back) = (0_u64, BTreeSet::new());
        let mut session = within(async {
            let mut backoff = Backoff::new(policy);
            loop {
                match connect::<(u64, String)>(&options).await {
                    Ok(session) => return session,
                    Err(error) if error.is_transient() => {
                        tokio::time::sleep(backoff.next_delay(Duration::ZERO)).await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await;
        let error = loop {
            while let Ok(mut slot) = session.frames.slot() {
                slot.fill(sent as u8);
                slot[..8].copy_from_slice(&sent.to_le_bytes());
                let expected = digest(&slot);
                if slot.send(sent, &[], (sent, expected)).is_err() {
                    break;
                }
                sent += 1;
            }
            match within(session.answers.next()).await {
                Ok(Some(SessionEvent::Answered(answer))) => {
                    let (number, expected) = answer.context;
                    let InferenceValue::Event(event) = &answer.inferences[0].value else {
                        panic!("no event")
                    };
                    assert_eq!(event.properties["digest"], expected);
                    assert_eq!(answer.timestamp_90k, number);
                    assert!(back.insert(number));
                    if number == frames_before_death {
                        server.kill();
                    }
                }
                Ok(other) => panic!("{other:?}"),
                Err(error) => break error,
            }
        };
        assert!(error.is_transient(), "{error}");
        answered_in_all += back.len();
        for frame in session.answers.take_unanswered() {
            assert!(back.insert(frame.context.0));
            lost_in_all += 1;
        }
        assert_eq!(back.len() as u64, sent, "every frame came back, answered or not");
        drop((session, server));
        assert_eq!(
            std::fs::read_dir(directory.path()).unwrap().count(),
            0,
            "no region stays"
        );
        // The first rounds fill pools and caches.
        if death == 9 {
            (files_before, memory_before) = (open_files(), resident());
        }
    }
    within(async {
        // Connections close in tasks of their own.
        while open_files() > files_before {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let grown = resident().saturating_sub(memory_before);
    eprintln!(
        "{DEATHS} servers killed: {answered_in_all} frames answered, {lost_in_all} given back; since the tenth, memory grew \
         by {} KiB, and {} files are open as against {files_before}",
        grown >> 10,
        open_files()
    );
    assert!(grown < 4 << 20, "{grown} bytes");
    assert!(answered_in_all >= DEATHS && lost_in_all <= DEATHS * DEFAULT_WINDOW);
}
