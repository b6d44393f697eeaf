//! What a restart finds.

use std::os::unix::fs::PermissionsExt;

use lva_edge_module::ANSWER_LIMIT;

use crate::support::{Client, activated, config, named, started, state_of};

#[tokio::test]
async fn instances_that_ran_run_again_and_the_others_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let module = started(config(directory.path())).await;
    let mut client = Client::of(module.http_address().unwrap());
    activated(&mut client, "one").await;
    activated(&mut client, "two").await;
    client.method("GraphInstanceDeactivate", &named("two")).await;
    assert!(module.stop().await);

    let module = started(config(directory.path())).await;
    let mut client = Client::of(module.http_address().unwrap());
    assert_eq!(state_of(&mut client, "one").await, "Active");
    assert_eq!(state_of(&mut client, "two").await, "Inactive");
}

#[tokio::test]
async fn a_method_that_ends_during_the_stop_saves_what_ran_as_running() {
    let directory = tempfile::tempdir().unwrap();
    let module = started(config(directory.path())).await;
    let mut client = Client::of(module.http_address().unwrap());
    activated(&mut client, "one").await;
    activated(&mut client, "two").await;
    let methods = module.methods().clone();
    assert!(module.stop().await);
    let late = methods
        .invoke("GraphInstanceDeactivate", named("two"), ANSWER_LIMIT)
        .await;
    assert_eq!(late.status, 200);
    // One process at a time uses the directory.
    drop(methods);

    let module = started(config(directory.path())).await;
    let mut client = Client::of(module.http_address().unwrap());
    assert_eq!(state_of(&mut client, "one").await, "Active");
    assert_eq!(state_of(&mut client, "two").await, "Inactive");
}

#[tokio::test]
async fn a_state_that_is_no_file_or_too_large_is_kept_aside_and_the_module_starts() {
    for is_directory in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let state = data.join("state.json");
        match is_directory {
            true => std::fs::create_dir(&state).unwrap(),
            // Without content on disk.
            false => std::fs::File::create(&state)
                .unwrap()
                .set_len((256 << 20) + 1)
                .unwrap(),
        }
        let module = started(config(directory.path())).await;
        activated(&mut Client::of(module.http_address().unwrap()), "one").await;
        let aside = data.join("state.json.unreadable-1").metadata().unwrap();
        assert_eq!(aside.is_dir(), is_directory);
        assert!(state.is_file());
    }
}

#[tokio::test]
async fn the_state_is_private() {
    let directory = tempfile::tempdir().unwrap();
    let module = started(config(directory.path())).await;
    activated(&mut Client::of(module.http_address().unwrap()), "one").await;
    for file in ["state.json", "api-token", "lock"] {
        let mode = std::fs::metadata(directory.path().join("data").join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_state_that_cannot_be_read_is_kept_aside_and_the_module_starts() {
    let damaged = [
        "",
        "{\"schema\":1,\"registry\":{\"form\":1,\"topolog",
        "{\"schema\":2,\"registry\":{}}",
        "{\"schema\":1,\"registry\":{\"form\":1,\"topologies\":[{}],\"instances\":[]}}",
        "\u{0}\u{0}\u{0}",
    ];
    for text in damaged {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("state.json"), text).unwrap();
        let module = started(config(directory.path())).await;
        let mut client = Client::of(module.http_address().unwrap());
        activated(&mut client, "one").await;
        let aside = std::fs::read_to_string(data.join("state.json.unreadable-1")).unwrap();
        assert_eq!(aside, text);
    }
}

#[tokio::test]
async fn a_second_module_on_the_same_data_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let _first = started(config(directory.path())).await;
    let second = lva_edge_module::EdgeModule::builder(config(directory.path()))
        .start()
        .await;
    assert!(second.unwrap_err().to_string().contains("another process uses"));
}
