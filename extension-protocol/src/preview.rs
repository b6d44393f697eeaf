//! How a client asks for what is only to be looked at: metadata of the call, which extensions that do not know it ignore.

use tonic::metadata::{MetadataMap, MetadataValue};

const HEADER: &str = "lva-preview";

pub(crate) fn ask(metadata: &mut MetadataMap) {
    metadata.insert(HEADER, MetadataValue::from_static("1"));
}

pub(crate) fn is_asked_for(metadata: &MetadataMap) -> bool {
    metadata.get(HEADER).is_some_and(|value| value == "1")
}
