//! WS-Discovery: the probe, and the devices that matched it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::address::endpoint;
use crate::description::{FoundDevice, MAX_FOUND_DEVICES, MAX_FOUND_DEVICES_OF_ONE};
use crate::soap::{Message, envelope, one_line, parse};
use crate::xml::Element;

/// Most scopes and addresses of one device.
const MAX_SCOPES: usize = 64;
const MAX_ENDPOINTS: usize = 8;

/// The probe for network video transmitters. `id` is a UUID.
pub(crate) fn probe(id: &str) -> String {
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

/// The devices that matched one probe, each once, at most [`MAX_FOUND_DEVICES`], and of one sender at most
/// [`MAX_FOUND_DEVICES_OF_ONE`]: one that answers again and again hides no other.
#[derive(Debug)]
pub(crate) struct Matches {
    id: String,
    known: BTreeSet<String>,
    /// Listed devices by the address that answered.
    of: BTreeMap<IpAddr, usize>,
    devices: Vec<FoundDevice>,
}

impl Matches {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            known: BTreeSet::new(),
            of: BTreeMap::new(),
            devices: Vec::new(),
        }
    }

    /// Whether no more devices are accepted.
    pub(crate) fn is_full(&self) -> bool {
        self.devices.len() >= MAX_FOUND_DEVICES
    }

    /// Takes a datagram, unless it does not answer this probe. Returns the number of new devices.
    pub(crate) fn on_datagram(&mut self, datagram: &[u8], from: IpAddr) -> usize {
        let before = self.devices.len();
        // A sender that has not seen the probe cannot name it.
        let Ok(envelope) = Element::parse(datagram) else {
            return 0;
        };
        let relates = envelope.text_at(&["Header", "RelatesTo"]).unwrap_or_default();
        if !relates.to_ascii_lowercase().ends_with(&self.id) {
            return 0;
        }
        let Ok(Message::Body(body)) = parse(datagram) else {
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
        // Types are optional. Printers and computers that answer every probe write theirs.
        if !types.is_empty() && !locals.any(|name| name == "NetworkVideoTransmitter") {
            return;
        }
        let identifier = found.text_at(&["EndpointReference", "Address"]).map(one_line);
        let key = identifier.clone().unwrap_or_else(|| from.to_string());
        let from = from.to_canonical();
        let of_sender = self.of.get(&from).copied().unwrap_or(0);
        if of_sender >= MAX_FOUND_DEVICES_OF_ONE || !self.known.insert(key) {
            return;
        }
        self.of.insert(from, of_sender + 1);
        let scopes = found.text_at(&["Scopes"]).unwrap_or_default().split_whitespace();
        let addresses = found.text_at(&["XAddrs"]).unwrap_or_default().split_whitespace();
        let mut endpoints: Vec<_> = addresses
            .filter_map(|address| Some((address, endpoint(address)?)))
            .take(MAX_ENDPOINTS)
            .collect();
        // The address that it answered from comes first: that one is certainly the device's, and reachable.
        let host = from.to_string();
        endpoints.sort_by_key(|(_, url)| url.host() != host);
        self.devices.push(FoundDevice {
            identifier,
            address: from,
            scopes: scopes.take(MAX_SCOPES).map(one_line).collect(),
            service_urls: endpoints
                .into_iter()
                .map(|(address, _)| address.to_owned())
                .collect(),
        });
    }

    pub(crate) fn into_devices(self) -> Vec<FoundDevice> {
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
    fn the_probe_has_an_identifier_and_a_type() {
        let id = ID;
        let root = Element::parse(probe(id).as_bytes()).unwrap();
        let named = format!("urn:uuid:{id}");
        assert_eq!(root.text_at(&["Header", "MessageID"]), Some(named.as_str()));
        let types = root.text_at(&["Body", "Probe", "Types"]);
        assert_eq!(types, Some("dn:NetworkVideoTransmitter"));
    }

    #[test]
    fn a_device_is_listed_once_with_the_address_that_it_answered_from_first() {
        let mut found = Matches::new(ID);
        let addresses = "http://192.168.0.1/a ftp://x/ http://10.0.0.9/a http://u:p@10.0.0.9/";
        let answer = matches(
            &format!("urn:uuid:{}", ID.to_uppercase()),
            &one("urn:uuid:1", CAMERA, addresses),
        );
        assert_eq!(found.on_datagram(&answer, FROM), 1);
        assert_eq!(found.on_datagram(&answer, IpAddr::from([10, 0, 0, 10])), 0);
        let device = FoundDevice {
            identifier: Some("urn:uuid:1".to_owned()),
            address: FROM,
            scopes: vec![
                "onvif://www.onvif.org/type/video_encoder".to_owned(),
                "onvif://x".to_owned(),
            ],
            service_urls: vec!["http://10.0.0.9/a".to_owned(), "http://192.168.0.1/a".to_owned()],
        };
        assert_eq!(found.into_devices(), [device]);
    }

    #[test]
    fn other_datagrams_are_ignored() {
        let mut found = Matches::new(ID);
        let camera = one("urn:uuid:1", CAMERA, "");
        for datagram in [
            matches("urn:uuid:00000000-0000-4000-8000-000000000000", &camera),
            matches("", &camera),
            matches(ID, &one("urn:uuid:1", "wsdp:Device pub:Computer", "")),
            matches(ID, ""),
            b"not XML".to_vec(),
        ] {
            assert_eq!(found.on_datagram(&datagram, FROM), 0);
        }
        assert_eq!(
            found.on_datagram(&matches(ID, &one("urn:uuid:1", "", "")), FROM),
            1
        );
    }

    #[test]
    fn at_most_two_hundred_devices_are_listed_and_those_of_one_sender_hide_no_other() {
        let mut found = Matches::new(ID);
        let many = |of: u8| -> String {
            (0..300)
                .map(|i| one(&format!("urn:uuid:{of}-{i}"), CAMERA, ""))
                .collect()
        };
        for _ in 0..2 {
            let new = found.on_datagram(&matches(ID, &many(0)), FROM);
            assert!(new == MAX_FOUND_DEVICES_OF_ONE || new == 0, "{new}");
        }
        // The same in another form.
        let mapped = "::ffff:10.0.0.9".parse().unwrap();
        assert_eq!(found.on_datagram(&matches(ID, &many(1)), mapped), 0);
        let camera = matches(ID, &one("urn:uuid:camera", CAMERA, ""));
        assert_eq!(found.on_datagram(&camera, IpAddr::from([10, 0, 0, 10])), 1);
        for of in 11..=30 {
            found.on_datagram(&matches(ID, &many(of)), IpAddr::from([10, 0, 0, of]));
        }
        assert!(found.is_full());
        assert_eq!(found.into_devices().len(), MAX_FOUND_DEVICES);
    }

    proptest! {
        #[test]
        fn no_datagram_makes_it_panic(text in "(<[ -~]{0,12}>|[ -~]){0,40}") {
            let mut found = Matches::new(ID);
            found.on_datagram(text.as_bytes(), FROM);
            found.on_datagram(&matches(ID, &one("urn:uuid:1", CAMERA, &text.replace(['<', '&'], ""))), FROM);
        }
    }
}
