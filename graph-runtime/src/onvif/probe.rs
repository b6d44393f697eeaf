//! WS-Discovery: the question, and the devices that answered it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use lva_graph_model::onvif::{DiscoveredDevice, MAX_DISCOVERED_DEVICES};

use super::address::endpoint;
use super::soap::{Message, envelope, read, words};
use super::xml::Element;

/// Most scopes and addresses that are taken from one device.
const MAX_SCOPES: usize = 64;
const MAX_ENDPOINTS: usize = 8;

/// The question for network video transmitters. `id` is a UUID.
pub(super) fn probe(id: &str) -> String {
    let header = format!(
        "<a:MessageID xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\">urn:uuid:{id}</a:MessageID>\
         <a:To xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\">\
         urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>\
         <a:Action xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\">\
         http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>"
    );
    let body = "<d:Probe xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\">\
                <d:Types xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\">dn:NetworkVideoTransmitter</d:Types>\
                </d:Probe>";
    envelope(&header, body)
}

/// A UUID of random bytes (RFC 9562, version 4).
pub(super) fn uuid(random: [u8; 16]) -> String {
    let number = u128::from_be_bytes(random);
    let number = number & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// Devices that answered one question, each once, as many as the contract allows.
#[derive(Debug)]
pub(super) struct Found {
    id: String,
    known: BTreeSet<String>,
    devices: Vec<DiscoveredDevice>,
}

impl Found {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            known: BTreeSet::new(),
            devices: Vec::new(),
        }
    }

    /// Whether more than these would not be answered with anyway.
    pub(super) fn is_full(&self) -> bool {
        self.devices.len() >= MAX_DISCOVERED_DEVICES
    }

    /// Takes a datagram. What answers another question, or none, is left; how many devices were new.
    pub(super) fn take(&mut self, datagram: &[u8], from: IpAddr) -> usize {
        let before = self.devices.len();
        // Whoever has not seen the question cannot answer it.
        let Ok(envelope) = Element::parse(datagram) else {
            return 0;
        };
        let relates = envelope.text_at(&["Header", "RelatesTo"]).unwrap_or_default();
        if !relates.to_ascii_lowercase().ends_with(&self.id) {
            return 0;
        }
        let Ok(Message::Body(body)) = read(datagram) else {
            return 0;
        };
        for found in body.all("ProbeMatch") {
            if !self.is_full() {
                self.add(found, from);
            }
        }
        self.devices.len() - before
    }

    fn add(&mut self, found: &Element, from: IpAddr) {
        let types = found.text_at(&["Types"]).unwrap_or_default();
        let mut locals = types
            .split_whitespace()
            .map(|name| name.rsplit(':').next().unwrap_or_default());
        // Types may be left out. Printers and computers that answer every question write theirs.
        if !types.is_empty() && !locals.any(|name| name == "NetworkVideoTransmitter") {
            return;
        }
        let identifier = found.text_at(&["EndpointReference", "Address"]).map(words);
        let key = identifier.clone().unwrap_or_else(|| from.to_string());
        if !self.known.insert(key) {
            return;
        }
        let scopes = found.text_at(&["Scopes"]).unwrap_or_default().split_whitespace();
        let addresses = found.text_at(&["XAddrs"]).unwrap_or_default().split_whitespace();
        let mut endpoints: Vec<_> = addresses
            .filter_map(|address| Some((address, endpoint(address)?)))
            .take(MAX_ENDPOINTS)
            .collect();
        // First the address that it answered from: the one that certainly is this device's, and can be reached.
        let from = from.to_canonical().to_string();
        endpoints.sort_by_key(|(_, url)| url.host() != from);
        self.devices.push(DiscoveredDevice {
            service_identifier: identifier,
            remote_ip_address: Some(from),
            scopes: scopes.take(MAX_SCOPES).map(words).collect(),
            endpoints: endpoints
                .into_iter()
                .map(|(address, _)| address.to_owned())
                .collect(),
        });
    }

    pub(super) fn into_devices(self) -> Vec<DiscoveredDevice> {
        self.devices
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0f0e0d0c-0b0a-4908-8706-050403020100";
    const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));

    fn matches(relates: &str, matches: &str) -> Vec<u8> {
        envelope(
            &format!("<a:RelatesTo>{relates}</a:RelatesTo>"),
            &format!("<d:ProbeMatches>{matches}</d:ProbeMatches>"),
        )
        .into_bytes()
    }

    fn one(identifier: &str, types: &str, addresses: &str) -> String {
        format!(
            "<d:ProbeMatch><a:EndpointReference><a:Address>{identifier}</a:Address></a:EndpointReference>\
             <d:Types>{types}</d:Types><d:Scopes> onvif://www.onvif.org/type/video_encoder\n onvif://x </d:Scopes>\
             <d:XAddrs>{addresses}</d:XAddrs></d:ProbeMatch>"
        )
    }

    const CAMERA: &str = "dn:NetworkVideoTransmitter tds:Device";

    #[test]
    fn the_question_names_itself_and_what_is_looked_for() {
        let id = uuid([0xff; 16]);
        assert_eq!(id, "ffffffff-ffff-4fff-bfff-ffffffffffff");
        let root = Element::parse(probe(&id).as_bytes()).unwrap();
        let named = format!("urn:uuid:{id}");
        assert_eq!(root.text_at(&["Header", "MessageID"]), Some(named.as_str()));
        let types = root.text_at(&["Body", "Probe", "Types"]);
        assert_eq!(types, Some("dn:NetworkVideoTransmitter"));
    }

    #[test]
    fn a_device_is_taken_once_with_the_address_that_it_answered_from_first() {
        let mut found = Found::new(ID);
        let addresses = "http://192.168.0.1/a ftp://x/ http://10.0.0.9/a http://u:p@10.0.0.9/";
        let answer = matches(
            &format!("urn:uuid:{}", ID.to_uppercase()),
            &one("urn:uuid:1", CAMERA, addresses),
        );
        assert_eq!(found.take(&answer, FROM), 1);
        assert_eq!(found.take(&answer, IpAddr::from([10, 0, 0, 10])), 0);
        let device = DiscoveredDevice {
            service_identifier: Some("urn:uuid:1".to_owned()),
            remote_ip_address: Some("10.0.0.9".to_owned()),
            scopes: vec![
                "onvif://www.onvif.org/type/video_encoder".to_owned(),
                "onvif://x".to_owned(),
            ],
            endpoints: vec!["http://10.0.0.9/a".to_owned(), "http://192.168.0.1/a".to_owned()],
        };
        assert_eq!(found.into_devices(), [device]);
    }

    #[test]
    fn other_answers_are_left() {
        let mut found = Found::new(ID);
        let camera = one("urn:uuid:1", CAMERA, "");
        for datagram in [
            matches("urn:uuid:00000000-0000-4000-8000-000000000000", &camera),
            matches("", &camera),
            matches(ID, &one("urn:uuid:1", "wsdp:Device pub:Computer", "")),
            matches(ID, ""),
            b"not XML".to_vec(),
        ] {
            assert_eq!(found.take(&datagram, FROM), 0);
        }
        assert_eq!(found.take(&matches(ID, &one("urn:uuid:1", "", "")), FROM), 1);
    }

    #[test]
    fn there_are_two_hundred_at_most() {
        let mut found = Found::new(ID);
        let many: String = (0..300)
            .map(|i| one(&format!("urn:uuid:{i}"), CAMERA, ""))
            .collect();
        assert_eq!(found.take(&matches(ID, &many), FROM), MAX_DISCOVERED_DEVICES);
        assert!(found.is_full());
    }

    proptest! {
        #[test]
        fn no_datagram_makes_it_panic(text in "(<[ -~]{0,12}>|[ -~]){0,40}") {
            let mut found = Found::new(ID);
            found.take(text.as_bytes(), FROM);
            found.take(&matches(ID, &one("urn:uuid:1", CAMERA, &text.replace(['<', '&'], ""))), FROM);
        }
    }
}
