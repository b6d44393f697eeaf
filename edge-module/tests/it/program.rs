//! The program `lva-edge`, killed and stopped.

use rustix::process::Signal;

use crate::ended::run;
use crate::support::{Client, Program, activated, state_of};

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
