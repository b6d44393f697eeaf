//! The program `lva-edge`, killed and stopped.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::edge_hub::Authority;
use crate::ended::run;
use crate::support::{Client, PROGRAM, Program, activated, named, state_of, topology};

#[tokio::test]
async fn after_kill_9_everything_that_ran_runs_and_sigterm_ends_cleanly() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Program::start(directory.path());
    activated(&mut Client::of(program.address), "one").await;
    program.signal(Signal::KILL);
    program.wait();

    let mut program = Program::start(directory.path());
    assert_eq!(state_of(&mut Client::of(program.address), "one").await, "Active");
    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn the_exit_code_of_health_tells_whether_the_module_is_well() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Program::start(directory.path());
    let url = format!("http://{}", program.address);
    let health = |more: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(["health", &url, "--timeout", "60"]).args(more);
        command.output().unwrap()
    };
    assert!(health(&[]).status.success());
    assert!(health(&["--ready"]).status.success());
    program.signal(Signal::TERM);
    program.wait();
    let gone = health(&[]);
    let text = String::from_utf8_lossy(&gone.stderr);
    assert_eq!(gone.status.code(), Some(1), "{text}");
    assert!(text.contains("/healthz"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_does_not_keep_the_program_from_ending() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("lva-edge-data");
    std::fs::create_dir(&data).unwrap();
    // The next save waits for a reader, which never comes.
    let part = data.join("state.json.part");
    mknodat(CWD, &part, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut program = Program::start(directory.path());
    let address = program.address;
    let set = tokio::spawn(async move {
        Client::of(address)
            .post("/api/v1/methods/GraphTopologySet", &topology().to_string())
            .await
    });
    let mut client = Client::of(address);
    let is_set = async {
        while client.method("GraphTopologyGet", &named("watch")).await.0 != 200 {
            tokio::task::yield_now().await;
        }
    };
    crate::within("the topology", is_set).await;
    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));
    set.abort();
}

#[tokio::test]
async fn a_limit_on_the_size_of_files_is_an_error_and_does_not_end_the_program() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Program::start(directory.path());
    let mut client = Client::of(program.address);
    program.limit_files(Some(100));
    // Whatever the answer to what cannot be saved is.
    let document = topology().to_string();
    let _ = client.post("/api/v1/methods/GraphTopologySet", &document).await;
    assert_eq!(client.get("/healthz").await.0, 200);
    program.limit_files(None);
    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));
}

/// `lva-edge module` from a shell that sets this limit first.
fn with_open_files(limit: &str, directory: &Path) -> Program {
    let mut shell = Command::new("sh");
    let line = format!("ulimit {limit} && exec \"$0\" \"$@\"");
    shell.args(["-c", line.as_str(), PROGRAM]);
    Program::run(shell, "127.0.0.1:0", directory, &[], None)
}

#[test]
fn the_limit_on_open_files_is_raised_and_told_where_it_is_too_small() {
    let directory = tempfile::tempdir().unwrap();
    let mut raised = with_open_files("-S -n 128", directory.path());
    let limits = raised.limits();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let numbers: Vec<_> = line.split_whitespace().skip(3).take(2).collect();
    assert!(numbers[0] == numbers[1] && numbers[0] != "128", "{line}");
    assert!(!raised.log().contains("LimitNOFILE="), "{}", raised.log());
    raised.signal(Signal::TERM);
    assert_eq!(raised.wait(), Some(0));
    // 256 connections of callers are allowed by default.
    let few = with_open_files("-n 200", directory.path());
    let told =
        "this program may have 200 files open, and 0 instances and 256 connections of callers may take 320";
    assert!(
        few.log().contains(told) && few.log().contains("LimitNOFILE="),
        "{}",
        few.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_lva-edge"))
        .args([
            "module",
            "--http",
            "127.0.0.1:0",
            "--metrics",
            "",
            "--log-format",
            "text",
        ])
        .current_dir(directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "no address");
        if let Some((_, rest)) = line.split_once("methods: http://") {
            break rest.split_once('/').unwrap().0.parse().unwrap();
        }
    };
    // More than a pipe holds: 64 KiB.
    let mut client = Client::of(address);
    let (method, payload) = ("x".repeat(100), json!({"@apiVersion": "1.0"}));
    for _ in 0..1000 {
        let calls = client.method(&method, &payload);
        assert_eq!(crate::within("an answer", calls).await.0, 501);
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_the_address_of_the_methods_with_its_scheme() {
    let directory = tempfile::tempdir().unwrap();
    let plain = Program::start(directory.path());
    assert!(
        plain.log().contains("methods: http://127.0.0.1:"),
        "{}",
        plain.log()
    );
    drop(plain);
    let (certificate, key) = Authority::new().sign("127.0.0.1");
    let config = "[http]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n".to_owned();
    for (file, content) in [
        ("certificate.pem", certificate),
        ("key.pem", key),
        ("site.toml", config),
    ] {
        std::fs::write(directory.path().join(file), content).unwrap();
    }
    let secured = Program::start_with(directory.path(), &["--config", "site.toml"], None);
    let log = secured.log();
    assert!(
        log.contains("methods: https://127.0.0.1:") && !log.contains("methods: http://"),
        "{log}"
    );
}

#[test]
fn the_printed_configuration_starts_a_module_and_a_mistake_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| run(directory.path(), args);
    let (code, printed, _) = run(&["module", "--print-config", "--name", "store-17"]);
    assert!(
        code == Some(0) && printed.contains("name = \"store-17\""),
        "{printed}"
    );
    std::fs::write(directory.path().join("good.toml"), &printed).unwrap();
    let (code, again, _) = run(&["module", "--config", "good.toml", "--print-config"]);
    assert_eq!((code, again), (Some(0), printed.clone()));

    std::fs::write(
        directory.path().join("bad.toml"),
        printed.replace("stop-seconds", "stop-secs"),
    )
    .unwrap();
    let (code, _, error) = run(&["module", "--config", "bad.toml"]);
    assert!(
        code == Some(2) && error.contains("stop-secs") && error.contains("--print-config"),
        "{error}"
    );
    let (code, _, error) = run(&["module", "--http", "example.com"]);
    assert!(code == Some(2) && error.contains("IP:PORT"), "{error}");
}
