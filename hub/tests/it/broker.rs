//! mosquitto, started by a test on a free port.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

/// Until it starts: another program may take a free port before it does.
const ATTEMPTS: usize = 20;

pub(crate) struct Broker {
    pub(crate) port: u16,
    /// Of a second listener.
    pub(crate) second_port: u16,
    config: PathBuf,
    process: Option<Child>,
    log: Arc<Mutex<String>>,
    _directory: TempDir,
}

impl Broker {
    /// `None`, and a line on standard error, where mosquitto is not installed. `extra` is about the first listener; it may open
    /// another on `SECOND_PORT`.
    pub(crate) fn start(extra: &str) -> Option<Self> {
        let program = program()?;
        let directory = TempDir::new().unwrap();
        let config = directory.path().join("mosquitto.conf");
        let mut broker = Self {
            port: 0,
            second_port: 0,
            config,
            process: None,
            log: Arc::default(),
            _directory: directory,
        };
        for _ in 0..ATTEMPTS {
            (broker.port, broker.second_port) = (free_port(), free_port());
            broker.write(extra);
            if broker.runs(&program) {
                return Some(broker);
            }
        }
        broker.fails()
    }

    fn write(&self, extra: &str) {
        let extra = extra.replace("SECOND_PORT", &self.second_port.to_string());
        let text = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_qos 1\nuser root\nlog_dest stderr\n{extra}\n",
            self.port
        );
        fs::write(&self.config, text).unwrap();
    }

    /// With other options from now on, as far as mosquitto takes them while it runs.
    pub(crate) fn configure(&self, extra: &str) {
        self.write(extra);
        if let Some(process) = &self.process {
            // A built-in of the shell, which is there without a package.
            let command = format!("kill -HUP {}", process.id());
            assert!(
                Command::new("sh")
                    .args(["-c", &command])
                    .status()
                    .unwrap()
                    .success()
            );
        }
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    fn fails(&self) -> ! {
        let config = fs::read_to_string(&self.config).unwrap_or_default();
        panic!("mosquitto did not start with {config}")
    }

    /// Whether it has started.
    fn runs(&mut self, program: &str) -> bool {
        let mut child = Command::new(program)
            .arg("-c")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let is_running = lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.contains(" running"));
        if !is_running {
            child.wait().unwrap();
            return false;
        }
        // Read on, or the broker blocks once the pipe is full.
        let log = Arc::clone(&self.log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = log.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        self.process = Some(child);
        true
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// On the same port, without anything that it knew.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let program = program().unwrap();
        if !(0..ATTEMPTS).any(|_| self.runs(&program)) {
            self.fails();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Debian has it where not every user looks.
fn program() -> Option<String> {
    for program in ["mosquitto", "/usr/sbin/mosquitto"] {
        let run = Command::new(program)
            .arg("-h")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if run.is_ok() {
            return Some(program.to_owned());
        }
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "in CI, mosquitto must be installed"
    );
    // Not captured, so that it shows.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: mosquitto is not installed (Debian package mosquitto)"
    );
    None
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
