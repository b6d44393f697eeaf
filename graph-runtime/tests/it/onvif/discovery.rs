//! Devices that answer a question on the network, and those that should not be heard.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use lva_graph_runtime::OnvifOptions;
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::module;

/// Something that hears questions and answers each with these bodies; `{id}` is the question's name.
struct Responder {
    address: SocketAddr,
    heard: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Responder {
    async fn start(answers: Vec<String>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        Self::on(socket, answers)
    }

    fn on(socket: UdpSocket, answers: Vec<String>) -> Self {
        let address = socket.local_addr().unwrap();
        let (count, heard) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 65536];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
                // Strict about the question.
                assert!(
                    text.contains("dn:NetworkVideoTransmitter") && text.contains("/2005/04/discovery/Probe")
                );
                let (_, rest) = text.split_once("urn:uuid:").unwrap();
                let id = &rest[..36];
                count.send_modify(|count| *count += 1);
                for answer in &answers {
                    let _ = socket.send_to(answer.replace("{id}", id).as_bytes(), from).await;
                    tokio::task::yield_now().await;
                }
            }
        });
        Self { address, heard, task }
    }
}

fn matches(relates: &str, identifiers: &[&str], types: &str) -> String {
    let all: String = identifiers
        .iter()
        .map(|identifier| {
            format!(
                "<d:ProbeMatch><a:EndpointReference><a:Address>{identifier}</a:Address></a:EndpointReference>\
                 <d:Types>{types}</d:Types><d:Scopes>onvif://www.onvif.org/name/yard</d:Scopes>\
                 <d:XAddrs>http://127.0.0.1/onvif/device_service</d:XAddrs></d:ProbeMatch>"
            )
        })
        .collect();
    format!(
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Header><a:RelatesTo>\
         {relates}</a:RelatesTo></s:Header><s:Body><d:ProbeMatches>{all}</d:ProbeMatches></s:Body></s:Envelope>"
    )
}

const CAMERA: &str = "dn:NetworkVideoTransmitter";

async fn discover(targets: Vec<SocketAddr>, duration: &str) -> (u16, Value) {
    let (module, _folder) = module(OnvifOptions::default().with_discovery_targets(targets));
    let payload = json!({"@apiVersion": "1.1", "discoveryDuration": duration});
    module.invoke("onvifDeviceDiscover", &payload).await
}

#[tokio::test]
async fn devices_are_found_once_each_and_liars_are_not_heard() {
    let answers = vec![
        matches("urn:uuid:{id}", &["urn:uuid:1"], CAMERA),
        matches("urn:uuid:{id}", &["urn:uuid:1", "urn:uuid:2"], CAMERA),
        matches("urn:uuid:{id}", &["urn:uuid:printer"], "wprt:PrintDeviceType"),
        matches(
            "urn:uuid:00000000-0000-4000-8000-000000000000",
            &["urn:uuid:stale"],
            CAMERA,
        ),
        "<!DOCTYPE a [<!ENTITY b \"ha\">]><a>&b;{id}</a>".to_owned(),
        "<a>".repeat(20_000),
        "nonsense {id}".to_owned(),
        String::new(),
    ];
    let one = Responder::start(answers).await;
    let other = Responder::start(vec![matches("uuid:{id}", &["urn:uuid:2", "urn:uuid:3"], "")]).await;
    let (status, answer) = discover(vec![one.address, other.address], "PT2S").await;
    assert_eq!(status, 200, "{answer}");
    let devices = answer["value"].as_array().unwrap();
    let mut names: Vec<_> = devices
        .iter()
        .map(|device| device["serviceIdentifier"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["urn:uuid:1", "urn:uuid:2", "urn:uuid:3"]);
    for device in devices {
        assert_eq!(device["remoteIPAddress"], "127.0.0.1");
        assert_eq!(device["scopes"], json!(["onvif://www.onvif.org/name/yard"]));
        assert_eq!(
            device["endpoints"],
            json!(["http://127.0.0.1/onvif/device_service"])
        );
    }
    // Datagrams get lost, so it was asked again.
    assert!(*one.heard.borrow() >= 2);
}

#[tokio::test]
async fn two_hundred_devices_are_enough() {
    let names: Vec<String> = (0..300).map(|i| format!("urn:uuid:{i}")).collect();
    let answers = names.iter().map(|name| matches("urn:uuid:{id}", &[name], CAMERA));
    let crowd = Responder::start(answers.collect()).await;
    // Not waited for to the end: a minute is longer than any test may take.
    let (status, answer) = discover(vec![crowd.address], "PT1M").await;
    assert_eq!((status, answer["value"].as_array().unwrap().len()), (200, 200));
}

#[tokio::test]
async fn nobody_there_is_an_empty_list() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = socket.local_addr().unwrap();
    drop(socket);
    assert_eq!(
        discover(vec![nobody], "PT0.3S").await,
        (200, json!({"value": []}))
    );
}

/// Where this machine has a network, a device on it that has joined the group hears the question.
#[tokio::test]
async fn a_device_in_the_group_is_found_by_multicast() {
    let group = Ipv4Addr::new(239, 255, 255, 250);
    let interfaces = if_addrs::get_if_addrs().unwrap().into_iter();
    let own = interfaces
        .filter(|interface| !interface.is_loopback())
        .find_map(|interface| match interface.ip() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
    let Some(own) = own else {
        let (status, answer) = discover(vec![], "PT0.3S").await;
        assert_eq!(status, 500, "{answer}");
        assert_eq!(answer["error"]["code"], "InternalServerError");
        return;
    };
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 3702)).await;
    let socket = socket.and_then(|socket| socket.join_multicast_v4(group, own).map(|()| socket));
    let Ok(socket) = socket else {
        eprintln!("not tested: port 3702 is taken, or this network has no multicast");
        return;
    };
    let device = Responder::on(
        socket,
        vec![matches("urn:uuid:{id}", &["urn:uuid:group"], CAMERA)],
    );
    let (status, answer) = discover(vec![], "PT2S").await;
    assert_eq!(status, 200, "{answer}");
    if *device.heard.borrow() == 0 {
        eprintln!("not tested: this network does not carry the question");
        return;
    }
    let devices = answer["value"].as_array().unwrap();
    assert!(
        devices
            .iter()
            .any(|device| device["serviceIdentifier"] == "urn:uuid:group"),
        "{answer}"
    );
}
