//! mosquitto, started by a test on a free port.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

pub(crate) struct Broker {
    pub(crate) port: u16,
    config: PathBuf,
    process: Option<Child>,
    _directory: TempDir,
}

impl Broker {
    /// `None`, and a line on standard error, where mosquitto is not installed.
    pub(crate) fn start(extra: &str) -> Option<Self> {
        let program = program()?;
        let directory = TempDir::new().unwrap();
        let port = free_port();
        let config = directory.path().join("mosquitto.conf");
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_qos 1\nuser root\nlog_dest stderr\n{extra}\n"
        );
        fs::write(&config, text).unwrap();
        let mut broker = Self {
            port,
            config,
            process: None,
            _directory: directory,
        };
        broker.run(&program);
        Some(broker)
    }

    fn run(&mut self, program: &str) {
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
        assert!(
            is_running,
            "mosquitto did not start; its configuration: {}",
            self.config.display()
        );
        // Read on, or the broker blocks once the pipe is full.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        self.process = Some(child);
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
        self.run(&program);
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
