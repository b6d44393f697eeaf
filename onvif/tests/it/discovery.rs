//! Devices that answer a question on the network, and those that should not be heard.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use lva_onvif::{FoundDevice, OnvifError, OnvifOptions};
use tokio::net::UdpSocket;

use super::responder::{CAMERA, Responder, matches};

async fn discover(targets: Vec<SocketAddr>, milliseconds: u64) -> Result<Vec<FoundDevice>, OnvifError> {
    let options = OnvifOptions::default().with_discovery_targets(targets);
    lva_onvif::discover(Duration::from_millis(milliseconds), options).await
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
    let devices = discover(vec![one.address, other.address], 5000).await.unwrap();
    let mut names: Vec<_> = devices
        .iter()
        .map(|device| device.identifier.as_deref().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["urn:uuid:1", "urn:uuid:2", "urn:uuid:3"]);
    for device in &devices {
        assert_eq!(device.address, Ipv4Addr::LOCALHOST);
        assert_eq!(device.scopes, ["onvif://www.onvif.org/name/yard"]);
        assert_eq!(device.service_urls, ["http://127.0.0.1/onvif/device_service"]);
    }
    // Datagrams get lost, so it was asked again.
    assert!(*one.heard.borrow() >= 2);
}

#[tokio::test]
async fn two_hundred_devices_are_enough_and_one_that_is_many_hides_no_other() {
    let crowd = async |address: [u8; 4]| {
        let names: Vec<String> = (0..300).map(|i| format!("urn:uuid:{address:?}{i}")).collect();
        let answers = names.iter().map(|name| matches("urn:uuid:{id}", &[name], CAMERA));
        let socket = UdpSocket::bind((Ipv4Addr::from(address), 0)).await.unwrap();
        Responder::on(socket, answers.collect())
    };
    let mut crowds = Vec::new();
    for last in 1..=5 {
        crowds.push(crowd([127, 0, 0, last]).await);
    }
    // Not waited for to the end: a minute is longer than any test may take.
    let targets = crowds.iter().map(|crowd| crowd.address).collect();
    let devices = discover(targets, 60_000).await.unwrap();
    assert_eq!(devices.len(), lva_onvif::MAX_FOUND_DEVICES);
    for crowd in &crowds {
        let of_one = devices
            .iter()
            .filter(|device| device.address == crowd.address.ip());
        assert!(of_one.count() <= lva_onvif::MAX_FOUND_DEVICES_OF_ONE);
    }
}

#[tokio::test]
async fn nobody_there_is_an_empty_list() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = socket.local_addr().unwrap();
    drop(socket);
    assert_eq!(discover(vec![silent], 300).await.unwrap(), []);
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
        let answer = discover(vec![], 300).await;
        assert!(matches!(answer, Err(OnvifError::NoInterface(_))), "{answer:?}");
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
    let devices = discover(vec![], 5000).await.unwrap();
    if *device.heard.borrow() == 0 {
        eprintln!("not tested: this network does not carry the question");
        return;
    }
    let is_it = |device: &FoundDevice| device.identifier.as_deref() == Some("urn:uuid:group");
    assert!(devices.iter().any(is_it), "{devices:?}");
}
