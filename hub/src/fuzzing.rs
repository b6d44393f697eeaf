//! What the fuzz targets run. Built with `--cfg fuzzing`, as cargo-fuzz does, and for tests.

use std::time::{Duration, Instant};

use bytes::BytesMut;

use crate::connection_string::ConnectionString;
use crate::dialect::{Dialect, PlainDialect, PlainOptions};
use crate::identity::Identity;
use crate::mqtt::{Incoming, MqttVersion, decode};
use crate::outbox::{fuzz_files, record};
use crate::properties::{decode_bag, encode_bag};
use crate::topic;
use crate::twin::{Twin, TwinRequest};

/// Packets, topics, property bags, connection strings, records and files of the outbox.
pub fn messages(bytes: &[u8]) {
    let mut plain = PlainDialect::new(PlainOptions::new("m"));
    for version in [MqttVersion::V3_1_1, MqttVersion::V5] {
        let mut input = BytesMut::from(bytes);
        while let Ok(Some(packet)) = decode(version, &mut input) {
            if let Incoming::Publish(publish) = packet {
                let _ = plain.read(publish);
            }
        }
    }
    let _ = record::decode(bytes);
    fuzz_files(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = ConnectionString::parse(&text.into());
    if let Ok(module) = Identity::module("h", "d", "m") {
        let _ = topic::parse(&module, text);
    }
    if let Ok(bag) = decode_bag(text) {
        let again = encode_bag(bag.iter().map(|(name, value)| (name.as_str(), value.as_deref())));
        // A name that is empty and has no value leaves no trace.
        let kept: Vec<_> = bag
            .into_iter()
            .filter(|(name, value)| !name.is_empty() || value.is_some())
            .collect();
        assert_eq!(decode_bag(&again).as_deref(), Ok(&kept[..]));
    }
}

/// Steps of two bytes: what happens, and to which version.
pub fn twin(bytes: &[u8]) {
    let mut twin = Twin::new();
    let mut now = Instant::now();
    let mut asked: Vec<String> = Vec::new();
    for step in bytes.chunks_exact(2) {
        let [kind, value] = [step[0], step[1]];
        now += Duration::from_millis(u64::from(value) * 50);
        let version = u64::from(value % 16);
        let before = twin.desired().map(|desired| desired.version);
        let mut document_came = false;
        match kind % 7 {
            0 => twin.on_connected(),
            1 => {
                twin.on_disconnected();
                asked.clear();
            }
            2 => {
                let patch = format!(r#"{{"a":{value},"$version":{version}}}"#);
                twin.on_notice(Some(version), patch.as_bytes());
            }
            3 => {
                twin.on_notice(None, &bytes[..bytes.len().min(8)]);
            }
            4 => {
                if let Some(id) = asked.pop() {
                    let document = format!(r#"{{"desired":{{"a":1,"$version":{version}}}}}"#);
                    let status = [200, 200, 429, 500, 400][usize::from(value % 5)];
                    document_came = status == 200;
                    twin.on_answer(&id, status, document.as_bytes(), now);
                }
            }
            5 => {
                let _ = twin.report(serde_json::json!({ "r": value }));
            }
            _ => {}
        }
        while let Some(request) = twin.poll(now) {
            match request {
                TwinRequest::Get { request_id } | TwinRequest::Report { request_id, .. } => {
                    asked.push(request_id.to_string());
                }
                TwinRequest::Desired { .. } => {}
            }
        }
        // Only a document may take a version back.
        let after = twin.desired().map(|desired| desired.version);
        assert!(document_came || after >= before, "{before:?} to {after:?}");
        assert!(
            twin.wakeup(now).is_none_or(|at| at > now),
            "asks to be called again and again"
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_corpus_of_messages_is_read() {
        let seeds = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/messages")).unwrap();
        let count = seeds
            .map(|seed| messages(&std::fs::read(seed.unwrap().path()).unwrap()))
            .count();
        assert!(count > 0);
    }

    proptest! {
        #[test]
        fn smoke_run_of_messages(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            messages(&bytes);
        }

        #[test]
        fn smoke_run_of_messages_in_text(text in "(devices/d/modules/m/inputs/|HostName=|\\$iothub/methods/POST/)?[a-z=&%?0-9+;/$]{0,40}") {
            messages(text.as_bytes());
        }

        #[test]
        fn smoke_run_of_the_twin(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            twin(&bytes);
        }
    }
}
