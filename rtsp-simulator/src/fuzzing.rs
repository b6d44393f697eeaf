//! Entry points of the fuzz targets in `rtsp-simulator/fuzz`, compiled for them and for tests only.

/// Requests from a client, and the HTTP heads and Base64 of a tunnel.
pub fn requests(data: &[u8]) {
    crate::tunnel::fuzz(data);
    crate::session::fuzz(data);
}

/// A file of the media directory. The readers of boxes may panic on a broken one, which callers catch.
pub fn files(data: &[u8]) {
    let _ = crate::media::Clip::parse(bytes::Bytes::copy_from_slice(data));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn the_corpus_of_files_is_read() {
        let seeds = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/files")).unwrap();
        let mut count = 0;
        for seed in seeds {
            let data = std::fs::read(seed.unwrap().path()).unwrap();
            let _ = std::panic::catch_unwind(|| super::files(&data));
            count += 1;
        }
        assert!(count > 0);
    }

    proptest! {
        #[test]
        fn any_request_is_handled(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            super::requests(&data);
        }
    }
}
