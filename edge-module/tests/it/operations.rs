//! `lva-edge operations` and a module.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::ended::run;
use crate::support::{Client, Program, topology};

const TUTORIAL: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../examples/documents/operations.json"
);

fn written(directory: &Path, operations: &Value) {
    let file = json!({"apiVersion": "1.0", "operations": operations});
    std::fs::write(directory.join("operations.json"), file.to_string()).unwrap();
}

#[tokio::test]
async fn the_tutorial_s_operations_run_from_the_first_to_the_last() {
    let directory = tempfile::tempdir().unwrap();
    let mut module = Program::start(directory.path());
    let url = format!("http://{}", module.address);
    let (code, printed, error) = run(directory.path(), &["operations", TUTORIAL, "--url", &url]);
    assert_eq!(code, Some(0), "{printed}{error}");
    for (method, status) in [
        ("GraphTopologySet", 201),
        ("GraphInstanceSet", 201),
        ("GraphInstanceActivate", 200),
        ("GraphInstanceDeactivate", 200),
        ("GraphInstanceDelete", 200),
        ("GraphTopologyDelete", 200),
    ] {
        let line = format!("---------------  Response: {method} - Status: {status}  ---------------");
        assert!(printed.contains(&line), "{line}: {printed}");
    }
    assert!(printed.contains("Press Enter to stop it."), "{printed}");
    assert!(!printed.contains("testpassword"), "{printed}");
    let (_, left) = Client::of(module.address)
        .method("GraphTopologyList", &json!({"@apiVersion": "1.0"}))
        .await;
    assert_eq!(left["value"], json!([]));
    module.signal(Signal::TERM);
    assert_eq!(module.wait(), Some(0));
}

#[test]
fn a_method_that_fails_sets_the_exit_code_and_the_rest_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let module = Program::start(directory.path());
    written(
        directory.path(),
        &json!([
            {"opName": "GraphInstanceActivate", "opParams": {"name": "nobody"}},
            {"opName": "GraphInstanceList", "opParams": {}},
        ]),
    );
    let url = format!("http://{}", module.address);
    let (code, printed, error) = run(
        directory.path(),
        &["operations", "operations.json", "--yes", "--url", &url],
    );
    assert_eq!(code, Some(1), "{printed}{error}");
    assert!(
        printed.contains("Response: GraphInstanceActivate - Status: 404"),
        "{printed}"
    );
    assert!(
        printed.contains("Response: GraphInstanceList - Status: 200"),
        "{printed}"
    );
    assert!(error.contains("1 of 2 methods failed"), "{error}");
}

#[test]
fn a_hub_s_connection_string_reaches_a_module_over_tls() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    write("certificate.pem", &certified.cert.pem());
    write("key.pem", &certified.signing_key.serialize_pem());
    write(
        "site.toml",
        "[http]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n",
    );
    let module = Program::start_with(directory.path(), &["--config", "site.toml"], None);
    let port = module.address.port();
    let settings = json!({
        "IoThubConnectionString": format!("HostName=localhost:{port};SharedAccessKeyName=service;SharedAccessKey=AAECAw=="),
        "deviceId": "device", "moduleId": "lvaEdge",
    });
    write("appsettings.json", &settings.to_string());
    written(
        directory.path(),
        &json!([{"opName": "GraphTopologyList", "opParams": {}}]),
    );
    let trusted = ["operations", "operations.json", "--trust", "certificate.pem"];
    let (code, printed, error) = run(directory.path(), &trusted);
    assert_eq!(code, Some(0), "{printed}{error}");
    assert!(
        printed.contains("Response: GraphTopologyList - Status: 200"),
        "{printed}"
    );

    let mut other = settings.clone();
    other["moduleId"] = json!("elsewhere");
    write("appsettings.json", &other.to_string());
    let (code, _, error) = run(directory.path(), &trusted);
    assert!(
        code == Some(1) && error.contains("404010") && error.contains("moduleId"),
        "{error}"
    );

    let quoted = settings.to_string().replace("\"deviceId\"", "“deviceId”");
    write("appsettings.json", &quoted);
    let (code, _, error) = run(directory.path(), &trusted);
    assert!(
        code == Some(2) && error.contains("typographic quote “"),
        "{error}"
    );
}

#[test]
fn a_topology_behind_an_address_is_fetched_and_a_page_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let module = Program::start(directory.path());
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let pages = [topology().to_string(), "<!DOCTYPE html>".to_owned()];
    let serving = std::thread::spawn(move || {
        for page in pages {
            let (mut stream, _) = server.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                page.len()
            );
            stream.write_all(format!("{head}{page}").as_bytes()).unwrap();
        }
    });
    let params = json!({"topologyUrl": format!("http://{address}/topology.json")});
    written(
        directory.path(),
        &json!([{"opName": "GraphTopologySet", "opParams": params}]),
    );
    let url = format!("http://{}", module.address);
    let play = ["operations", "operations.json", "--url", &url];
    let (code, printed, error) = run(directory.path(), &play);
    assert_eq!(code, Some(0), "{printed}{error}");
    assert!(
        printed.contains("Response: GraphTopologySet - Status: 201"),
        "{printed}"
    );
    let (code, _, error) = run(directory.path(), &play);
    assert!(code == Some(1) && error.contains("raw file"), "{error}");
    serving.join().unwrap();
}

#[test]
fn nothing_is_called_before_file_and_address_are_right() {
    let directory = tempfile::tempdir().unwrap();
    written(
        directory.path(),
        &json!([{"opName": "GraphTopologyList"}, {"opName": "GraphTopologySett", "opParams": {}}]),
    );
    let failed = |args: &[&str], expected: i32, words: &str| {
        let (code, printed, error) = run(directory.path(), &[&["operations"], args].concat());
        assert!(
            code == Some(expected) && error.contains(words),
            "{code:?} {error}"
        );
        assert!(!printed.contains("Executing"), "{printed}");
    };
    let url = ["--url", "http://127.0.0.1:9"];
    failed(&["operations.json", url[0], url[1]], 2, "GraphTopologySett");
    failed(&["nowhere.json", url[0], url[1]], 2, "nowhere.json");
    failed(
        &["operations.json", "--url", "127.0.0.1:9"],
        2,
        "http://HOST:PORT",
    );
    written(
        directory.path(),
        &json!([{"opName": "GraphTopologySet", "opParams": {"topologyFile": "gone.json"}}]),
    );
    failed(&["operations.json", url[0], url[1]], 1, "gone.json");
    written(directory.path(), &json!([]));
    failed(&["operations.json"], 2, "--url");
}

#[test]
fn a_module_that_is_not_there_is_an_error_with_the_address() {
    let directory = tempfile::tempdir().unwrap();
    written(
        directory.path(),
        &json!([{"opName": "GraphTopologyList", "opParams": {}}]),
    );
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let (code, _, error) = run(
        directory.path(),
        &["operations", "operations.json", "--url", &url],
    );
    assert!(
        code == Some(1) && error.contains(&url) && error.contains("that the module runs"),
        "{error}"
    );
}
